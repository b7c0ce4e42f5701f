#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Merges a board's bedside.dts into the device tree that the kernel's package has for it: dtb.sh BOARD ROOT OUT
#   ROOT  a root (or sysroot) with linux-image-arm64 unpacked in it
set -eu
[ $# = 3 ] || { sed -n '3,4s/^# //p' "$0" >&2; exit 64; }
folder=$(cd "$(dirname "$0")/../$1" && pwd)
dtb=$(sed -n 's/^dtb: //p' "$folder/board.yaml")
base=$(find "$2"/usr/lib/linux-image-* -path "*/$dtb" | head -n 1)
[ -n "$base" ] || { echo "dtb: no $dtb in $2: is linux-image-arm64 in it?" >&2; exit 66; }
dtc -I dts -O dtb -o "$3.overlay" "$folder/bedside.dts"
fdtoverlay -i "$base" -o "$3" "$3.overlay"
rm "$3.overlay"
