#!/bin/bash
# Builds estserver, the EST server of Cisco's libest, for tests/est of crate ca: a server that we did not write.
#   scripts/estserver.sh FOLDER      makes FOLDER/estserver
# The source is Debian's package, checked against the digests below; Debian 12 has no such package, so that it is fetched from the archive of
# a later release, from wherever this machine gets its packages. Nothing of the machine's own package lists is changed.
set -euo pipefail

folder=${1:?the folder to build in}
suite=trixie
version=3.2.0+ds-1.1
orig=46d1150ff6f1ace3ccd9a9ab962cfafd275b7c52edb0fd4e868280672aa7cf0d
patches=42cc6a7a7fa5d426b5ffbc4925c344328ef9a6b113858f59eb30db578bf0cd1f

say() { printf '%s\n' "$*" >&2; }
trap 'say "estserver was not built; the log is in $folder/log."' ERR

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
if [ -z "$mirror" ]; then
    say "This machine has no package lists of Debian's (apt-get update), from which the source of estserver could come."
    exit 1
fi
rm -rf "$folder"
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/sources"
folder=$(cd "$folder" && pwd)
cat >"$folder/sources/source.sources" <<END
Types: deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources" -o "Dir::State::Lists=$folder/lists"
    -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=)
(
    cd "$folder"
    "${apt[@]}" update
    "${apt[@]}" source --download-only "libest=$version"
    printf '%s  %s\n' "$orig" "libest_${version%-*}.orig.tar.xz" "$patches" "libest_$version.debian.tar.xz" | sha256sum --check --quiet
    mkdir source
    tar -xJf "libest_${version%-*}.orig.tar.xz" -C source --strip-components=1
    tar -xJf "libest_$version.debian.tar.xz" -C source
    cd source
    while read -r patch; do
        case $patch in '' | '#'*) ;; *) patch -p1 -s <"debian/patches/$patch" ;; esac
    done <debian/patches/series
    ./configure --disable-shared --enable-static
    # Its example programs define a function of the library a second time, which only a shared library bears.
    flags=(CFLAGS='-O1 -w -fcommon' LDFLAGS="-Wl,--allow-multiple-definition -L$PWD/safe_c_stub/lib")
    make -C safe_c_stub "${flags[@]}"
    make -C src "${flags[@]}"
    make -C example/server "${flags[@]}"
    cp example/server/estserver ..
) >"$folder/log" 2>&1
rm -rf "$folder"/{lists,cache,sources,source} "$folder"/libest_*
