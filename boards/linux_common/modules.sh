#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts the kernel modules that a board names into a small root, each listed after what it needs: modules.sh BOARD ROOT SMALL-ROOT
#   ROOT  a root (or sysroot) with linux-image-arm64 unpacked in it
set -eu
[ $# = 3 ] || { sed -n '3,4s/^# //p' "$0" >&2; exit 64; }
root=$2 small=$3
wanted=$(sed -n 's/^modules: //p' "$(dirname "$0")/../$1/board.yaml")
[ -n "$wanted" ] || { echo "modules: $1/board.yaml names none" >&2; exit 78; }
PATH=$PATH:/usr/sbin:/sbin
version=$(basename "$root"/lib/modules/*)
[ -s "$root/lib/modules/$version/modules.dep" ] || depmod -b "$root" "$version"
mkdir -p "$small/lib/modules"
: >"$small/modules"
needs=$(mktemp)
trap 'rm "$needs"' EXIT
for name in $wanted; do
    modprobe -d "$root" -S "$version" --show-depends "$name" >"$needs"
    while read -r word file _; do
        name=$(basename "$file")
        [ "$word" = insmod ] && [ ! -e "$small/lib/modules/$name" ] || continue
        cp "$file" "$small/lib/modules/"
        echo "$name" >>"$small/modules"
    done <"$needs"
done
