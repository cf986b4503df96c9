#!/bin/sh
# Runs the tests of the crate that calls PKCS#11 modules under AddressSanitizer and LeakSanitizer, with the module that fails
# by script among them.
#   scripts/sanitize.sh               what `make sanitize` runs
#   scripts/sanitize.sh --test NAME   some tests
#
# The stable toolchain holds the sanitizers' libraries; only the option is not stable, hence RUSTC_BOOTSTRAP. What is checked is the
# Rust code, and every buffer that C code writes by functions of libc (memcpy, read ...): the cryptographic module must stay as it is
# validated, so its C code is compiled without. Uninitialised memory and data races are not looked for: those sanitizers need
# every library compiled for them.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
target=x86_64-unknown-linux-gnu
[ "$(uname -m)" = x86_64 ] || {
    echo "make sanitize is set up for x86_64 only." >&2
    exit 1
}

export RUSTC_BOOTSTRAP=1
# -rdynamic: our modules, which are loaded later, use the program's sanitizer.
export RUSTFLAGS='-Zsanitizer=address -Clink-arg=-rdynamic'
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitize"
export CFLAGS_x86_64_unknown_linux_gnu=-fno-sanitize=address
export CXXFLAGS_x86_64_unknown_linux_gnu=-fno-sanitize=address
# SoftHSM is C++: the sanitizer has to find its exceptions before SoftHSM is loaded.
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='env LD_PRELOAD=libstdc++.so.6'
export LSAN_OPTIONS="suppressions=$root/scripts/sanitize.leaks:print_suppressions=0"
# A sanitized script takes some five times as long.
export CHAOS_SCRIPTS="${CHAOS_SCRIPTS:-300}"

run() { scripts/with-rust.sh cargo "$@"; }

run build -p hsm --locked --target "$target" --examples
if [ $# -eq 0 ]; then
    run test -p fips --locked --target "$target" --lib secret
    set -- --lib --test chaos --test chaos_module --test null_module --test custody_softhsm --test strict_softhsm \
        --test token_gone_softhsm --test 'faults*' --test signing_not_supported
fi
run test -p hsm --locked --target "$target" --no-fail-fast "$@"
