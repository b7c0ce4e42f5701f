# SPDX-License-Identifier: Apache-2.0
"""Good files, from which each bad one differs in one place. {F} is the test's folder, {P} that of the profiles."""

GATEWAY = '''\
site: demo
gateway: bay-1
run: {F}/run
profiles: {P}
store:
  folder: {F}/store
  key: {F}/store.key
  size: 4MiB
  commit: 50ms
clock: {trust: wall}
broker:
  host: localhost
  port: 8883
  ca: {F}/ca.pem
  certificate: {F}/cert.pem
  key: {F}/key.pem
  reconnect_min: 100ms
  reconnect_max: 2s
buses:
  - name: line-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: 502
    devices:
      - id: monitor-1
        address: 1
        profile: wardgate-monitor
        place: bed-1
'''

CHART = '''\
site: demo
control: {F}/crun/chart.sock
ledger: {folder: {F}/ledger, key: {F}/ledger.key, size_max: 64MiB}
broker:
  host: localhost
  port: 8883
  ca: {F}/ca.pem
  certificate: {F}/cert.pem
  key: {F}/key.pem
  socket: {F}/crun/link.sock
adt:
  address: 127.0.0.1
  port: 2576
  zone: Europe/London
  places: {F}/places.yaml
charting:
  interval: 1min
destinations:
  - name: epr
    kind: hl7
    host: 127.0.0.1
    port: 2575
    retry_min: 250ms
    retry_max: 2s
'''

PLACES = '''\
places:
  - location: "GSU^GSU^Bed 1"
    place: bed-1
  - location: "GSU^GSU^Bed 2"
    place: bed-2
'''

PROFILE = '''\
name: test-monitor
title: test monitor
status: stable
evidence: made up for this test
hole_max: 8
response_ms: 200
turnaround_ms: 5
every_ms: 1000
fields:
  - name: HR
    function: 3
    address: 2
    type: float
    order: ABCD
    code: MDC_ECG_HEART_RATE
    unit: MDC_DIM_BEAT_PER_MIN
    minimum: 0
    maximum: 350
golden:
  - framing: tcp
    request: 00 01 00 00 00 06 11 03 00 02 00 02
    reply: 00 01 00 00 00 07 11 03 04 FF 00 04 06
    expect:
      HR: "103.0"
'''
