#!/bin/sh
# Runs tests under Miri: undefined behaviour, leaks, data races, and threads that wait for each other for ever, in several schedules.
#   scripts/miri.sh            what `make miri` runs
#   scripts/miri.sh NAME ...   the tests with one of these in their names
# * The pool of places for secrets, which is the part of crate fips that is `unsafe` without calling C, and single flight: tests/miri.
# * What of crate hsm hands requests from one thread to another, and the group of tokens: in the crate itself. None of these tests calls the
#   validated module, and Miri links nothing, so its C code is not built: cargo is told what its build script would have said.
# Not here: whatever calls C, which Miri cannot, and the simulations of the limiter and of what is slow: long, with one thread, and nothing `unsafe`.
# Needs a nightly toolchain of rustup with the components miri and rust-src. SEEDS=64: other numbers of schedules than 8.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "Miri is not here: rustup toolchain install nightly --component miri --component rust-src" >&2
    exit 1
fi
cd "$root"
target=${CARGO_TARGET_DIR:-target}/miri
export MIRIFLAGS="-Zmiri-many-seeds=0..${SEEDS:-8}"

run() { cargo +nightly miri test --locked --target-dir "$target" --lib "$@"; }

run --manifest-path tests/miri/Cargo.toml -- "$@"
if [ $# -eq 0 ]; then
    set -- clock:: load:: group:: pkcs11::cache:: pkcs11::counters:: pkcs11::evidence:: pkcs11::gate:: pkcs11::lanes:: pkcs11::queue:: \
        pkcs11::recovery:: --skip group::hedging::
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
module="target.$host.aws_lc_fips_0_13_11"
run --config "$module.rustc-cfg=[\"$(echo "$host" | tr - _)\"]" --config "$module.include=\"not built\"" -p hsm -- "$@"
