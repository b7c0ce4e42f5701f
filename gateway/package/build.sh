#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian packages: build.sh BUILD-FOLDER [CMAKE-OPTION...]; they are then in BUILD-FOLDER/packages.
# For another architecture: --toolchain cmake/aarch64-linux-gnu.cmake -DCMAKE_SYSROOT=FOLDER (cmake/sysroot.sh makes FOLDER).
# Same source and same build packages: same bytes, wherever and whenever.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 64; }
folder=$1
shift
# The release's date is that of its changelog; it is also the earliest time that the programs believe.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$here/deb/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
umask 022
case " $* " in *' --toolchain'*) ;; *) set -- -DCMAKE_C_COMPILER=gcc "$@" ;; esac
cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "$@" >"$folder.log" 2>&1 ||
    { cat "$folder.log" >&2; exit 1; }
ninja -C "$folder" -j2 package_files >"$folder.log" 2>&1 || { tail -n 40 "$folder.log" >&2; exit 1; }
rm -rf "$folder/packages" "$folder/_CPack_Packages"
(cd "$folder" && cpack -G DEB) >"$folder.log" 2>&1 || { tail -n 40 "$folder.log" >&2; exit 1; }
rm -f "$folder.log"
ls "$folder"/packages/*.deb
