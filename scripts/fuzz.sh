#!/bin/sh
# Fuzzes every parser that crosses a trust line.
#   scripts/fuzz.sh MINUTES [TARGET...]      so many minutes for each target (all of them: fuzz/targets)
#
# Needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz, whose path is in CARGO_FUZZ (`make fuzz` installs it).
# As many at once as there are processors, or FUZZ_JOBS. What was found interesting stays in fuzz/corpus and is where the next run
# begins; what breaks a target is kept in fuzz/artifacts, and the run then fails. Inputs come from the corpora in CORPORA_DIR
# (default ../shared/corpora), which are read in place.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
minutes=${1:?usage: scripts/fuzz.sh MINUTES [TARGET...]}
shift
[ $# -gt 0 ] || set -- pfx cms cmp_message certs_only soap_answer device_certificate certificate request frame configuration gateway tpm_attestation
: "${CARGO_FUZZ:=cargo-fuzz}"
: "${CORPORA_DIR:=$root/../shared/corpora}"
export CORPORA_DIR
cargo +nightly --version >/dev/null 2>&1 || {
    echo "make fuzz needs a nightly toolchain beside the stable one: rustup toolchain install nightly --profile minimal" >&2
    exit 1
}

# The cryptographic module must stay as it is validated: its C code is compiled without the sanitizer (as in scripts/sanitize.sh).
export CFLAGS_x86_64_unknown_linux_gnu=-fno-sanitize=address
export CXXFLAGS_x86_64_unknown_linux_gnu=-fno-sanitize=address

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTUP_TOOLCHAIN=nightly "$CARGO_FUZZ" build --fuzz-dir fuzz >&2

report=fuzz/target/report
rm -rf "$report"
mkdir -p "$report"
one() {
    target=$1
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    # A target writes its first inputs into this folder before libFuzzer reads it. 2 MiB is more than any parser takes; 1 GiB of memory
    # and 20 seconds for one input are bugs.
    if FUZZ_SEEDS="fuzz/corpus/$target" "fuzz/target/$host/release/$target" "fuzz/corpus/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time=$((minutes * 60)) -max_len=65536 -rss_limit_mb=1024 -timeout=20 \
        -print_final_stats=1 >"$report/$target.log" 2>&1; then
        verdict='nothing found'
    else
        verdict="FOUND SOMETHING: see fuzz/artifacts/$target and $report/$target.log"
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$report/$target.log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$report/$target.log" | tail -n 1)
    inputs=$(find "fuzz/corpus/$target" -type f | wc -l)
    printf '%-20s %12s executions, %6s edges, %6s inputs kept: %s\n' "$target" "${executed:-?}" "${covered:-?}" "$inputs" "$verdict" |
        tee "$report/$target.verdict"
}

for target in "$@"; do
    one "$target" &
    running=$((${running:-0} + 1))
    if [ "$running" -ge "${FUZZ_JOBS:-$(nproc)}" ]; then
        wait
        running=0
    fi
done
wait
! grep -l 'FOUND SOMETHING' "$report"/*.verdict >/dev/null
