#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a fresh Debian root that has nothing of wardgate but /debs. Prints pass:/fail: lines; $1 is the root's name.
set -u
name=$1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
ok() { if [ "$1" = 0 ]; then echo "pass: $name: $2"; else echo "fail: $name: $2"; [ ! -f /log ] || tail -n 15 /log; fi; }
unset TMPDIR # the caller's is not in this root
is() { [ "$1" = "$2" ] || echo "   is '$1', should be '$2'"; [ "$1" = "$2" ]; ok $? "$3"; }
as() { runuser -u wardgated -- "$@"; }
until_true() { n=0; until "$@"; do n=$((n + 1)); [ $n -lt 600 ] || return 1; sleep 0.1; done; }

dpkg -i /debs/wardgated_*.deb /debs/wardgate_*.deb /debs/wardgate-chart_*.deb >/log 2>&1
ok $? 'dpkg -i'
is "$(id -un wardgated 2>&1) $(id -un wardgate-chart 2>&1)" 'wardgated wardgate-chart' 'the services have their users'
id -nG wardgated | grep -qw dialout; ok $? 'the gateway may open serial lines'
[ -e /etc/systemd/system/multi-user.target.wants/wardgated.service ]; ok $? 'the service is enabled'
wardgate --help >/log 2>&1; ok $? 'wardgate --help'
wardgate-chart --version >/log 2>&1; ok $? 'wardgate-chart --version'
wardgate check profile /usr/share/wardgate/profiles/*.yaml >/log 2>&1; ok $? 'the packaged profiles are good'

# The chart service does what its example says, with the folders that its unit gives it and no other.
{ wardgate pki init /site --site homerton && wardgate pki chart /site chart-1; } >/log 2>&1
mkdir -p /etc/wardgate/pki
cp /site/charts/chart-1/*.pem /etc/wardgate/pki/
cp /etc/wardgate/wardgate-chart.example.yaml /etc/wardgate/wardgate-chart.yaml
systemd-tmpfiles --create wardgate-chart.conf >/log 2>&1
install -d -m 700 -o wardgate-chart -g wardgate-chart /run/wardgate-chart /var/lib/wardgate-chart # as the unit has it
runuser -u wardgate-chart -- sh -c 'echo $$ >/run/wardgate-chart/pid; umask 077; exec wardgate-chart -c /etc/wardgate/wardgate-chart.yaml' >/log 2>&1 &
chart=$!
until_true grep -q ready /log; ok $? 'wardgate-chart runs as its example says'
{ [ -s /var/lib/wardgate-chart/ledger.key ] && [ -e /var/lib/wardgate-chart/ledger ]; }; ok $? 'its ledger and key are in its state folder'
wardgate status --chart >/status 2>&1
is $? 1 'wardgate status --chart finds it, without a broker'
kill "$(cat /run/wardgate-chart/pid)"
wait $chart
rm -r /etc/wardgate/wardgate-chart.yaml /var/lib/wardgate-chart /etc/wardgate/pki
# The broker's example is good once its files are where it says.
{ wardgate pki broker /site localhost && wardgate pki broker-config /site --folder /etc/mosquitto/wardgate; } >/log 2>&1
mkdir -p /etc/mosquitto
cp -r /site/broker /etc/mosquitto/wardgate
cp /usr/share/doc/wardgate-chart/examples/mosquitto.conf /usr/share/doc/wardgate-chart/examples/acl /etc/mosquitto/wardgate/
wardgate check broker --conf /etc/mosquitto/wardgate/mosquitto.conf >/log 2>&1; ok $? "the packaged mosquitto.conf is good"
grep -q '^user chart-1' /etc/mosquitto/wardgate/acl; ok $? 'the packaged ACL names the chart service'

# A board is enrolled as the pages say.
{ wardgate pki init /pki --site demo && wardgate pki board /pki bay-1; } >/log 2>&1
ok $? 'certificates'
cp /pki/boards/bay-1/ca.pem /etc/wardgate/ca.pem
cp /pki/boards/bay-1/cert.pem /etc/wardgate/bay-1.pem
cp /pki/boards/bay-1/key.pem /etc/wardgate/bay-1.key
cat >/etc/wardgate/wardgated.yaml <<END
site: demo
gateway: bay-1
store: {folder: /var/lib/wardgated/store, key: /var/lib/wardgated/store.key, size: 64MiB}
clock: {trust: wall}
broker: {host: localhost, port: 1, ca: /etc/wardgate/ca.pem, certificate: /etc/wardgate/bay-1.pem, key: /etc/wardgate/bay-1.key}
buses:
  - name: bus-a
    kind: tcp
    host: 127.0.0.1
    tcp_port: 15020
    devices:
      - {id: monitor-1, address: 1, profile: wardgate-monitor, place: ward-7.bay-1.bed-1, every: 250ms}
END
systemd-tmpfiles --create wardgated.conf >/log 2>&1
is "$(stat -c '%a %U %G' /etc/wardgate/bay-1.key)" '640 root wardgated' 'tmpfiles gives the key to the service alone'
install -d -m 700 -o wardgated -g wardgated /run/wardgated # as the unit's RuntimeDirectory= does it
as wardgated -t >/log 2>&1; ok $? 'wardgated -t'

wardgate emulate modbus --tcp 127.0.0.1:15020 --profile wardgate-monitor --unit 1 --seed 1 >/emulate.log 2>&1 &
emulator=$!
as sh -c 'echo $$ >/run/wardgated/pid; exec wardgated' >/log 2>&1 &
waits() { wardgate queue --json 2>/dev/null | grep -o '"unreceipted": *[0-9]*' | grep -o '[0-9]*$'; }
enough() { [ "$(waits || echo 0)" -ge 5 ] 2>/dev/null; }
until_true enough; ok $? 'readings wait in the queue, for there is no broker'
kill "$(cat /run/wardgated/pid)" $emulator
wait
before=$(as wardgated -w)
[ "$before" -ge 5 ]; ok $? "wardgated -w counts them ($before)"

echo '# a local change' >>/etc/wardgate/wardgated.example.yaml
dpkg -i /debs/next/wardgated_*.deb >/log 2>&1; ok $? 'upgrade'
is "$(dpkg-query -W -f '${Version}' wardgated)" "$(dpkg-deb -f /debs/next/wardgated_*.deb Version)" 'the new version is in'
is "$(as wardgated -w)" "$before" 'the upgrade keeps the queue'
tail -n 1 /etc/wardgate/wardgated.example.yaml | grep -q 'a local change'; ok $? 'the upgrade keeps a changed conffile'

dpkg --purge wardgated >/log 2>&1; ok $? 'purge'
grep -q "unsent readings: $before" /log; ok $? 'the purge says how many readings are unsent'
[ -e /var/lib/wardgated/store/data.mdb ]; ok $? 'the purge keeps unsent readings'
dpkg -i /debs/wardgated_*.deb >/log 2>&1
is "$(as wardgated -w)" "$before" 'installed again, the queue is there'
rm -r /var/lib/wardgated/store
dpkg --purge wardgated >/log 2>&1
{ [ ! -e /var/lib/wardgated ] && ! grep -q WARNING /log; }; ok $? 'the purge of an empty store leaves nothing and warns of nothing'

complete() { # words...: what the shell offers for the last one
    bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader wardgate
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wardgate; echo "${COMPREPLY[*]}"' bash "$@" 2>/dev/null
}
is "$(complete wardgate pk)" pki 'completion of a verb'
is "$(complete wardgate queue --j)" --json 'completion of an option'
is "$(complete wardgate pki rev)" revoke 'completion of a command'
