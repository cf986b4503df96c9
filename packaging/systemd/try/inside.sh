#!/bin/bash
# A service of the systemd that boot.sh has become: installs, configures by hand as docs/deployment.md says, starts everything, has one
# password delivered, and looks at what holds for the processes.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
failed=0
trap 'echo $failed >/run/try/out/exit.new; mv /run/try/out/exit.new /run/try/out/exit' EXIT
say() { printf '%s\n' "$*"; }
# Arguments: what should hold; a command that succeeds if it does.
holds() {
    local what=$1
    shift
    if "$@" >/run/try/last 2>&1; then say "ok      $what"; else
        failed=1
        say "FAILED  $what"
        tail -n 12 /run/try/last | sed 's/^/        | /'
    fi
}
not() { ! "$@"; }
# Arguments: what it says as it fails; the command.
fails_with() {
    local expected=$1 said
    shift
    if said=$("$@" 2>&1); then echo "it did not fail"; return 1; fi
    echo "$said"
    case $said in *"$expected"*) ;; *) return 1 ;; esac
}
is() { [ "$1" = "$2" ] || { echo "$1, not $2"; false; }; }
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}
of() { systemctl show --value -p "$2" "$1"; }
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$(of "$1" MainPID)/status"; }
# Tries again until it holds: at most so many seconds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}
ENGINE=pfx-connector-engine GATEWAY=pfx-connector-gateway CONNECTOR=pfx-connector

say "-- $(systemctl --version | head -n 1), process 1 is $(cat /proc/1/comm)"
holds "make install" make --no-print-directory install PROGRAM=/run/try/pfx-connector
holds "users" systemd-sysusers pfx-connector.conf
holds "folders" systemd-tmpfiles --create pfx-connector.conf
systemctl daemon-reload
for unit in $ENGINE $GATEWAY $CONNECTOR; do
    mkdir -p /etc/systemd/system/$unit.service.d
    # No journal here; and a watchdog that one can wait for.
    printf '[Service]\nStandardError=append:/run/try/out/%s.log\nWatchdogSec=4s\n' $unit >/etc/systemd/system/$unit.service.d/try.conf
done
systemctl daemon-reload
source packaging/systemd/try/configure.sh

say "-- start"
holds "the gateway starts (READY=1)" systemctl start $GATEWAY
holds "the engine starts (READY=1)" systemctl start $ENGINE
holds "the connector starts (READY=1)" systemctl start $CONNECTOR
healthy() { of $CONNECTOR StatusText | grep -q '^running, healthy'; }
holds "and says so to systemd" within 30 healthy

# Without them the rest would only be noise.
for unit in $ENGINE $GATEWAY $CONNECTOR; do
    if [ "$(of $unit ActiveState)" != active ]; then
        systemctl status --no-pager --lines=0 $unit
        tail -n 15 /run/try/out/$unit.log
        exit 1
    fi
done

source packaging/systemd/try/deliver.sh

# The file system as a unit's process sees it, for a program from outside.
seen_by() { echo "/proc/$(of "$1" MainPID)/root"; }

say "-- what holds for the processes"
for unit in $ENGINE $GATEWAY $CONNECTOR; do
    holds "$unit: no capabilities" is "$(status_of $unit CapBnd)" 0000000000000000
    holds "$unit: no new privileges" is "$(status_of $unit NoNewPrivs)" 1
    holds "$unit: system calls filtered" is "$(status_of $unit Seccomp)" 2
    holds "$unit: no core" grep -q '^Max core file size *0 *0 ' "/proc/$(of $unit MainPID)/limits"
    holds "$unit: runs as its user" is "$(status_of $unit Uid | cut -f1)" "$(id -u "$(of $unit User)")"
    program() { nsenter -t "$(of $unit MainPID)" -m -- "$@"; }
    holds "$unit: the program can be executed where it lives" program /usr/local/bin/pfx-connector version
    holds "$unit: nothing else can" fails_with "Permission denied" program /usr/bin/id
    holds "$unit: its configuration is read-only, for root too" fails_with "Read-only file system" \
        touch "$(seen_by $unit)/etc/$(of $unit User)/x"
done
interfaces() { nsenter -t "$1" -n cat /proc/net/dev | sed -n 's/^ *\([^ :]*\):.*/\1/p' | tr '\n' ' '; }
holds "engine: no interface but a loopback of its own" is "$(interfaces "$(of $ENGINE MainPID)")" "lo "
holds "engine: cannot reach the gateway, which listens on loopback" not nsenter -t "$(of $ENGINE MainPID)" -n curl -sk https://127.0.0.1:8443/healthz
locked() { [ "$(cat /proc/"$(pgrep -f engine-custody)"/status | sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p')" -gt 1000 ]; }
if capsh --has-p=cap_sys_resource 2>/dev/null; then
    holds "engine: custody's memory is locked" locked
else
    say "(not shown: custody's memory is locked. Whoever started this has no CAP_SYS_RESOURCE, so LimitMEMLOCK= cannot be raised)"
fi
holds "engine: PIN by credential, for it alone" is "$(stat -c '%a %U' /run/credentials/$ENGINE.service/pfx-engine.pin)" "400 pfx-engine"
holds "connector: the engine's state is not there for it, for root neither" fails_with "No such file" \
    ls "$(seen_by $CONNECTOR)/var/lib/pfx-engine/tokens"
holds "connector's user: cannot read the engine's configuration" fails_with "Permission denied" as pfx-connector cat /etc/pfx-engine/engine.toml
holds "gateway's user: cannot reach the engine's socket" fails_with "Permission denied" as pfx-gateway ls /run/pfx-engine/
holds "modes of state and sockets" is "$(stat -c %a /var/lib/pfx-engine /var/lib/pfx-connector /var/lib/pfx-gateway /run/pfx-engine | tr '\n' ' ')" "700 700 700 750 "

holds "engine: its own sandbox is in force inside of the unit's, in full" not grep -E 'WARN.*sandbox: ' /run/try/out/$ENGINE.log
holds "engine: and says so" grep -q 'system calls.*profile="custody' /run/try/out/$ENGINE.log
# Its own parts are none of those that it may look at (ProtectProc=invisible).
unknown() {
    as pfx-engine pfx-connector doctor --config /etc/pfx-engine/engine.toml --only service --json >/run/try/doctor || true
    jq -e '[.findings[] | select(.id == "service.sandbox" and .code == "unknown")] | length == 2' /run/try/doctor
}
holds "engine: doctor calls unknown what the kernel does not show it of the parts" unknown

say "-- reload, crash, hang"
before=$(of $CONNECTOR MainPID)
holds "reload" systemctl reload $CONNECTOR
holds "the process is the same, and healthy" within 30 healthy
kill -KILL "$(of $ENGINE MainPID)"
restarted() { [ "$(of "$1" NRestarts)" -ge "$2" ] && [ "$(of "$1" ActiveState)/$(of "$1" SubState)" = active/running ]; }
holds "an engine that is killed is started again" within 60 restarted $ENGINE 1
holds "its connector outlives that, and is healthy again" within 60 healthy
holds "and is the same process" is "$(of $CONNECTOR MainPID)" "$before"
for unit in $GATEWAY $CONNECTOR $ENGINE; do
    count=$(of $unit NRestarts)
    kill -STOP "$(of $unit MainPID)"
    holds "$unit: one that hangs is replaced by the watchdog" within 60 restarted $unit $((count + 1))
done
holds "healthy again" within 60 healthy

say "-- the program is upgraded while it runs"
custody() { pgrep -f engine-custody; }
another() { [ -n "$(custody)" ] && [ "$(custody)" != "$before" ]; }
before=$(custody)
install -m 755 /run/try/pfx-connector /usr/local/bin/pfx-connector.new
mv -f /usr/local/bin/pfx-connector.new /usr/local/bin/pfx-connector
kill -KILL "$before"
holds "engine: custody that ends afterwards is started again, of the old program" within 30 another
holds "healthy with it" within 60 healthy
says_so() { as pfx-connector pfx-connector status --config /etc/pfx-connector/connector.toml | grep 'is another file than the one that runs'; }
holds "and the status says that the file is another one" within 30 says_so

say "-- stop"
for unit in $CONNECTOR $ENGINE $GATEWAY; do
    holds "$unit stops in order" systemctl stop $unit
    holds "$unit: ended well" is "$(of $unit Result)/$(of $unit ExecMainStatus)" success/0
done
holds "the audit log is whole, and verified with the public half alone" \
    pfx-connector audit verify /var/lib/pfx-engine/audit --public-key $work/audit.pem
[ $failed = 0 ] && say "-- all of it holds"
[ $failed = 0 ] || tail -n 15 /run/try/out/*.log
