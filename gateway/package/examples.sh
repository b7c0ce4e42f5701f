#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The broker's mosquitto.conf and acl of an example site, written by the tool itself: examples.sh OUT WARDGATE [EMULATOR...]
set -eu
out=$1 tool=$2
shift 2
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
run() { "$@" >/dev/null; }
run "$@" "$tool" pki init "$site/pki" --site royal-north
run "$@" "$tool" pki broker "$site/pki" mqtt.royal-north.example
run "$@" "$tool" pki chart "$site/pki" chart-1
run "$@" "$tool" pki board "$site/pki" bay-1
run "$@" "$tool" pki broker-config "$site/pki" --user mosquitto --folder /etc/mosquitto/wardgate
mkdir -p "$out"
cp "$site/pki/broker/mosquitto.conf" "$site/pki/broker/acl" "$out"
