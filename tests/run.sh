#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests: installs what is missing, builds, runs every tier at CI size.
#   --quick        the essence, at most 2 minutes
#   --long         the full figures of the issues
#   --only TIER    one of: arch unit captures fuzz sim fault system boards web (may be given again)
# A tier is tests/TIER/run or tests/TIER/*/run. Each prints `pass: name`, `fail: name`, `skip: name: why` lines
# beside what it has to say; one that prints none counts once, by its exit code (77 = skipped).
# The last line is `N passed, N failed, N skipped`; what failed or was skipped is named above it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
all='arch unit captures fuzz sim fault system boards web'
size=ci
tiers=''
usage() { sed -n '3,9s/^# \{0,1\}//p' "$0"; exit "$1"; }
while [ $# -gt 0 ]; do
    case $1 in
    --quick) size=quick ;;
    --long) size=long ;;
    --only)
        [ $# -ge 2 ] || usage 64
        case " $all " in *" $2 "*) tiers="$tiers $2" ;; *) echo "run.sh: no tier '$2'; there are: $all" >&2; exit 64 ;; esac
        shift ;;
    -h | --help) usage 0 ;;
    *) echo "run.sh: unknown argument '$1'" >&2; usage 64 ;;
    esac
    shift
done
[ -n "$tiers" ] || tiers=$all

sh "$here/lib/install.sh" || exit 69

builds=${WARDGATE_BUILDS:-$root/build}
export WARDGATE_ROOT="$root" WARDGATE_SIZE="$size"
export WARDGATE_DEV="$builds/dev" WARDGATE_ASAN="$builds/asan" WARDGATE_FUZZ="$builds/fuzz" WARDGATE_RELEASE="$builds/release"
export WARDGATE_RECORDINGS="${WARDGATE_RECORDINGS:-$root/../shared/data}"
work=$(mktemp -d "${TMPDIR:-/tmp}/wardgate-tests.XXXXXX")
export TMPDIR="$work"
end() { # pid: and what it started
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do end "$child"; done
    kill "$1" 2>/dev/null
}
beside=''
trap '[ -z "$beside" ] || end "$beside"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

build() { # preset folder: configure and build, quiet unless it fails
    [ -f "$builds/$1/build.ninja" ] ||
        cmake -S "$root" --preset "$1" -B "$builds/$1" >"$work/build.log" 2>&1 || { cat "$work/build.log"; return 1; }
    ninja -C "$builds/$1" -j2 -k 0 >"$work/build.log" 2>&1 || { tail -n 60 "$work/build.log"; return 1; }
}

passed=0 failed=0 skipped=0 named=''
account() { # tier script log rc
    p=$(grep -c '^pass: ' "$3") f=$(grep -c '^fail: ' "$3") s=$(grep -c '^skip: ' "$3")
    name=$1/$(basename "$(dirname "$2")")
    [ "$(dirname "$2")" = "$here/$1" ] && name=$1
    if [ "$4" = 77 ] && [ "$s" = 0 ]; then s=1; named="$named
skipped: $name: $(tail -n 1 "$3")"; fi
    if [ "$4" != 0 ] && [ "$4" != 77 ] && [ "$f" = 0 ]; then f=1; named="$named
failed: $name: exit $4: $(tail -n 1 "$3")"; fi
    [ $((p + f + s)) = 0 ] && p=1
    named="$named$(sed -n "s|^fail: |\nfailed: $name: |p; s|^skip: |\nskipped: $name: |p" "$3")"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    echo "-- $name: $p passed, $f failed, $s skipped"
}

began=$(date +%s)
presets='dev'
case "$size $tiers" in quick*) ;; *) presets='dev asan' ;; esac
case " $tiers " in *' fuzz '*) [ "$size" = quick ] || presets="$presets fuzz" ;; esac
case " $tiers " in *' fault '* | *' system '* | *' sim '*) presets="$presets release" ;; esac
for preset in $presets; do
    build "$preset" || { echo "failed: build $preset"; echo '0 passed, 1 failed, 0 skipped'; exit 1; }
done
echo "-- built $presets in $(($(date +%s) - began)) s"

# What only computes runs beside what mostly waits (real lines, brokers, emulated boards), at low priority: it takes
# what those leave over and hardly disturbs them. Its output comes at the end.
computes='arch fuzz sim'
scripts() { # whether: those of $tiers that compute (yes) or not (no)
    for tier in $tiers; do
        case " $computes " in *" $tier "*) kind=yes ;; *) kind=no ;; esac
        [ "$kind" = "$1" ] || continue
        for script in "$here/$tier/run" "$here/$tier"/*/run; do [ ! -f "$script" ] || echo "$tier $script"; done
    done
}
run() { # script log: its output, its exit code in log.rc, its seconds in log.s
    start=$(date +%s)
    { sh "$1"; echo $? >"$2.rc"; } 2>&1 | tee "$2"
    echo $(($(date +%s) - start)) >"$2.s"
}
tell() { # tier script log
    account "$1" "$2" "$3" "$(cat "$3.rc")"
    echo "-- $(cat "$3.s") s"
}

scripts yes >"$work/beside"
mkdir "$work/low"
(
    export TMPDIR="$work/low"
    renice -n 10 "$(exec sh -c 'echo "$PPID"')" >/dev/null 2>&1
    while read -r tier script; do run "$script" "$work/low/$tier" >/dev/null </dev/null; done <"$work/beside"
) &
beside=$!
scripts no >"$work/first"
while read -r tier script; do
    echo "== ${script#"$here"/}"
    run "$script" "$work/log" </dev/null
    tell "$tier" "$script" "$work/log"
done <"$work/first"
wait "$beside"
beside=''
while read -r tier script; do
    echo "== ${script#"$here"/}"
    cat "$work/low/$tier"
    tell "$tier" "$script" "$work/low/$tier"
done <"$work/beside"
echo "-- whole run: $(($(date +%s) - began)) s, size $size"
[ -z "$named" ] || printf '%s\n' "$named" | sed '/^$/d'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
