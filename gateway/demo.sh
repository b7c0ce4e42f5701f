#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A small ward of real parts on loopback: installs what is missing, builds, runs until Ctrl-C.
#   --once   a fixed scenario: a late transfer, a dead slave, a broker kill, a cut link, a killed gateway; the last line
#            is its balance as one JSON object; exit 0 only when nothing is lost, doubled or on the wrong patient
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
case ${1:-} in '' | --once) ;; *) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 64 ;; esac
sh "$root/tests/lib/install.sh" || exit 69
build=${WARDGATE_RELEASE:-$root/build/release}
if [ ! -x "$build/bin/wardgated" ] || [ -z "${WARDGATE_RELEASE:-}" ]; then
    echo "building in $build"
    cmake -S "$root" --preset release -B "$build" >/dev/null
    ninja -C "$build" -j2 wardgated wardgate-chart wardgate | tail -n 1
fi
exec /usr/bin/python3 "$here/demo.py" "$build" "$@"
