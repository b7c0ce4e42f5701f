# SPDX-License-Identifier: Apache-2.0
"""A ward for the benches: two more certificates that may see what others send, a backlog made at once, and looks at /proc."""
import json
import os
import subprocess
import time

import ward

BEDS = 30


class BenchWard(ward.Ward):
    def __init__(self, build):
        super().__init__(build, quiet=False)
        self.bench = os.path.join(build, 'bench')
        self.make_pki()
        for name in ('bench-1', 'bench-2'):
            self.tool('pki', 'board', self.path('pki'), name)
        with open(self.path('pki', 'broker', 'acl'), 'a', encoding='utf-8') as file:
            file.write('\nuser bench-1\ntopic readwrite bench/#\ntopic read wardgate/1/#\n\nuser bench-2\ntopic read wardgate/1/#\ntopic read bench/#\n')

    def certificate(self, *who):
        return [self.path('pki', *who, name) for name in ('ca.pem', 'cert.pem', 'key.pem')]

    def end(self, what, tail=None, who=('boards', 'bench-2'), name='end'):
        """Starts receipter; what it notes goes to a file of its own."""
        with open(self.path(f'{name}.ndjson'), 'w', encoding='utf-8') as out:
            self.start(name, [os.path.join(self.bench, 'receipter'), what, 'localhost', str(self.broker_port), *self.certificate(*who),
                              tail or self.site], stdout=out)
        ward.wait_for('receipter', lambda: self.noted(name), 20)

    def noted(self, name='end'):
        with open(self.path(f'{name}.ndjson'), encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]

    def fill(self, readings, mib):
        command = [os.path.join(self.bench, 'fill_store'), self.path('store'), self.path('store.key'), str(mib), str(readings)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def monitors(self, every='1s', count=BEDS):
        """Emulated monitors on one Modbus TCP line; returns the YAML of the bus."""
        units = [part for n in range(1, count + 1) for part in ('--unit', str(n), '--seed', str(n))]
        port = self.emulate('emulator', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--turnaround', '0', *units)
        bus = f'  - name: bus-a\n    kind: tcp\n    host: 127.0.0.1\n    tcp_port: {port}\n    devices:\n'
        for n in range(1, count + 1):
            bus += f'      - id: live-{n}\n        address: {n}\n        profile: wardgate-monitor\n        place: bed-{n - 1}\n        every: {every}\n'
        return bus

    def pid(self, name):
        return self.processes[name].pid

    def status(self):
        return self.ask_gateway('status', )[-1]

    def status_soon(self):
        """The status, or None while nobody answers."""
        try:
            return self.status()
        except (OSError, ValueError, IndexError):
            return None

    def receipt_times(self, first, name='end'):
        """Milliseconds from measurement to the receipt's arrival for readings from seq first on."""
        ranges = [row for row in self.noted(name) if 'first' in row and row['last'] >= first]
        times, at = [], first
        while True:
            rows = self.ask_gateway('tail', **{'from': at, 'count': 1000})
            for row in rows[:-1]:
                if row.get('kind') != 'reading':
                    continue
                told = next((r['at_us'] for r in ranges if r['first'] <= row['seq'] <= r['last']), None)
                if told is not None:
                    times.append((told - row['time']['monotonic_us']) / 1000)
            if rows[-1]['next'] <= at or rows[-1]['next'] >= rows[-1]['head']:
                return sorted(times)
            at = rows[-1]['next']


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


def cpu_s(pid):
    """Seconds that a process has run, user and system: the scheduler's own sum, since ticks are coarse at ten readings a second."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/schedstat', encoding='utf-8') as file:
            total += int(file.read().split()[0])
    return total / 1e9


def private_kib(pid):
    """Private memory: all of it, and without the pages of the store's file, which are the page cache's."""
    total = own = 0
    mapped = ''
    with open(f'/proc/{pid}/smaps', encoding='utf-8') as file:
        for row in file:
            if row.startswith('Private_'):
                kib = int(row.split()[1])
                total += kib
                own += 0 if mapped.endswith('data.mdb') else kib
            elif '-' in row.split(' ', 1)[0] and not row.split(' ', 1)[0].endswith(':'):
                mapped = row.strip()
    return total, own


def written(pid):
    with open(f'/proc/{pid}/io', encoding='utf-8') as file:
        return int(next(row for row in file if row.startswith('write_bytes')).split()[1])


def watch_rate(rows, low, high):
    """Readings a second between two counts of what `receipter` noted."""
    points = [(row['at_us'] / 1e6, row['readings']) for row in rows if 'readings' in row]
    begin = next(p for p in points if p[1] >= low)
    end = next(p for p in points if p[1] >= high)
    if end[0] <= begin[0]:
        raise ValueError('too few readings for a rate')
    return (end[1] - begin[1]) / (end[0] - begin[0])


def sleep_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


__all__ = ['BenchWard', 'percentile', 'cpu_s', 'private_kib', 'written', 'watch_rate', 'sleep_until', 'BEDS']
