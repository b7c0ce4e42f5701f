#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages named in tests/packages.txt that are missing. A line may give alternatives
# (a|b): the first that the archive has is taken. Needs root only when something is missing.
set -eu
list=${1:-$(dirname "$0")/../packages.txt}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
known() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }

wanted() { # one line of alternatives -> the package to install, or nothing when one is there
    alternatives=$(printf '%s' "$1" | tr '|' ' ')
    for package in $alternatives; do installed "$package" && return 0; done
    for package in $alternatives; do known "$package" && { echo "$package"; return 0; }; done
    echo "${alternatives%% *}"
}

missing() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list" | while read -r line; do wanted "$line"; done; }

some=$(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list" | while read -r line; do
    for package in $(printf '%s' "$line" | tr '|' ' '); do installed "$package" && continue 2; done; echo "$line"; done)
[ -n "$some" ] || exit 0
run=''
[ "$(id -u)" = 0 ] || run=sudo
echo "installing what is missing: $(echo $some)"
DEBIAN_FRONTEND=noninteractive $run apt-get update -qq || echo "install: apt-get update failed, trying with the lists at hand" >&2
# shellcheck disable=SC2046
if ! DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $(missing) >/dev/null; then
    echo "install: apt-get could not install: $(missing | tr '\n' ' ')" >&2
    exit 69
fi
