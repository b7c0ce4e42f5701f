#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The night of a clock change, once in each direction: every program sees a wall clock that comes to 01:00 UTC on the last Sunday of March or
October while readings and ADT with London's local times come in. Patients stay, and move just before and just after the change.
In spring every time is one instant: all is charted. In autumn the hour from 01:00 to 02:00 comes twice and a local time in it is one of two
instants: what that leaves in doubt is held. Nothing stands on the wrong patient or with a wrong time.

  summertime.py BUILD spring|autumn"""
import collections
import datetime
import os
import sys
import time

from shimmed import UTC, Board, Clock, compare, served_rows, standing, write_rows
from ward import Ward, wait_for
from adt import Feed, stamp

SECOND = datetime.timedelta(seconds=1)
ROWS, EVERY_MS = 100, 200
BEFORE, MOVES = 8 * SECOND, 4 * SECOND  # the run begins so long before the change; patients move so long before and after it
NEAR = datetime.timedelta(milliseconds=250)  # a reading so near a move is rightly held


def change(direction):
    """The next one: a board believes no time from before it was built."""
    day = datetime.datetime.now(UTC) + datetime.timedelta(days=2)
    while True:
        day = day.replace(hour=1, minute=0, second=0, microsecond=0)
        if day.month == {'spring': 3, 'autumn': 10}[direction] and day.weekday() == 6 and (day + datetime.timedelta(days=7)).month != day.month:
            return day
        day += datetime.timedelta(days=1)


class Night:
    def __init__(self, build, direction, ward):
        self.direction, self.ward, self.problems = direction, ward, []
        self.change = change(direction)
        self.shim = os.path.join(os.path.abspath(build), 'system', 'libclock_shim.so')
        if not os.path.exists(self.shim):
            raise FileNotFoundError(self.shim)
        # bed -> [(from, patient or None)]
        early, late = self.change - MOVES, self.change + MOVES
        long = self.change - datetime.timedelta(minutes=90)  # in both directions before any hour that comes twice
        self.truth = {1: [(long, 'CN00001')], 2: [(long, 'CN00002'), (early, None)], 3: [(long, None), (early, 'CN00002')],
                      4: [(long, 'CN00004'), (late, None)], 5: [(long, None), (late, 'CN00004')]}

    def now(self):
        return datetime.datetime.now(UTC) + self.offset

    def set_clock(self, to):
        self.offset = to - datetime.datetime.now(UTC)
        self.clock.set(self.offset.total_seconds(), True)

    def tell(self, event, patient, bed, at, **more):
        assert self.feed.send(self.feed.message(event, patient, f'Bed {bed}', at, **more)) == 'AA'

    def start(self):
        ward = self.ward
        self.clock = Clock(ward.path('wall'))
        self.set_clock(self.change - datetime.timedelta(minutes=30))
        os.environ.update(self.clock.environment(self.shim))  # for all that is started from here on; not for this process
        ward.make_pki()
        ward.start_broker()
        ward.start_epr()
        ward.write_chart_config({f'GSU^GSU^Bed {n}': f'bed-{n}' for n in self.truth})
        ward.start_chart()
        self.feed = Feed(ward.adt_port)
        for bed, stays in self.truth.items():
            if stays[0][1]:
                self.tell('A01', stays[0][1], bed, stays[0][0])
        write_rows(ward.path('rows.csv'), ROWS)
        # Nothing runs yet that has stamped anything: from here on the clock only goes on.
        self.set_clock(self.change - BEFORE)
        port = ward.emulate('devices', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--served', ward.path('served'),
                            '--replay', ward.path('rows.csv'), '--every', f'{EVERY_MS}ms', '--each-row-once-read',
                            *[part for n in self.truth for part in ('--unit', str(n))])
        self.boards = []
        for n in self.truth:
            board = Board(ward, f'board-{n}' if n > 1 else ward.gateway, n, port, self.shim)
            board.clock.set(self.offset.total_seconds(), True)
            board.start()
            self.boards.append(board)

    def until(self, moment):
        time.sleep(max(0.0, (moment - self.now()).total_seconds()))

    def play(self):
        for patient, source, to, at in (('CN00002', 2, 3, self.change - MOVES), ('CN00004', 4, 5, self.change + MOVES)):
            self.until(at + SECOND)
            self.tell('A02', patient, to, at, before=f'Bed {source}', told=at + SECOND)
        wait_for('all rows served', lambda: len(served_rows(self.ward, 'served')) >= ROWS * len(self.truth), 120)
        time.sleep(1)

        def done():
            books = self.ward.books()
            waits = sum(b.status()['store'][k] for b in self.boards for k in ('unreceipted', 'pending'))
            return books if not waits and not books['pending'] and books['decoded'] >= ROWS * len(self.truth) else None
        return wait_for('all to be decided', done, 60, 0.2)

    def whose(self, bed, at):
        """The patient; '?' near a move."""
        patient = None
        for since, who in self.truth[bed]:
            if at >= since:
                patient = who
            if abs(at - since) < NEAR:
                return '?'
        return patient

    def judge(self, books):
        rows = served_rows(self.ward, 'served')
        results, withdrawn = standing(self.ward.messages())
        wrong, largest = compare(results, rows)
        self.problems += wrong
        sides = collections.Counter(r.at >= self.change for r in results)
        per_bed = collections.Counter(r.unit for r in results)
        misplaced = [r for r in results if self.whose(r.unit, rows.get((r.unit, r.value), r.at)) not in ('?', r.patient)]
        self.problems += [f'bed {r.unit} at {r.at}: charted on {r.patient}' for r in misplaced]
        due = collections.Counter(unit for (unit, _), at in rows.items() if self.whose(unit, at) not in ('?', None))
        certain = [1] if self.direction == 'autumn' else list(self.truth)
        for bed in certain:
            if per_bed[bed] < due[bed]:
                self.problems.append(f'bed {bed}: {per_bed[bed]} charted of {due[bed]} that are certain')
        if not (sides[False] and sides[True]) or books['charted'] != len(results) or not books['balanced']:
            self.problems.append(f'{sides} before and after the change; the books say {books}')
        if self.direction == 'autumn' and not books['held']:
            self.problems.append('nothing was held, although a local time was two instants')
        print(f'{self.direction} change at {self.change:%Y-%m-%d %H:%MZ} (local {stamp(self.change - SECOND)[8:12]} then '
              f'{stamp(self.change)[8:12]}): {len(rows)} readings served, {sides[False]} charted before and {sides[True]} after it with the right '
              f'time (largest error {largest.total_seconds() * 1000:.0f} ms), {len(wrong)} wrong times, {len(misplaced)} on the wrong patient, '
              f'{books["held"]} held, {withdrawn} withdrawn on the way')

    def run(self):
        self.start()
        self.judge(self.play())
        for problem in self.problems[:20]:
            print('problem:', problem)
        return 1 if self.problems else 0


def main():
    with Ward(sys.argv[1], quiet=False) as ward:
        return Night(sys.argv[1], sys.argv[2], ward).run()


if __name__ == '__main__':
    sys.exit(main())
