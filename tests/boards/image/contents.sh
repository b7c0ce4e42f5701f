#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must be in a gateway board's image, read without mounting it: contents.sh BOARD IMAGE. Prints what is not as it should be.
set -u
board=$1 image=$2
PATH=$PATH:/usr/sbin:/sbin
rc=0
bad() { echo "   $board: $1"; rc=1; }
root="$image?offset=$((256 << 20))" data="$image?offset=$((1536 << 20))"
in_root() { debugfs -R "cat $1" "$root" 2>/dev/null; }
[ "$(sfdisk -d "$image" 2>/dev/null | grep -c 'start=')" = 3 ] || bad 'not three partitions'
wanted='vmlinuz initrd.img extlinux/extlinux.conf'
case $board in raspberrypi*) wanted="$wanted bedside.dtb bootcode.bin start.elf fixup.dat config.txt cmdline.txt" ;; esac
for name in $wanted; do
    mdir -i "$image@@8M" "::$name" >/dev/null 2>&1 || bad "no $name on the boot partition"
done
dumpe2fs -h "$root" 2>/dev/null | grep -q 'volume name: *wardgate-root' || bad 'no root by that label'
dumpe2fs -h "$data" 2>/dev/null | grep -q 'volume name: *wardgate-data' || bad 'no data by that label'
in_root /etc/fstab | grep -q 'LABEL=wardgate-data /var/lib/wardgated' || bad 'the store is not on the data partition'
in_root /etc/udev/rules.d/60-wardgate-ports.rules | grep -q 'bedside/port1' || bad 'no names of ports'
in_root /etc/systemd/system.conf.d/watchdog.conf | grep -q '^RuntimeWatchdogSec=' || bad 'no watchdog'
in_root /etc/systemd/system/wardgated.service.d/board.conf | grep -q '^DeviceAllow=char-' || bad 'the service may open no line'
in_root /usr/sbin/wardgated | head -c 20 | od -An -tx1 | grep -q 'b7 00' || bad 'wardgated is not for arm64'
[ -z "$(in_root /etc/machine-id)" ] || bad 'a machine id that every board would have'
[ -z "$(in_root /etc/shadow | cut -d: -f2 | grep -v '^[!*]')" ] || bad 'a user with a password'
owner=$(in_root /etc/passwd | sed -n 's/^wardgated:[^:]*:\([0-9]*\):.*/\1/p')
debugfs -R 'stat /' "$data" 2>/dev/null | grep -q "User: *$owner " || bad "the store's folder is not the service's"
exit $rc
