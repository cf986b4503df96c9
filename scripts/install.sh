#!/bin/bash
# Puts program, units, users, folders and documentation where systemd and people look for them; changes nothing that runs.
#   scripts/install.sh install     (make install DESTDIR=... PREFIX=...)
#   scripts/install.sh uninstall   takes away what `install` put there; configuration, state and users stay
# From the environment: PROGRAM, the built program; PREFIX, /usr/local; DESTDIR, nothing, or a folder that stands for the root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

prefix=${PREFIX:-/usr/local}
program=${PROGRAM:-${CARGO_TARGET_DIR:-target}/release/pfx-connector}
case $prefix in
    /*[[:space:]]* | [!/]* ) echo "PREFIX must be an absolute path without spaces: $prefix" >&2; exit 2 ;;
esac
root=${DESTDIR:-}$prefix
units=$root/lib/systemd/system
profiles=$root/share/pfx-connector/systemd-profiles
documents=$root/share/doc/pfx-connector

install_all() {
    if [ ! -x "$program" ]; then
        echo "There is no program $program to install: build it first (scripts/build-release.sh), as a user of your own." >&2
        exit 1
    fi
    install -D -m 755 "$program" "$root/bin/pfx-connector"
    local unit page
    for unit in packaging/systemd/units/*.service; do
        install -D -m 644 "$unit" "$units/${unit##*/}"
        # The program and its documentation are below PREFIX; the folders of a service are the same everywhere.
        sed -i "s|/usr/bin/pfx-connector|$prefix/bin/pfx-connector|; s|/usr/share/doc/|$prefix/share/doc/|" "$units/${unit##*/}"
    done
    install -D -m 644 packaging/systemd/sysusers.conf "$root/lib/sysusers.d/pfx-connector.conf"
    install -D -m 644 packaging/systemd/tmpfiles.conf "$root/lib/tmpfiles.d/pfx-connector.conf"
    install -D -m 644 -t "$profiles" packaging/systemd/profiles/*.conf
    install -D -m 644 -t "$documents" README.md SECURITY.md CHANGELOG.md LICENSE
    while read -r page; do
        install -D -m 644 "docs/$page" "$documents/$page"
    done < <(cd docs && find . -type f -name '*.md')
    if [ -z "${DESTDIR:-}" ]; then
        cat <<'NEXT'
Installed. What comes next (docs/deployment.md):
  systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
NEXT
    fi
}

uninstall_all() {
    local unit profile
    for unit in packaging/systemd/units/*.service; do rm -f "$units/${unit##*/}"; done
    for profile in packaging/systemd/profiles/*.conf; do rm -f "$profiles/${profile##*/}"; done
    rm -f "$root/bin/pfx-connector" "$root/lib/sysusers.d/pfx-connector.conf" "$root/lib/tmpfiles.d/pfx-connector.conf"
    rm -rf "$documents"
    rmdir "$profiles" "${profiles%/*}" 2>/dev/null || true
    echo "Uninstalled. Configuration, state and logs stay: /etc, /var/lib and /var/log have folders pfx-* (docs/deployment.md)." >&2
}

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) echo "usage: $0 install|uninstall" >&2; exit 2 ;;
esac
