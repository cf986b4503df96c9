#!/bin/bash
# Tries the units under a real systemd, started as the first process of namespaces of its own over a copy of this system that is thrown
# away afterwards (overlay). Needs root with all capabilities, SoftHSM, OpenSSL, curl, jq. `make try-units` builds the program first.
#   packaging/systemd/try/try.sh PROGRAM
# Prints what was looked at, line by line, and ends with 0 when all of it is as it should be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
program=$(realpath "${1:?usage: $0 PROGRAM}")
if [ "$(id -u)" -ne 0 ]; then
    echo "This needs root: it makes namespaces, users and mounts (all of them in namespaces of its own)." >&2
    exit 2
fi
for tool in unshare nsenter systemctl systemd-creds softhsm2-util openssl curl jq setpriv; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
scratch=$(mktemp -d)
mkdir "$scratch/out"
groups=()
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    # Where the controller of a cpuset would have to be set up first, systemd needs no group.
    case $hierarchy in */cpuset*) continue ;; esac
    [ -w "${hierarchy%/}/cgroup.procs" ] && groups+=("${hierarchy%/}/pfx-try-$$")
done
cleanup() {
    # The first process of a PID namespace takes all others with it.
    [ -z "${first:-}" ] || kill -KILL "$first" 2>/dev/null || true
    while [ -n "${first:-}" ] && kill -0 "$first" 2>/dev/null; do sleep 0.1; done
    local group
    for group in "${groups[@]}"; do
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            [ -d "$group" ] || break
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
        done
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
mkdir "${groups[@]}"
(
    for group in "${groups[@]}"; do echo $BASHPID >"$group/cgroup.procs"; done
    exec unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child --propagation private \
        packaging/systemd/try/boot.sh "$scratch" "$program"
) &
first=$!
# Its end is no news for the terminal.
disown
shown=0
show() {
    local lines
    [ -f "$scratch/out/report" ] || return 0
    lines=$(wc -l <"$scratch/out/report")
    if [ "$lines" -gt "$shown" ]; then
        sed -n "$((shown + 1)),${lines}p" "$scratch/out/report"
        shown=$lines
    fi
}
for ((second = 0; second < 300; second++)); do
    show
    if [ -s "$scratch/out/exit" ]; then
        show
        exit "$(cat "$scratch/out/exit")"
    fi
    kill -0 "$first" 2>/dev/null || break
    sleep 1
done
show
echo "systemd did not come to an end of it" >&2
exit 1
