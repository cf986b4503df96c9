#!/bin/sh
# Runs a command with the first Rust toolchain on this machine that is recent enough.
#   scripts/with-rust.sh cargo build
#   scripts/with-rust.sh --find      prints the folder of the toolchain, or fails
# A machine may have several: rustup's, a distribution's old cargo and its newer cargo-web. The PATH's order alone
# would pick the wrong one, and cargo and rustc must come from the same place.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$root/Cargo.toml")

recent_enough() { # FOLDER
    for program in cargo rustc; do
        found=$(PATH="$1:$PATH" "$1/$program" --version 2>/dev/null | awk '{ print $2 }') || return 1
        [ -n "$found" ] || return 1
        [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] || return 1
    done
}

folder=
in_path=$(command -v cargo || true)
for candidate in "${in_path%/cargo}" "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" /usr/bin; do
    if [ -x "$candidate/cargo" ] && recent_enough "$candidate"; then
        folder=$candidate
        break
    fi
done

if [ "${1:-}" = --find ]; then
    [ -n "$folder" ] || exit 1
    printf '%s\n' "$folder"
    exit 0
fi
if [ -z "$folder" ]; then
    echo "No Rust toolchain of version $wanted or later was found: run 'make bootstrap'." >&2
    exit 1
fi
PATH="$folder:$PATH"
export PATH
exec "$@"
