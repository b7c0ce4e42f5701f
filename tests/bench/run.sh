#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the benches: installs what is missing, builds release, measures, prints a table.
#   --json FILE    writes {"machine": ..., "figures": [...]} there
#   --quick        a few minutes: 200,000 and 1,000,000 queued instead of 1 and 10 million, shorter looks
#   --only PART    one of: store forward drain cpu bus (may be given again)
# Every figure is a ratio, or a limit, within this run; nothing here gates anything.
# Exit: 0 measured (whether or not the goals hold), 64 wrong usage, 69 could not be built or installed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
json=''
quick=''
only=''
usage() { sed -n '3,8s/^# \{0,1\}//p' "$0"; exit "$1"; }
while [ $# -gt 0 ]; do
    case $1 in
    --json)
        [ $# -ge 2 ] || usage 64
        json=$2
        shift ;;
    --quick) quick=--quick ;;
    --only)
        [ $# -ge 2 ] || usage 64
        only="$only --only $2"
        shift ;;
    -h | --help) usage 0 ;;
    *) echo "bench: unknown argument '$1'" >&2; usage 64 ;;
    esac
    shift
done

sh "$root/tests/lib/install.sh" || exit 69
build=${WARDGATE_RELEASE:-$root/build/release}
log=$(mktemp)
[ -f "$build/build.ninja" ] || cmake -S "$root" --preset release -B "$build" >"$log" 2>&1 || { cat "$log"; rm -f "$log"; exit 69; }
ninja -C "$build" -j2 wardgated wardgate-chart wardgate bare_mqtt receipter fill_store store_bench bus_bench >"$log" 2>&1 ||
    { tail -n 60 "$log"; rm -f "$log"; exit 69; }
rm -f "$log"
# shellcheck disable=SC2086
exec /usr/bin/python3 "$here/bench.py" --build "$build" ${json:+--json "$json"} $quick $only
