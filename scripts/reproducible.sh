#!/bin/bash
# Shows that the program is what its sources say: built twice, in places that have nothing in common, it is the same file.
#   scripts/reproducible.sh             builds HEAD twice and compares the two
#   scripts/reproducible.sh PROGRAM     builds HEAD once and compares it with a program that was built elsewhere
# What is not committed is not built. Needs what building needs, no network once the sources are fetched, 4 GB in TMPDIR and
# about ten minutes a build on two cores. docs/fips/reproducible.md says what has to be equal on both machines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -gt 1 ] || { [ $# -eq 1 ] && [ ! -f "$1" ]; }; then
    echo "usage: $0 [PROGRAM]" >&2
    exit 2
fi

say() { printf '%s\n' "$*" >&2; }

toolchain=$(scripts/with-rust.sh --find) || exec scripts/with-rust.sh cargo
export PATH="$toolchain:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    say "Note: there are changes that are not committed; HEAD is built, without them."
fi
cargo fetch --locked --quiet

# Arguments: the folder to build in; where cargo finds the sources; more settings of the environment.
build() {
    local folder=$1 sources=$2
    shift 2
    git clone --quiet --no-hardlinks . "$folder"
    say "Building $(git rev-parse --short HEAD) in $folder, sources in $sources"
    (
        unset CARGO_TARGET_DIR
        env "$@" CARGO_HOME="$sources" PFX_BUILD_OFFLINE=yes nice -n 19 "$folder/scripts/build-release.sh" >/dev/null
    )
}

# Arguments: two programs that differ. Says where, so that the cause can be found.
explain() {
    say "Sizes: $(stat -c %s "$1") and $(stat -c %s "$2") bytes; $(cmp -l "$1" "$2" 2>/dev/null | wc -l) bytes differ."
    local section first second
    readelf --wide --sections "$1" | sed -n 's/^ *\[ *[0-9]*\] \(\.[^ ]*\) .*/\1/p' | while read -r section; do
        first=$(objcopy --dump-section "$section=/dev/stdout" "$1" /dev/null 2>/dev/null | sha256sum)
        second=$(objcopy --dump-section "$section=/dev/stdout" "$2" /dev/null 2>/dev/null | sha256sum)
        [ "$first" = "$second" ] || say "  section $section differs"
    done
    say "First texts that only one of them has:"
    diff <(strings -a -n 8 "$1" | sort -u) <(strings -a -n 8 "$2" | sort -u) | grep '^[<>]' | cut -c 1-200 | head -n 20 >&2 || true
}

build "$work/one" "${CARGO_HOME:-$HOME/.cargo}" TZ=UTC LC_ALL=C
first=$work/one/target/release/pfx-connector
if [ $# -eq 1 ]; then
    second=$1
else
    # Another depth, other names, another place for the sources, another time zone and language.
    mkdir -p "$work/somewhere/else" "$work/other-sources/registry"
    cp -a "${CARGO_HOME:-$HOME/.cargo}"/registry/{cache,index} "$work/other-sources/registry"
    build "$work/somewhere/else/another-name" "$work/other-sources" TZ=Pacific/Chatham LC_ALL=C.UTF-8
    second=$work/somewhere/else/another-name/target/release/pfx-connector
fi

sha256sum "$first" "$second" | sed "s,$work/,,"
if cmp --silent "$first" "$second"; then
    echo "Reproducible: both are the same file."
else
    echo "Not reproducible: they differ."
    explain "$first" "$second"
    keep=$(mktemp -d)
    cp "$first" "$keep/first"
    cp "$second" "$keep/second"
    say "Both are kept in $keep."
    exit 1
fi
