#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the bootloader for a board and a site:
#   sh firmware/bootloader_build.sh BOARD PUBLIC-KEY.pem OUT
# makes OUT/bootloader.elf, .bin and .map, and prints the flash and RAM it takes.
# The key is what `wardgate keygen` made. mbedTLS is Debian's source package, fetched by apt (which checks its
# hashes against the signed index) with lists and cache of its own: the system's sources are read, not changed.
# It is fetched once into $WARDGATE_MBEDTLS (preset: OUT/../mbedtls).
set -eu
[ $# = 3 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
board=$1 out=$3
root=$(cd "$(dirname "$0")/.." && pwd)
key=$(realpath "$2")
mkdir -p "$out"
out=$(cd "$out" && pwd)
cache=${WARDGATE_MBEDTLS:-$out/../mbedtls}
value() { sed -n "s/^$1: *//p" "$root/boards/$board/board.yaml"; }
[ -f "$root/boards/$board/boot.c" ] || { echo "bootloader_build: '$board' has no bootloader (boards/$board/boot.c)" >&2; exit 64; }

# --- mbedTLS's source ---
sh "$root/firmware/bootloader_mbedtls.sh" "$cache"
source=$(cd "$cache/source" && pwd -P)

# --- the site's key: a SubjectPublicKeyInfo of 91 bytes, P-256, uncompressed ---
sed '/-----/d' "$key" | base64 -d >"$out/key.der" || { echo "bootloader_build: $2 is no PEM" >&2; exit 78; }
head=3059301306072a8648ce3d020106082a8648ce3d03010703420004
[ "$(wc -c <"$out/key.der")" = 91 ] && [ "$(head -c 27 "$out/key.der" | od -An -v -tx1 | tr -d ' \n')" = $head ] ||
    { echo "bootloader_build: $2 is not a public key on P-256" >&2; exit 78; }
{
    echo '#include "firmware/bootloader.h"'
    echo "const uint8_t bootloader_key[IMAGE_KEY_SIZE] = {$(od -An -v -tx1 "$out/key.der" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g')};"
} >"$out/key.c"

# --- compile and link: mbedTLS without the house's warnings, ours with them ---
flags="-std=c11 -mcpu=$(value cpu) -mthumb -Os -g -ffunction-sections -fdata-sections -fno-strict-aliasing -fomit-frame-pointer
    -ffile-prefix-map=$root/= -ffile-prefix-map=$source/=mbedtls/ -ffile-prefix-map=$out/= -D_GNU_SOURCE
    -DMBEDTLS_CONFIG_FILE=\"firmware/bootloader_mbedtls.h\" -I$root -I$source/include"
ours="-Wall -Wextra -Wconversion -Wshadow -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla"
version=$(sed -n 's/^project(wardgate VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
cd "$out"
for name in bignum bignum_core ecp ecp_curves ecdsa asn1parse asn1write sha256 platform_util constant_time; do
    [ ! -f "$source/library/$name.c" ] || [ "$name.o" -nt "$root/firmware/bootloader_mbedtls.h" ] ||
        arm-none-eabi-gcc $flags -w -c "$source/library/$name.c" -o "$name.o"
    [ ! -f "$name.o" ] || objects="${objects:-} $name.o"
done
for file in drivers/checksum.c drivers/cursor.c firmware/image.c firmware/image_verify.c firmware/slots.c firmware/modbus_server.c \
    firmware/update.c firmware/update_server.c firmware/bootloader.c firmware/bootloader_heap.c firmware/bootloader_main.c \
    firmware/bootloader_start.c "boards/$board/boot.c" "boards/$board/flash.c"; do
    sources="${sources:-} $root/$file"
done
arm-none-eabi-gcc $flags $ours "-DWARDGATE_VERSION=\"$version\"" $sources key.c $objects -nostartfiles --specs=nano.specs \
    --specs=nosys.specs -Wl,--gc-sections -Wl,--defsym,FLASH_BASE="$(value flash_base)",--defsym,RAM_BASE="$(value ram_base)" \
    -T "$root/firmware/bootloader.ld" -Wl,-Map=bootloader.map -o bootloader.elf
arm-none-eabi-objcopy -O binary bootloader.elf bootloader.bin
symbol() { arm-none-eabi-nm bootloader.elf | sed -n "s/^\([0-9a-f]*\) . $1\$/0x\1/p"; }
data=$(($(symbol link_bss_end) - $(value ram_base) - 512))
echo "bootloader $board: flash $(wc -c <bootloader.bin) of 32768 bytes, RAM $data data + 2560 stack of 8192 bytes"
