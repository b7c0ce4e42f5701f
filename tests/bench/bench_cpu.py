# SPDX-License-Identifier: Apache-2.0
"""CPU a reading against collectd's modbus and mqtt plugins: the same registers, broker and certificates, QoS 1."""
import os
import shutil
import time

import ward
from bench_ward import BenchWard, cpu_s

UNITS = 10
WARM_S = 5

PROFILE = '''name: bench-counter
title: one unsigned value
status: beta
evidence: made for the bench
hole_max: 0
response_ms: 500
turnaround_ms: 0
every_ms: 1000
fields:
  - name: value
    function: 3
    address: 0
    type: u32
    order: ABCD
    code: MDC_ECG_HEART_RATE
    unit: MDC_DIM_BEAT_PER_MIN
golden:
  - framing: rtu
    request: 01 03 00 00 00 02 C4 0B
    reply: 01 03 04 00 00 00 2A 7B EC
    expect: {value: "42"}
'''


def collectd_config(place, port, seconds):
    ca, certificate, key = place.certificate('boards', 'bench-1')
    slaves = ''.join(f'  <Slave {n}>\n   Instance "unit-{n}"\n   Collect "value"\n  </Slave>\n' for n in range(1, UNITS + 1))
    with open(place.path('collectd.conf'), 'w', encoding='utf-8') as file:
        file.write(f'''Hostname "bench"
FQDNLookup false
BaseDir "{place.path('collectd')}"
PIDFile "{place.path('collectd', 'pid')}"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval {seconds}
LoadPlugin logfile
<Plugin logfile>
 File stderr
</Plugin>
LoadPlugin modbus
LoadPlugin mqtt
<Plugin modbus>
 <Data "value">
  RegisterBase 0
  RegisterType Uint32
  RegisterCmd ReadHolding
  Type gauge
  Instance "value"
 </Data>
 <Host "line">
  Address "127.0.0.1"
  Port "{port}"
  Interval {seconds}
{slaves} </Host>
</Plugin>
<Plugin mqtt>
 <Publish "out">
  Host "localhost"
  Port {place.broker_port}
  ClientId "bench-1"
  QoS 1
  Prefix "bench"
  Retain false
  StoreRates true
  CACert "{ca}"
  CertificateFile "{certificate}"
  CertificateKeyFile "{key}"
  TLSProtocol "tlsv1.2"
 </Publish>
</Plugin>
''')


def measure(place, name, seconds):
    """CPU microseconds a delivered reading, and how many a second were delivered."""
    ward.wait_for('readings', lambda: place.noted()[-1].get('readings'), 30)
    time.sleep(WARM_S)

    def look():
        return time.monotonic(), cpu_s(place.pid(name)), place.noted()[-1].get('readings', 0)
    begin = look()
    time.sleep(seconds)
    end = look()
    got = end[2] - begin[2]
    if got == 0:
        raise RuntimeError(f'{name} delivered nothing')
    return (end[1] - begin[1]) * 1e6 / got, got / (end[0] - begin[0])


def ours(place, port, every, seconds, commit='100ms'):
    bus = f'  - name: bus-a\n    kind: tcp\n    host: 127.0.0.1\n    tcp_port: {port}\n    devices:\n'
    for n in range(1, UNITS + 1):
        bus += f'      - id: unit-{n}\n        address: {n}\n        profile: bench-counter\n        place: bed-{n}\n        every: {every}\n        beta: true\n'
    place.write_gateway_config(bus, commit=commit)
    with open(place.path('gateway.yaml'), encoding='utf-8') as file:
        text = [f'profiles: {place.folder}\n' if row.startswith('profiles:') else row for row in file]
    with open(place.path('gateway.yaml'), 'w', encoding='utf-8') as file:
        file.writelines(text)
    place.end('answer', who=('charts', 'chart-1'))
    place.start_gateway()
    found = measure(place, 'gateway', seconds)
    place.stop('gateway')
    place.stop('end')
    return found


def theirs(place, port, interval, seconds):
    collectd_config(place, port, interval)
    place.end('count', 'bench/#')
    place.start('collectd', [shutil.which('collectd') or '/usr/sbin/collectd', '-f', '-C', place.path('collectd.conf')])
    found = measure(place, 'collectd', seconds)
    place.stop('collectd')
    place.stop('end')
    return found


def run(bench):
    seconds = 20 if bench.quick else 60
    with BenchWard(bench.build) as place:
        place.start_broker()
        os.mkdir(place.path('collectd'))
        with open(place.path('bench-counter.yaml'), 'w', encoding='utf-8') as file:
            file.write(PROFILE)
        units = [part for n in range(1, UNITS + 1) for part in ('--unit', str(n), '--seed', str(n))]
        port = place.emulate('emulator', 'modbus', '--tcp', '127.0.0.1:0', '--profile', place.path('bench-counter.yaml'),
                             '--turnaround', '0', *units)
        for a_second, every, interval in ((10, '1s', '1'), (1000, '10ms', '0.01')):
            cost, rate = ours(place, port, every, seconds)
            peer, peer_rate = theirs(place, port, interval, seconds)
            print(f'   asked {a_second}/s: wardgated {cost:.0f} us a reading at {rate:.0f}/s, collectd {peer:.0f} us at {peer_rate:.0f}/s',
                  flush=True)
            bench.figures.add(f'cpu_a_reading_{a_second}', cost / peer, 'ratio', f'collectd modbus to mqtt, same registers ({peer:.0f} us '
                              f'at {peer_rate:.0f}/s; wardgated {cost:.0f} us at {rate:.0f}/s, commit 100 ms)', 0.7, 'lower')
            if a_second == 10:  # ten commits a second of one reading each, or one of ten
                slow, _ = ours(place, port, every, seconds, '1s')
                bench.figures.add('cpu_a_reading_10_commit_1s', slow / peer, 'ratio', f'the same, commit 1 s: wardgated {slow:.0f} us', 0.7,
                                  'lower')
