# SPDX-License-Identifier: Apache-2.0
"""Wall clocks that can be set, the boards that have them, and what the receiver was told, with its times."""
import datetime
import mmap
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
from ward import ROOT, ask  # noqa: E402

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MAXERROR_US = 100_000  # what the kernel states; the emulator's and the gateway's moment of one request are nearer than that
HEART_RATE, ACCURACY = '147842', 'MDC_TIME_SYNC_ACCURACY'


def moment(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))


class Clock:
    """The file that clock_shim.c maps."""

    def __init__(self, path):
        self.path = path
        with open(path, 'wb') as file:
            file.write(bytes(24))
        with open(path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 24)
        self.set(0, False)

    def word(self, at, value):
        self.map[at:at + 8] = struct.pack('=q', value)

    def set(self, offset_s=None, synced=None):
        self.word(16, MAXERROR_US)
        if offset_s is not None:
            self.word(0, round(offset_s * 1_000_000))
        if synced is not None:
            self.word(8, int(synced))

    def environment(self, shim, boot=None):
        more = {'LD_PRELOAD': shim, 'WARDGATE_CLOCK': self.path}
        if boot:
            more['WARDGATE_BOOT'] = boot
        return {**os.environ, **more}


class Board:
    """One gateway of a ward with folders, a certificate and a clock of its own."""

    def __init__(self, ward, name, unit, port, shim):
        self.ward, self.name, self.unit, self.shim, self.boots = ward, name, unit, shim, 0
        for folder in ('', 'run', 'store'):
            os.mkdir(self.path(folder), 0o700)
        self.clock = Clock(self.path('clock'))
        if name != ward.gateway:
            ward.tool('pki', 'board', ward.path('pki'), name)
        self.configure(port)

    def path(self, *parts):
        return self.ward.path(self.name, *parts)

    def configure(self, port):
        keys = self.ward.path('pki', 'boards', self.name)
        with open(self.path('gateway.yaml'), 'w', encoding='utf-8') as file:
            file.write(f'''site: {self.ward.site}
gateway: {self.name}
run: {self.path('run')}
profiles: {os.path.join(ROOT, 'drivers', 'profiles')}
store: {{folder: {self.path('store')}, key: {self.path('store.key')}, size: 4MiB, commit: 50ms}}
clock: {{trust: kernel}}
broker:
  host: localhost
  port: {self.ward.broker_port}
  ca: {keys}/ca.pem
  certificate: {keys}/cert.pem
  key: {keys}/key.pem
  crl: {keys}/crl.pem
  reconnect_min: 100ms
  reconnect_max: 2s
buses:
  - name: line
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
      - {{id: monitor-{self.unit}, address: {self.unit}, profile: wardgate-monitor, place: bed-{self.unit}, every: 100ms}}
''')

    def start(self):
        """Each start is another boot."""
        self.boots += 1
        with open(self.path('boot'), 'w', encoding='utf-8') as file:
            file.write(f'{self.unit:08x}-0000-4000-8000-{self.boots:012x}\n')
        self.ward.start(self.name, [os.path.join(self.ward.bin, 'wardgated'), '-c', self.path('gateway.yaml')],
                        env=self.clock.environment(self.shim, self.path('boot')))

    def stop(self):
        self.ward.stop(self.name)

    def status(self):
        return ask(self.path('run', 'control.sock'), {'do': 'status'})[-1]


class Result:
    """A result that stands in the receiver's chart."""

    def __init__(self, message):
        rows = message['observations']
        stated = next(o for o in rows if ACCURACY in o['code'])
        value = next(o for o in rows if o['code'].startswith(HEART_RATE + '^'))
        self.stated = datetime.timedelta(microseconds=int(stated['value']))
        self.withdraws = value['status'] == 'W'
        self.filler = value['filler']
        self.patient = message['patient'].split('^')[0]
        self.unit = int(value['device'].split('^')[0].rsplit('-', 1)[1])
        self.at = datetime.datetime.strptime(value['time'], '%Y%m%d%H%M%S.%f%z')
        self.value = value['value']


def standing(messages):
    """Results minus withdrawn, by filler; and how many were withdrawn."""
    found, withdrawn = {}, 0
    for message in messages:
        result = Result(message)
        if result.withdraws:
            # With the time that it came with: a receiver may look for it by that.
            assert found.pop(result.filler).at == result.at, f'{result.filler} is withdrawn with another time'
            withdrawn += 1
        else:
            assert result.filler not in found, f'{result.filler} stands twice'
            found[result.filler] = result
    return list(found.values()), withdrawn


def served_rows(ward, *names):
    """{(unit, heart rate): when it was read}: every row has a rate of its own."""
    return {(row['unit'], row['row']['HR']): moment(row['read']) for name in names for row in ward.served(name)
            if not row.get('unread')}


def write_rows(path, count):
    with open(path, 'w', encoding='utf-8') as file:
        file.write('HR,SpO2\n' + ''.join(f'{40 + n / 10:.1f},{90 + n % 10}\n' for n in range(count)))


def compare(results, rows):
    """Every charted time must be right to its stated uncertainty. Returns what is wrong, and the largest error seen."""
    problems, largest, seen = [], datetime.timedelta(0), set()
    millisecond = datetime.timedelta(milliseconds=1)  # OBX-14 has no more digits
    for result in results:
        key = (result.unit, result.value)
        if key not in rows:
            problems.append(f'unit {result.unit}: {result.value} is charted and was never served')
            continue
        if key in seen:
            problems.append(f'unit {result.unit}: {result.value} is charted twice')
        seen.add(key)
        error = abs(result.at - rows[key])
        largest = max(largest, error)
        if error > result.stated + millisecond:
            problems.append(f'unit {result.unit}: {result.value} read {rows[key]}, charted {result.at} +- {result.stated}')
    return problems, largest
