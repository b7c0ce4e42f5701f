#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# QEMU 10 from the folder $WARDGATE_QEMU10, beside Debian 12's 7.2: its own loader and libraries.
root=$WARDGATE_QEMU10 lib=$WARDGATE_QEMU10/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$lib/qemu"
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib" "$root/usr/bin/qemu-system-aarch64" -L "$root/usr/share/qemu" "$@"
