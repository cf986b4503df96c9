#!/bin/bash
# Makes sure that what the build needs is on this machine, and installs what is not (Debian 12, as root or by sudo).
#   scripts/bootstrap.sh demo     to build the program and run the demo
#   scripts/bootstrap.sh test     and the tests, with every software token
#   scripts/bootstrap.sh check    and formatting, lints and the supply-chain check
# Says what is missing, and why it is needed, before anything is installed. Changes nothing where all is there.
set -euo pipefail

level=${1:-test}
case $level in
    demo | test | check) ;;
    *) echo "usage: $0 demo|test|check" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rust_version=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$root/Cargo.toml")
# AWS-LC's build refuses older ones.
go_version=1.17.13

say() { printf '%s\n' "$*" >&2; }
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# --- What tells that a thing is there ---------------------------------------------------------------------------------

has_program() { command -v "$1" >/dev/null 2>&1; }
has_rust() { "$root/scripts/with-rust.sh" --find >/dev/null; }
has_rust_tool() { "$root/scripts/with-rust.sh" "$1" --version >/dev/null 2>&1; }
has_c_headers() { has_program cc && printf '#include <stdio.h>\n' | cc -E -x c - >/dev/null 2>&1; }
# Debian's essential perl-base lacks the modules that the builds of AWS-LC and OpenSSL use.
has_perl() { perl -MFile::Compare -MFindBin -MIPC::Cmd -e 1 >/dev/null 2>&1; }
has_go() { has_program go && at_least "$go_version" "$(go version | sed 's/^go version go\([0-9.]*\).*/\1/')"; }
has_certificates() { any_file /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; }
has_python() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }
any_file() {
    local pattern
    for pattern in "$@"; do
        if compgen -G "$pattern" >/dev/null; then return 0; fi
    done
    return 1
}
has_softhsm() {
    has_program softhsm2-util &&
        any_file '/usr/lib*/softhsm/libsofthsm2.so' '/usr/lib*/*/softhsm/libsofthsm2.so' '/usr/lib*/pkcs11/libsofthsm2.so' \
            '/usr/local/lib/softhsm/libsofthsm2.so'
}
# Where users have no /usr/sbin in their PATH.
has_root_program() { has_program "$1" || any_file "/usr/sbin/$1"; }
has_library() { any_file "/usr/lib*/$1" "/usr/lib*/*/$1"; }
has_systemd() { has_program systemd-analyze && has_program systemd-sysusers && has_program systemd-tmpfiles; }
has_openssl_headers() { has_c_headers && printf '#include <openssl/ssl.h>\n' | cc -E -x c - >/dev/null 2>&1; }
has_opencryptoki() { has_root_program pkcsslotd && has_root_program pkcsconf; }
# Not libclang-cpp, which a graphics driver may have brought and which is another library.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] ||
        any_file '/usr/lib/llvm-*/lib/libclang'{,'-[0-9]*'}'.so*' '/usr/lib'{'*','/*'}'/libclang'{,'-[0-9]*'}'.so*'
}

# --- What is needed ---------------------------------------------------------------------------------------------------

packages=()
reasons=()
programs=()
# Arguments: Debian packages; its name elsewhere; why; the probe with its arguments.
need() {
    local debian=$1 elsewhere=$2 why=$3
    shift 3
    if "$@"; then return 0; fi
    read -r -a names <<<"$debian"
    packages+=("${names[@]}")
    programs+=("$elsewhere")
    reasons+=("$why")
}

need "cargo-web rustc-web" "a Rust toolchain, $rust_version or later (cargo, rustc)" "the program is written in Rust" has_rust
need "gcc libc6-dev" "a C compiler with its headers (cc)" "compiles the FIPS module and SQLite" has_c_headers
need "make" "GNU make" "builds the FIPS module" has_program make
need "cmake" "cmake" "builds the FIPS module" has_program cmake
need "perl" "perl with its standard modules" "writes the FIPS module's assembly code" has_perl
need "golang-go" "Go, $go_version or later (go)" "places the FIPS module's integrity checksum" has_go
need "ca-certificates" "the certificates of public authorities" "cargo fetches the sources over TLS" has_certificates
need "softhsm2" "SoftHSM 2 (softhsm2-util, libsofthsm2.so)" "the software token of the demo and the tests" has_softhsm
need "openssl" "OpenSSL (openssl)" "makes PFX files and reads our results, independently" has_program openssl
need "gnutls-bin" "GnuTLS (certtool)" "makes PFX files of another kind" has_program certtool
if [ "$level" != demo ]; then
    need "libssl-dev" "OpenSSL's headers" "estserver, an EST server of the tests, is built with them (scripts/estserver.sh)" has_openssl_headers
    need "patch" "patch" "estserver's source is Debian's" has_program patch
    need "xz-utils" "xz" "the same" has_program xz
    need "bzip2" "bzip2" "NIST's test vectors come compressed with it" has_program bzip2
    need "haproxy" "HAProxy (haproxy)" "stands before estserver, which speaks no TLS 1.3, in a test" has_root_program haproxy
    need "libtpm2-pkcs11-1" "tpm2-pkcs11 (libtpm2_pkcs11.so.1)" "a software token of the tests, on a software TPM" has_library libtpm2_pkcs11.so.1
    need "libtpm2-pkcs11-tools" "tpm2-pkcs11's tool (tpm2_ptool)" "gives the TPM's form of a token's key, and imports one" has_program tpm2_ptool
    need "swtpm" "swtpm" "the software TPM" has_program swtpm
    need "tpm2-abrmd" "tpm2-abrmd" "the resource manager, without which a TPM has room for three objects" has_root_program tpm2-abrmd
    need "libtss2-tcti-tabrmd0" "the way to tpm2-abrmd (libtss2-tcti-tabrmd.so.0)" "connects tpm2-pkcs11 with it" has_library libtss2-tcti-tabrmd.so.0
    need "libtss2-tcti-swtpm0" "the way to swtpm (libtss2-tcti-swtpm.so.0)" "connects tpm2-abrmd with it" has_library libtss2-tcti-swtpm.so.0
    need "tpm2-tools" "tpm2-tools (tpm2_dictionarylockout)" "has the software TPM bear the wrong PINs of the tests, and certify their keys" has_program tpm2_dictionarylockout
    need "dbus-daemon" "a D-Bus daemon (dbus-daemon)" "tpm2-abrmd is spoken to by it" has_program dbus-daemon
    need "dbus-bin" "D-Bus tools (dbus-send)" "tells when tpm2-abrmd is there" has_program dbus-send
    need "util-linux" "util-linux (unshare, setpriv)" "keeps the services of a test's token apart, and ends them with it" has_program setpriv
    need "systemd" "systemd's tools (systemd-analyze, systemd-sysusers, systemd-tmpfiles), 252 or later" "judge the units and what goes with them" has_systemd
    need "strace" "strace" "records what the stores write, for their ends at every write" has_program strace
    need "libclang-dev" "libclang" "the build of the Kryoptic token reads OpenSSL's headers with it" has_libclang
    need "libnss3" "NSS (libsoftokn3.so)" "a software token of the tests" has_library libsoftokn3.so
    need "opencryptoki" "openCryptoki (pkcsslotd, pkcsconf, libopencryptoki.so.0)" "a software token of the tests" has_opencryptoki
    need "libnss3-tools" "NSS's tools (certutil, pk12util)" "makes the databases of that token, opens and makes PFX files" has_program pk12util
    need "openjdk-17-jre-headless" "a Java runtime with keytool" "opens and makes PFX files" has_program keytool
    need "valgrind" "valgrind" "finds branches and addresses that depend on a secret" has_program valgrind
    need "gdb" "gdb with gcore" "forces a core of a process that forbids it, to look for secrets in it" has_program gcore
    need "python3-venv" "Python 3 with venv and pip" "its packages cryptography and pkilint open PFX files and judge certificates" has_python
fi
if [ "$level" = check ]; then
    need "rustfmt-web" "rustfmt" "formatting" has_rust_tool rustfmt
    need "rust-web-clippy" "clippy" "lints" has_rust_tool cargo-clippy
fi

if [ ${#packages[@]} -eq 0 ]; then
    exit 0
fi
# Second round, after an installation: what did not help must not end in a stranger error later.
if [ "${PFX_BOOTSTRAP_AGAIN:-}" = yes ]; then
    say "Still missing after the installation: ${programs[*]}"
    exit 1
fi
export PFX_BOOTSTRAP_AGAIN=yes

# --- A rustup toolchain gets its missing components from rustup: Debian's would belong to another compiler -------------

if [ "$level" = check ] && toolchain=$("$root/scripts/with-rust.sh" --find) && [ -x "$toolchain/rustup" ]; then
    if ! has_rust_tool rustfmt || ! has_rust_tool cargo-clippy; then
        say "Adding rustfmt and clippy to the Rust toolchain in $toolchain: formatting and lints."
        "$toolchain/rustup" component add rustfmt clippy >&2
        exec "$0" "$level"
    fi
fi

# --- Say it, then do it -----------------------------------------------------------------------------------------------

say "pfx-connector needs what this machine does not have yet:"
for i in "${!programs[@]}"; do
    say "  - ${programs[$i]}: ${reasons[$i]}"
done
if ! has_program apt-get; then
    say "This is not a Debian system: install these in the way your system does, then run make again."
    exit 1
fi
install_line="apt-get install --no-install-recommends ${packages[*]}"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    # Without a terminal sudo could only hang or fail on its question for a password.
    if has_program sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo)
    else
        say "Installing needs root. Ask for, or run:"
        say "  apt-get update && $install_line"
        exit 1
    fi
fi
export DEBIAN_FRONTEND=noninteractive
root_do() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >&2; }

say "Installing from Debian: ${packages[*]}"
root_do apt-get -qq update || say "The package lists could not be renewed; going on with those that are there."

if ! has_rust; then
    offered=$(apt-cache policy cargo-web | awk '/Candidate:/ { print $2 }')
    if ! at_least "$rust_version" "${offered:-0}"; then
        say "This system's packages offer no Rust $rust_version (cargo-web: ${offered:-not there})."
        say "On Debian 12 it comes with the security updates: is bookworm-security among the sources of apt?"
        say "Or install a toolchain for this user with rustup. Then run make again."
        exit 1
    fi
fi
# Nothing that somebody uses is taken away: Debian's older cargo and rustc, say, exclude the newer ones.
if ! root_do apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends --no-remove "${packages[@]}"; then
    say "The packages could not be installed. Where apt-get says that packages would have to be removed (an older"
    say "cargo or rustc), remove them first, or install a Rust toolchain for this user with rustup; then run make again."
    exit 1
fi

exec "$0" "$level"
