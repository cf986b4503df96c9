#!/bin/sh
# Runs the tests of the pool of places for secrets (fips/src/secret) under Miri: undefined behaviour, leaks and data races of the one
# part of crate fips that is `unsafe` without calling C. Needs a nightly toolchain of rustup with the components miri and rust-src.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "Miri is not here: rustup toolchain install nightly --component miri --component rust-src" >&2
    exit 1
fi
cd "$root/tests/miri"
# Several schedules of the test with threads.
MIRIFLAGS="-Zmiri-many-seeds=0..${SEEDS:-8}" exec cargo +nightly miri test --locked --target-dir "$root/${CARGO_TARGET_DIR:-target}/miri" "$@"
