#!/bin/bash
# Builds the program as it is released: the same bytes wherever it is built with the same tools (docs/fips/reproducible.md).
#   scripts/build-release.sh     prints the SHA-256 and the path of the program
# An ordinary `cargo build --release` differs in one thing: the texts of panics and of the module's errors name the folder
# in which cargo keeps the sources of other packages (CARGO_HOME). Here it is called /cargo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What would change the code, from whoever calls this.
for name in $(compgen -e); do
    case $name in
        RUSTFLAGS | RUSTC | RUSTC_* | CARGO_ENCODED_RUSTFLAGS | CARGO_BUILD_* | CARGO_PROFILE_* | CARGO_TARGET_*_*) ;;
        CC | CC_* | CXX | CXX_* | AR | AR_* | AS | LD | LDFLAGS | *CFLAGS | *CFLAGS_* | CXXFLAGS* | CPPFLAGS | CPATH | C_INCLUDE_PATH) ;;
        PERL5OPT | PERL5LIB | CMAKE* | AWS_LC_* | LIBSQLITE3_* | SQLITE* | GOFLAGS | SOURCE_DATE_EPOCH) ;;
        *) continue ;;
    esac
    echo "Not used for this build: $name=${!name}" >&2
    unset "$name"
done

toolchain=$(scripts/with-rust.sh --find) || exec scripts/with-rust.sh cargo
export PATH="$toolchain:$PATH"
sources=${CARGO_HOME:-$HOME/.cargo}
sources=$(mkdir -p "$sources" && cd "$sources" && pwd)
target=${CARGO_TARGET_DIR:-target}

case $sources in
    *[[:space:]]*)
        echo "CARGO_HOME must have no space in its name for this: $sources" >&2
        exit 2
        ;;
esac

# The first is for the C code of the module and of SQLite: their build scripts pass it on.
CFLAGS="-ffile-prefix-map=$sources=/cargo" \
    RUSTFLAGS="--remap-path-prefix=$sources=/cargo" \
    cargo build --release --locked ${PFX_BUILD_OFFLINE:+--offline} --bin pfx-connector >&2
sha256sum "$target/release/pfx-connector"
