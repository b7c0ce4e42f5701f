#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bed node that keeps samples while nobody reads it. The node's firmware as a process, with the sample memory of the smallest
board that must hold an hour; oximeter, wardgated, TLS broker, chart and receiver are the real ones.

The bus is cut for an hour of node time (its clock and the oximeter's run fast meanwhile). Then the gateway is killed several times
while it drains. A second queue is cut short by a reset of the node while it is drained. At the end each sample number stands in the
gateway's store once or lies inside a gap that counts it, and each reading stands at the receiver once.

  outage.py --build DIR --hour SECONDS --second SECONDS --fast N --memory BYTES [--kills N]"""
import argparse
import collections
import csv
import datetime
import os
import pty
import select
import signal
import sys
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', '..', 'lib'), os.path.join(HERE, '..')]
import emulated                      # noqa: E402
from adt import Feed                 # noqa: E402
from ward import Ward, wait_for      # noqa: E402

PULSE, SPO2 = 149530, 150456
ROWS = [(30 + i % 199, 70 + i // 199 % 30) for i in range(199 * 30)]
DEVICE = 'node-1'
HEADS, SLOT = 32 * 12, 16             # firmware/samples.h: bytes of the shared parts and of an oximeter's sample

arguments = argparse.ArgumentParser()
arguments.add_argument('--build', required=True)
arguments.add_argument('--hour', type=int, default=3600, help='node seconds that the bus is cut')
arguments.add_argument('--second', type=int, default=900, help='node seconds of the second cut')
arguments.add_argument('--fast', type=int, default=100)
arguments.add_argument('--memory', required=True, help='bytes, or the name of a board of which they are')
arguments.add_argument('--kills', type=int, default=3)
options = arguments.parse_args()
options.memory = int(options.memory) if options.memory.isdigit() else emulated.spare(options.build, options.memory)


class Wire:
    """The bus between gateway and node. Cut, it loses every byte both ways; both ends stay open, as with a real one."""

    def __init__(self, near, far):
        self.whole = True
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.symlink(os.ttyname(self.slave), near)
        self.far = os.open(far, os.O_RDWR | os.O_NOCTTY)
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        other = {self.master: self.far, self.far: self.master}
        while True:
            for end in select.select(list(other), [], [])[0]:
                data = os.read(end, 4096)
                if self.whole:
                    os.write(other[end], data)


def start(ward):
    ward.make_pki()
    ward.start_broker()
    ward.start_epr()
    ward.write_chart_config({'GSU^GSU^Bed 1': 'bed-1'})
    ward.start_chart()
    admitted = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(hours=6)
    feed = Feed(ward.adt_port)
    assert feed.send(feed.message('A01', 'CN00001', 'Bed 1', admitted)) == 'AA'
    node = ward.start('node', [os.path.join(ward.bin, 'wardgate-node'), '--bus', ward.path('far'), '--device', ward.path('device'),
                               '--flash', ward.path('flash'), '--memory', str(options.memory), '--fast', str(options.fast)])
    wait_for('the node', lambda: os.path.exists(ward.path('far')) and os.path.exists(ward.path('device')))
    wire = Wire(ward.path('bus'), ward.path('far'))
    ward.write_gateway_config(f'''  - name: bay
    kind: rtu
    port: {ward.path('bus')}
    baud: 19200
    parity: none
    devices:
      - {{id: {DEVICE}, address: 1, profile: wardgate-node, place: bed-1, silence: 30s}}
''')
    ward.start_gateway()
    return node, wire


class Oximeter:
    """Goes on in the rows where it stopped, at another speed."""

    def __init__(self, ward):
        self.ward, self.at, self.speed, self.began, self.shown = ward, 0, 0, 0, set()

    def run(self, speed):
        if self.speed:
            self.ward.stop('oximeter')
            self.at += int((time.monotonic() - self.began) * self.speed) + 1
        self.speed = speed
        if not speed:
            return
        with open(self.ward.path('rows.csv'), 'w', encoding='utf-8') as file:
            csv.writer(file).writerows([('PULSE', 'SpO2'), *(ROWS[self.at % len(ROWS):] + ROWS[:self.at % len(ROWS)])])
        self.began = time.monotonic()
        self.ward.emulate('oximeter', 'nonin', '--rtu', self.ward.path('device'), '--format', 'df2', '--baud', '0', '--replay',
                          self.ward.path('rows.csv'), '--every', '1s', '--speed', str(speed), '--loop')


def stored(ward):
    """What the gateway's store holds of the node, in its order: ('reading', number, values) and ('gap', count)."""
    found, at = [], 1
    while True:
        answers = ward.ask_gateway('tail', **{'from': at, 'count': 200})
        for record in answers[:-1]:
            if record.get('device') != DEVICE:
                continue
            if record['kind'] == 'reading':
                values = {o['code']: o.get('value') for o in record['observations']}
                found.append(('reading', record['sample'], (int(values[PULSE]), int(values[SPO2]))))
            elif record['kind'] == 'gap' and record['gap']['to'] is not None:
                found.append(('gap', record['gap']['count'], record['gap']['reason']))
        if answers[-1]['next'] >= answers[-1]['head']:
            return found
        at = answers[-1]['next']


def newest(ward):
    """Number of the newest sample that the store has; None while the gateway starts."""
    try:
        numbers = [r['sample'] for r in ward.ask_gateway('tail', count=30) if r.get('kind') == 'reading']
        return max(numbers) if numbers else None
    except (OSError, ValueError, IndexError, KeyError):
        return None


def cut(ward, node, wire, oximeter, seconds):
    """No gateway for that long by the node's clock."""
    wire.whole = False
    oximeter.run(options.fast)
    node.send_signal(signal.SIGUSR1)
    time.sleep(seconds / options.fast)
    node.send_signal(signal.SIGUSR1)
    oximeter.run(1)


def reached(ward, number):
    return (newest(ward) or 0) >= number


def drain_and_kill(ward, wire, seconds):
    """Kills spread over the drain: each after another part of it came."""
    part = seconds // (options.kills + 2)
    before = wait_for('the gateway', lambda: newest(ward))
    wire.whole = True
    for kill in range(1, options.kills + 1):
        wait_for('a part of the queue', lambda n=before + kill * part: reached(ward, n), 120, every=0.005)
        ward.kill('gateway')
        ward.start_gateway()
    wait_for('the first queue', lambda: reached(ward, before + seconds * 9 // 10), 300)


def cut_and_reset(ward, node, wire, oximeter):
    """A second queue, and the node's reset in the middle of its drain. Seen through the store's commits, the middle may be over when
    it is seen: then once more. Returns how often."""
    for attempt in range(1, 6):
        cut(ward, node, wire, oximeter, options.second)
        before = wait_for('the gateway', lambda: newest(ward))
        wire.whole = True
        wait_for('a part of the second queue', lambda: reached(ward, before + 2), 120, every=0.002)
        node.send_signal(signal.SIGUSR2)
        wait_for('readings after the reset', lambda: reached(ward, before + options.second + 5), 120)
        if any(kind == 'gap' and count for kind, count, _ in stored(ward)[-60:]):
            break
    return attempt


def check(found, problems):
    """Numbers: each once, and a jump is a gap of that count. Returns (readings, lost)."""
    last, lost, counted, restarts = None, 0, 0, 0
    for kind, number, more in found:
        if kind == 'gap':
            counted += number or 0
            restarts += number is None
            continue
        if last is not None and number <= last:
            problems.append(f'sample {number & 0xffffffff} after {last & 0xffffffff}: twice or out of order')
        elif last is not None and number - last - 1 != counted:
            problems.append(f'samples {last + 1 & 0xffffffff} to {number - 1 & 0xffffffff} are missing, and {counted} are said to be lost')
        if last is not None and counted:
            print(f'lost and told: samples {last + 1 & 0xffffffff} to {number - 1 & 0xffffffff} ({counted})')
        lost, counted, last = lost + counted, 0, number
    if restarts:
        problems.append(f'{restarts} gaps without a count')
    return sum(k == 'reading' for k, _, _ in found), lost


def main():
    problems, began = [], time.monotonic()
    with Ward(options.build, quiet=False) as ward:
        node, wire = start(ward)
        oximeter = Oximeter(ward)
        oximeter.run(1)
        wait_for('the first readings', lambda: len(ward.messages()) >= 2, 60)
        cut(ward, node, wire, oximeter, options.hour)
        drain_and_kill(ward, wire, options.hour)
        time.sleep(2)
        readings, lost = check(stored(ward), problems)
        fits = options.hour < (options.memory - HEADS) // SLOT
        if (lost > 0) is fits or readings + lost < options.hour * 0.9:
            problems.append(f'of {options.hour} s without a bus {readings} samples came and {lost} were lost')
        first = f'{readings} samples kept, {lost} told as lost of'
        attempts = cut_and_reset(ward, node, wire, oximeter)
        oximeter.run(0)
        time.sleep(2)
        books = wait_for('all of it to be decided', ward.drained, 300)
        found = stored(ward)
        before, (readings, lost) = lost, check(found, problems)
        if not 0 < lost - before < options.second * attempts:
            problems.append(f'the reset cost {lost - before} of {options.second}: it was not within the drain')
        # At the receiver: each reading of the store once, with its values, and nothing else.
        ours = collections.Counter(values for kind, _, values in found if kind == 'reading')
        theirs = collections.Counter()
        for message in ward.messages():
            values = {int(o['code'].split('^')[0]): o['value'] for o in message['observations'] if o['type'] == 'NM'}
            theirs[(int(values[PULSE]), int(values[SPO2]))] += 1
        if ours != theirs:
            problems.append(f'store and receiver differ in {len((ours - theirs) + (theirs - ours))} values')
        strange = [v for v in ours if v not in set(ROWS)]
        if strange:
            problems.append(f'{len(strange)} values were never shown, {strange[:3]}')
        for problem in problems[:20]:
            print(problem)
        print(f'{first} {options.hour} s of node time without a bus, {options.kills} kills of the gateway in their drain; {readings} charted once, '
              f'{lost - before} lost to a reset within a drain and told with their range; {time.monotonic() - began:.0f} s')
        return 0 if not problems and books['balanced'] else 1


if __name__ == '__main__':
    sys.exit(main())
