#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a whole SD or eMMC image of a Linux board, as root, without loop devices: image.sh BOARD PACKAGES OUT [CONFIG]
#   PACKAGES  folder with wardgated_*_arm64.deb and wardgate_*_arm64.deb (gateway/package/build.sh)
#   OUT       the image: boot (FAT), root (ext4), data (ext4, /var/lib/wardgated: it outlives an exchange of the root)
#   CONFIG    becomes /etc/wardgate: an enrolled board's wardgated.yaml, certificates, key. Without it the board starts nothing.
# There is no password and no login in it: whoever needs one adds a key of their own to the root partition.
# Runs programs of the board's architecture: Debian's qemu-user-static lets this machine do that. $WARDGATE_ROOTS keeps the Debian
# root between runs (made in some minutes, the archive being $WARDGATE_MIRROR).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 3 ] || { sed -n '3,9s/^# //p' "$0" >&2; exit 64; }
board=$1 packages=$2 out=$3 config=${4:-}
say() { sed -n "s/^$1: //p" "$here/../$board/board.yaml"; }
[ "$(say kind)" = gateway ] || { echo "image: $board is no Linux board" >&2; exit 64; }
[ "$(id -u)" = 0 ] || { echo 'image: needs root, for files of many owners' >&2; exit 77; }
for tool in mmdebstrap sfdisk mke2fs mkfs.vfat mcopy dtc cpio depmod; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null ||
        { echo "image: no $tool (Debian: mmdebstrap arch-test fdisk e2fsprogs dosfstools mtools device-tree-compiler cpio kmod)" >&2; exit 69; }
done
export PATH="$PATH:/usr/sbin:/sbin"
mirror=${WARDGATE_MIRROR:-http://deb.debian.org/debian} suite=bookworm
roots=${WARDGATE_ROOTS:-/var/cache/wardgate}
work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "$registered" ] || echo -1 >/proc/sys/fs/binfmt_misc/qemu-aarch64' EXIT

# The kernel must know who runs an arm64 program; what was not known before is forgotten afterwards.
registered=''
if [ "$(dpkg --print-architecture)" != arm64 ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    head -n 1 /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register ||
        { echo 'image: this machine can run no arm64 programs (Debian: qemu-user-static)' >&2; exit 69; }
    registered=yes
fi

tar=$roots/image-arm64.tar
if [ ! -s "$tar" ]; then
    mkdir -p "$roots"
    list=systemd-sysv,udev,kmod,iproute2,busybox-static,systemd-timesyncd,dbus,util-linux-extra,bash-completion
    list=$list,libmosquitto1,libmodbus5,liblmdb0,libyaml-0-2,libjansson4,libmbedtls14
    # The kernel is unpacked and not configured: an initramfs made by emulated tools takes longer than all the rest, and would hold
    # every driver there is. Ours is made below. (dpkg-deb -x would put a folder in place of the link /lib.)
    # shellcheck disable=SC2016
    mmdebstrap --quiet --variant=minbase --architectures=arm64 --include="$list" --format=tar \
        --customize-hook='chroot "$1" sh -c "cd /tmp && apt-get -qq download \$(apt-cache depends linux-image-arm64 | sed -n \"s/.*Depends: *\(linux-image\)/\1/p\")"' \
        --customize-hook='dpkg-deb --fsys-tarfile "$1"/tmp/linux-image-*.deb | tar -x -C "$1" --keep-directory-symlink' \
        --customize-hook='rm "$1"/tmp/linux-image-*.deb' \
        $suite "$tar.part" "deb $mirror $suite main"
    mv "$tar.part" "$tar"
fi
root=$work/root
mkdir "$root"
# Runs a command in the root, with the /proc and /dev that systemd's tools want; they are gone when it ends.
inside() {
    unshare -m sh -c 'root=$1; shift; mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && exec chroot "$root" "$@"' sh "$root" "$@"
}
tar -xf "$tar" -C "$root"
mkdir "$root/debs"
cp "$packages"/wardgated_*_arm64.deb "$packages"/wardgate_*_arm64.deb "$root/debs"
more=$(say packages)
if [ -n "$more" ]; then # firmware: unpacked, for what its scripts do is done below
    mkdir -p "$roots/debs" "$work/apt/preferences.d" "$work/apt/lists/partial" "$work/apt/archives/partial"
    : >"$work/apt/status"
    echo "deb $mirror $suite non-free-firmware" >"$work/apt/sources.list"
    fetch() {
        apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::Etc="$work/apt" -o Dir::Etc::Trusted=/etc/apt/trusted.gpg \
            -o Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" \
            -o Dir::Cache="$work/apt" -o APT::Sandbox::User=root "$@"
    }
    ls "$roots/debs/${more}"_*.deb >/dev/null 2>&1 || { fetch update && (cd "$roots/debs" && fetch download "$more"); }
    dpkg-deb --fsys-tarfile "$(ls "$roots/debs/${more}"_*.deb | tail -n 1)" | tar -x -C "$root" --keep-directory-symlink
fi
inside sh -c 'dpkg -i /debs/*.deb' >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 70; }
rm -r "$root/debs"

# What makes it this board. An empty machine id is filled in at the first start, so that no two boards are the same.
sh "$here/bedside-board" "$board" "$root" >/dev/null
[ -z "$config" ] || cp -r "$config/." "$root/etc/wardgate/"
inside systemd-tmpfiles --create wardgated.conf
[ ! -f "$root/etc/wardgate/hosts" ] || cp "$root/etc/wardgate/hosts" "$root/etc/hosts"
echo wardgate >"$root/etc/hostname"
: >"$root/etc/machine-id"
cat >"$root/etc/fstab" <<END
LABEL=wardgate-root /                   ext4 noatime,errors=remount-ro 0 1
LABEL=wardgate-data /var/lib/wardgated  ext4 noatime,nodev,nosuid,noexec,x-systemd.device-timeout=15min 0 2
END
mkdir -p "$root/etc/systemd/network" "$root/etc/systemd/journald.conf.d"
printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/80-ether.network"
# The journal in memory: a flash card wears out by it, and readings need what it has left.
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n' >"$root/etc/systemd/journald.conf.d/flash.conf"
inside systemctl --quiet enable systemd-networkd

# The boot partition: what a Raspberry Pi's firmware reads, and what U-Boot's extlinux support does.
boot=$work/boot
mkdir -p "$boot/extlinux"
cp -L "$root"/boot/vmlinuz-* "$boot/vmlinuz"
small=$work/small
mkdir -p "$small/bin" "$small/dev" "$small/proc" "$small/sys" "$small/root"
cp "$root/bin/busybox" "$small/bin/"
for name in sh mount umount insmod cat dd tr usleep switch_root poweroff; do ln -s busybox "$small/bin/$name"; done
cp "$here/init-root" "$small/init"
chmod 755 "$small/init"
sh "$here/modules.sh" "$board" "$root" "$small"
(cd "$small" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 | gzip -1n) >"$boot/initrd.img"
console=$(say console | sed 's/ .*//')
line="root=LABEL=wardgate-root ro console=$console panic=10"
fdt=''
if [ -n "$(say dtb)" ]; then
    sh "$here/dtb.sh" "$board" "$root" "$boot/bedside.dtb"
    fdt='    fdt /bedside.dtb'
fi
cat >"$boot/extlinux/extlinux.conf" <<END
default wardgate
label wardgate
    kernel /vmlinuz
    initrd /initrd.img
$fdt
    append $line
END
case $more in *raspi-firmware*)
    cp "$root"/usr/lib/raspi-firmware/*.bin "$root"/usr/lib/raspi-firmware/*.elf "$root"/usr/lib/raspi-firmware/*.dat "$boot/"
    printf 'arm_64bit=1\nkernel=vmlinuz\ninitramfs initrd.img followkernel\ndevice_tree=bedside.dtb\n' >"$boot/config.txt"
    echo "$line" | sed 's/console=[^ ]*/console=tty1/' >"$boot/cmdline.txt"
    ;;
esac
rm -rf "$root"/boot/vmlinuz-* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

# Three file systems in one file, MiB: the first 8 belong to boot loaders.
boot_at=8 boot_size=248 root_size=1280 data_size=256
rm -f "$out"
truncate -s $((boot_at + boot_size + root_size + data_size + 256))M "$out"
sfdisk --quiet "$out" <<END
label: dos
start=${boot_at}MiB, size=${boot_size}MiB, type=c, bootable
start=$((boot_at + boot_size))MiB, size=${root_size}MiB, type=83
start=$((boot_at + boot_size + root_size))MiB, size=${data_size}MiB, type=83
END
truncate -s ${boot_size}M "$work/fat"
mkfs.vfat -n WARDGATE "$work/fat" >/dev/null
mcopy -s -i "$work/fat" "$boot"/* ::
mkdir "$work/data"
cp -a "$root/var/lib/wardgated/." "$work/data/"
chown --reference="$root/var/lib/wardgated" "$work/data"
chmod 700 "$work/data"
mke2fs -q -t ext4 -L wardgate-root -d "$root" "$work/ext4" ${root_size}M
mke2fs -q -t ext4 -L wardgate-data -E "root_owner=$(stat -c %u:%g "$work/data")" -d "$work/data" "$work/data4" ${data_size}M
dd if="$work/fat" of="$out" bs=1M seek=$boot_at conv=notrunc,sparse status=none
dd if="$work/ext4" of="$out" bs=1M seek=$((boot_at + boot_size)) conv=notrunc,sparse status=none
dd if="$work/data4" of="$out" bs=1M seek=$((boot_at + boot_size + root_size)) conv=notrunc,sparse status=none
echo "$out: $board, $(du -m "$out" | cut -f1) MiB used of $(($(stat -c %s "$out") >> 20))"
