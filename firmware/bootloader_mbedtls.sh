#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's source package of mbedtls once into FOLDER and makes FOLDER/source name it:
#   sh firmware/bootloader_mbedtls.sh FOLDER
# apt checks it against the signed index. Its lists and cache are FOLDER's own: the system's sources are read, not changed.
set -eu
mkdir -p "$1"
cache=$(cd "$1" && pwd)
source() { find "$cache" -maxdepth 1 -type d -name 'mbedtls-*'; }
fetch() {
    mkdir -p "$cache/parts" "$cache/lists/partial" "$cache/cache/archives/partial"
    : >"$cache/list"
    [ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$cache/list"
    for file in /etc/apt/sources.list.d/*; do
        case $file in
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$cache/parts/${file##*/}" ;;
        *.list) sed -n 's/^deb /deb-src /p' "$file" >"$cache/parts/${file##*/}" ;;
        esac
    done
    apt="apt-get -qq -o Dir::Etc::SourceList=$cache/list -o Dir::Etc::SourceParts=$cache/parts -o Dir::State::Lists=$cache/lists
        -o Dir::Cache=$cache/cache -o APT::Sandbox::User="
    $apt update && cd "$cache" && $apt source mbedtls >/dev/null
}
if [ -z "$(source)" ]; then
    (fetch) >&2 || { echo 'bootloader_mbedtls: apt could not fetch the source of mbedtls' >&2; exit 69; }
fi
ln -sfn "$(source)" "$cache/source"
