#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a small root that boots a board under emulation in seconds: initramfs.sh BOARD SYSROOT DEB CONFIG-FOLDER OUT
#   BOARD          a folder beside this one; its board.yaml says which kernel modules it needs
#   SYSROOT        made by: cmake/sysroot.sh arm64 bookworm SYSROOT busybox-static linux-image-arm64
#   DEB            the arm64 package wardgated (gateway/package/build.sh)
#   CONFIG-FOLDER  becomes /etc/wardgate: wardgated.yaml, certificates, key; a file `hosts` becomes /etc/hosts
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# = 5 ] || { sed -n '3,7s/^# //p' "$0" >&2; exit 64; }
board=$1 sysroot=$2 deb=$3 config=$4 out=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/bin "$work"/dev "$work"/proc "$work"/sys "$work"/run "$work"/var "$work"/tmp "$work"/etc "$work"/lib
cp "$sysroot/bin/busybox" "$work/bin/busybox"
for name in sh mount insmod ip cat echo mkdir uname cut usleep poweroff ls grep tr date readlink; do ln -s busybox "$work/bin/$name"; done
cp "$here/init" "$work/init"
chmod 755 "$work/init"
dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" ./usr/sbin/wardgated ./usr/share/wardgate
cp -r "$config" "$work/etc/wardgate"
[ ! -f "$config/hosts" ] || cp "$config/hosts" "$work/etc/hosts"

# The libraries that the program needs, and theirs, as the SBOM finds them.
/usr/bin/python3 "$root/gateway/package/sbom.py" --files --root "$sysroot" "$work/usr/sbin/wardgated" >"$work/libraries"
while read -r file; do
    mkdir -p "$work$(dirname "$file")"
    cp -L "$sysroot$file" "$work$file"
done <"$work/libraries"
rm "$work/libraries"
cp -L "$sysroot/lib/ld-linux-aarch64.so.1" "$work/lib/" # the name in the program's header

sh "$here/modules.sh" "$board" "$sysroot" "$work"
(cd "$work" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0 | gzip -1n) >"$out"
