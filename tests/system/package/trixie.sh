#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian 13 (mbedTLS 3.6, TLS 1.3): the project is built there, its unit tests run there, its packages are installed in a fresh root.
# trixie.sh WORK CACHE MIRROR, from run.
set -u
here=$(dirname "$0")
work=$1 cache=$2 mirror=$3
rc=0
verdict() { if [ "$1" = 0 ]; then echo "pass: $2"; else echo "fail: $2"; rc=1; fi; }
[ "$(id -u)" = 0 ] || { echo 'skip: Debian 13: needs root'; exit 0; }
fetch() { # VARIANT PACKAGES OUT
    [ -s "$3" ] && return 0
    mkdir -p "$cache"
    mmdebstrap --quiet --variant="$1" --include="$2" trixie "$3.part" --format=tar "deb $mirror trixie main" >"$3.log" 2>&1 && mv "$3.part" "$3"
}
# What building needs, and what unit tests need beside it.
tools=$(sed -e 's/#.*//' -e 's/ //g' -e '/^$/d' "$work/one/gateway/package/packages.txt" | tr '\n' ',')iproute2,mosquitto,mosquitto-clients,openssl
if ! fetch apt "$tools" "$cache/trixie-build-curl.tar"; then
    echo "skip: Debian 13: no Debian archive at $mirror: $(tail -n 1 "$cache/trixie-build-curl.tar.log")"
    exit 0
fi
mkdir "$work/trixie"
tar -xf "$cache/trixie-build-curl.tar" -C "$work/trixie"
cp -r "$work/one" "$work/trixie/src"
cat >"$work/trixie/build-it" <<'END'
unset TMPDIR # the caller's is not in this root
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ip link set lo up
cd /src
cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=gcc >/log 2>&1 && ninja -C /build -k0 -j2 >>/log 2>&1
status=$?
echo "built $status"
[ $status = 0 ] || { grep -E 'error|FAILED' /log | head -n 20; exit 1; }
ctest --test-dir /build -L unit -j2 --repeat until-pass:2 >/log 2>&1
echo "units $? $(grep -c Passed /log)"
grep '\*\*\*' /log
sh gateway/package/build.sh /package >/log 2>&1
echo "packages $?"
tail -n 5 /log
END
unshare -n -m -p -f --kill-child sh -c 'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; exec chroot "$1" sh /build-it' \
    sh "$work/trixie" >"$work/log" 2>&1
grep -q '^built 0' "$work/log"; verdict $? 'Debian 13: builds with every warning an error'
grep -q '^units 0' "$work/log"; verdict $? "Debian 13: unit tests ($(sed -n 's/^units [0-9]* //p' "$work/log"))"
grep -q '^packages 0' "$work/log"; verdict $? 'Debian 13: packages'
[ $rc = 0 ] || cat "$work/log"
if [ -d "$work/trixie/package/packages" ]; then cp -r "$work/trixie/package/packages" "$work/trixie-debs"; fi
rm -rf "$work/trixie"
exit $rc
