#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a folder with another architecture's libraries and headers for cross builds: sysroot.sh ARCH SUITE FOLDER [PACKAGE...]
# Nothing of that architecture is run and the host's own package database isn't touched: packages are unpacked, and
# FOLDER/var/lib/dpkg gets what dpkg-query needs to say whose a file is. Fails when the archive can't be reached.
set -eu
[ $# -ge 3 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 64; }
arch=$1 suite=$2 folder=$3
shift 3
mirror=${WARDGATE_MIRROR:-http://deb.debian.org/debian}
gcc=libgcc-14-dev
[ "$suite" != bookworm ] || gcc=libgcc-12-dev
packages="$gcc libc6-dev libmosquitto-dev libmodbus-dev liblmdb-dev libmbedtls-dev libsystemd-dev libyaml-dev libnanopb-dev libjansson-dev
    libcurl4-openssl-dev libcmocka-dev $*"

part=$folder.part
rm -rf "$part"
mkdir -p "$part/var/lib/dpkg/info" "$part/apt/lists/partial" "$part/apt/archives/partial"
: >"$part/var/lib/dpkg/status"
echo "deb $mirror $suite main" >"$part/apt/sources.list"
# apt with a state of its own: it believes in an empty machine of that architecture.
apt() {
    apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false -o Dir::Etc="$part/apt" \
        -o Dir::Etc::Trusted=/etc/apt/trusted.gpg -o Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d -o Dir::State="$part/apt" \
        -o Dir::State::status="$part/var/lib/dpkg/status" -o Dir::Cache="$part/apt" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none "$@" >>"$folder.log" 2>&1 || { tail -n 3 "$folder.log" >&2; exit 69; }
}
: >"$folder.log"
apt update
# shellcheck disable=SC2086
apt install --download-only -y $packages
for deb in "$part"/apt/archives/*.deb; do
    dpkg-deb -x "$deb" "$part"
    name=$(dpkg-deb -f "$deb" Package)
    [ "$(dpkg-deb -f "$deb" Multi-Arch)" != same ] || name=$name:$arch
    { dpkg-deb -f "$deb"; printf 'Status: install ok installed\n\n'; } >>"$part/var/lib/dpkg/status"
    dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\./|/|; s|/$||; s|^$|/.|' >"$part/var/lib/dpkg/info/$name.list"
done
echo 1 >"$part/var/lib/dpkg/info/format"
echo "$arch" >"$part/var/lib/dpkg/arch"
rm -rf "$part/apt"
# An absolute link would lead out of the folder.
find "$part" -type l -lname '/*' | while read -r link; do
    ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$part$(readlink "$link")")" "$link"
done
rm -rf "$folder"
mv "$part" "$folder"
