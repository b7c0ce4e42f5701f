#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boards whose clocks are wrong, the whole way: emulator -> wardgated -> TLS broker -> wardgate-chart -> a third-party HL7 receiver.

  late    at 1970 and unsynchronised when it starts (TLS works all the same); the time comes later
  never   at 1970 for a whole boot; the next boot has the time
  honest  set wrong by each of +-1 s, 1 min, 1 h, 1 d, 1 y in mid-run, the kernel saying so; then right and synchronised again
  start   the same, wrong from the start until the time comes
  liar    the same in mid-run, but the kernel says throughout that it is synchronised

Every charted time must be right to the uncertainty stated with it, or the reading held; and all of late, honest and start be charted.

  clock.py BUILD [--rows N] [--every MS]"""
import argparse
import collections
import datetime
import os
import sys
import time

from shimmed import UTC, EPOCH, Board, compare, served_rows, standing, write_rows
from ward import Ward, wait_for
from adt import Feed

STEPS = {'1s': 1, '1min': 60, '1h': 3600, '1d': 86400, '1y': 365 * 86400}
SIGNS = {'ahead': 1, 'behind': -1}
EMULATED = 12  # boards an emulator: it takes a limited number of connections
SETTLE = 0.3  # longer than a look at the clock takes: a kernel that is set is unsynchronised first, and synchronised later


class Plan:
    """One board's story: what its clock does when it starts, at a third and at two thirds of the rows."""

    def __init__(self, kind, offset, board):
        self.kind, self.offset, self.board, self.phase = kind, offset, board, 0

    def begin(self):
        wrong = self.kind in ('late', 'never', 'start')
        self.board.clock.set(self.offset if wrong else 0, not wrong)
        self.board.start()

    def set_wrong(self):
        if self.kind == 'honest':
            self.board.clock.set(synced=False)
            time.sleep(SETTLE)
        if self.kind in ('honest', 'liar'):
            self.board.clock.set(self.offset)

    def set_right(self):
        if self.kind == 'never':
            self.board.stop()
        self.board.clock.set(0)
        if self.kind != 'liar':
            time.sleep(SETTLE)
            self.board.clock.set(synced=True)
        if self.kind == 'never':
            self.board.start()

    def step(self, served, rows):
        """The next thing, if it is time for it."""
        if self.phase < 2 and served >= (self.phase + 1) * rows // 3:
            (self.set_wrong, self.set_right)[self.phase]()
            self.phase += 1


class Test:
    def __init__(self, given, ward):
        self.given, self.ward, self.plans, self.problems, self.books = given, ward, [], [], []
        self.shim = os.path.join(os.path.abspath(given.build), 'system', 'libclock_shim.so')
        if not os.path.exists(self.shim):
            raise FileNotFoundError(self.shim)

    def stories(self):
        to_1970 = (EPOCH + datetime.timedelta(minutes=10) - datetime.datetime.now(UTC)).total_seconds()
        yield 'late', to_1970, 'late'
        yield 'never', to_1970, 'never'
        for kind in ('honest', 'start', 'liar'):
            for step, seconds in STEPS.items():
                for sign, factor in SIGNS.items():
                    yield kind, factor * seconds, f'{kind}-{step}-{sign}'

    def start(self):
        ward, stories = self.ward, list(self.stories())
        ward.gateway = stories[0][2]
        ward.make_pki()
        ward.start_broker()
        ward.start_epr()
        beds = range(1, len(stories) + 1)
        ward.write_chart_config({f'GSU^GSU^Bed {n}': f'bed-{n}' for n in beds})
        ward.start_chart()
        feed = Feed(ward.adt_port)
        # Long before: a time that is wrong by a year still falls into the stay, and would be charted.
        since = datetime.datetime.now(UTC).replace(microsecond=0) - datetime.timedelta(days=1000)
        for n in beds:
            assert feed.send(feed.message('A01', f'CN{n:05d}', f'Bed {n}', since)) == 'AA'
        write_rows(ward.path('rows.csv'), self.given.rows)
        for unit, (kind, offset, name) in enumerate(stories, 1):
            if unit % EMULATED == 1:
                port = self.emulate(unit, min(unit + EMULATED, len(stories) + 1))
            self.plans.append(Plan(kind, offset, Board(ward, name, unit, port, self.shim)))
        for plan in self.plans:
            plan.begin()

    def emulate(self, first, past):
        units = [part for n in range(first, past) for part in ('--unit', str(n))]
        book = f'served-{first}'
        self.books.append(book)
        return self.ward.emulate(book + '-line', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--served',
                                 self.ward.path(book), '--replay', self.ward.path('rows.csv'), '--every', f'{self.given.every}ms',
                                 '--each-row-once-read', *units)

    def rows(self):
        return served_rows(self.ward, *self.books)

    def counts(self):
        return collections.Counter(unit for unit, _ in self.rows())

    def held(self):
        """{(unit, reason): readings}"""
        rows = collections.Counter()
        for row in self.ward.ask_chart('held'):
            if 'place' in row:
                rows[int(row['place'].rsplit('-', 1)[1]), row['reason']] += row['readings']
        return rows

    def check_1970(self):
        """While they are at 1970, readings reach the chart through TLS and are held for their time."""
        waits = {p.board.unit for p in self.plans if p.kind in ('late', 'never')}

        def there():
            held = self.held()
            return all(held[unit, 'time-unknown'] > 0 for unit in waits)
        wait_for('readings of boards at 1970 in the chart', there)
        for plan in self.plans:
            if plan.board.unit in waits:
                status = plan.board.status()
                if '1970' not in str(status):
                    self.problems.append(f'{plan.board.name}: its own clock is not at 1970: {status}')

    def play(self):
        seen_1970 = False
        end = time.monotonic() + self.given.rows * self.given.every / 1000 * 20 + 120
        while True:
            counts = self.counts()
            for plan in self.plans:
                if plan.kind in ('late', 'never') and not seen_1970 and counts[plan.board.unit] >= self.given.rows // 3:
                    self.check_1970()
                    seen_1970 = True
                plan.step(counts[plan.board.unit], self.given.rows)
            if all(counts[p.board.unit] >= self.given.rows and p.phase == 2 for p in self.plans):
                return
            if time.monotonic() > end:
                raise TimeoutError(f'rows served: {counts}')
            time.sleep(0.1)

    def settle(self):
        """Everything receipted, nothing pending, for a while."""
        quiet = [None, 0.0]

        def done():
            waits = sum(p.board.status()['store'][k] for p in self.plans for k in ('unreceipted', 'pending'))
            books = self.ward.books()
            key = (books['decoded'], books['charted'], books['held'])
            if waits or books['pending'] or quiet[0] != key:
                quiet[:] = [key, time.monotonic()]
            return books if time.monotonic() - quiet[1] > 2 else None
        return wait_for('all to be decided', done, 120, 0.2)

    def judge(self, books):
        rows = self.rows()
        results, withdrawn = standing(self.ward.messages())
        held = self.held()
        wrong, largest = compare(results, rows)
        self.problems += wrong
        charted = collections.Counter(r.unit for r in results)
        per_kind = collections.defaultdict(lambda: [0, 0, 0])
        for plan in self.plans:
            unit = plan.board.unit
            here = {reason: n for (u, reason), n in held.items() if u == unit}
            for i, n in enumerate((1, charted[unit], sum(here.values()))):
                per_kind[plan.kind][i] += n
            self.judge_board(plan, charted[unit], here)
            if charted[unit] + sum(here.values()) != self.given.rows:
                self.problems.append(f'{plan.board.name}: {self.given.rows} served, {charted[unit]} charted, {here} held')
            for result in results:
                if result.unit == unit and result.patient != f'CN{unit:05d}':
                    self.problems.append(f'{plan.board.name}: charted on {result.patient}')
        if books['charted'] != len(results) or not books['balanced']:
            self.problems.append(f'{len(results)} results stand, the books say {books}')
        for kind, (boards, n, waits) in per_kind.items():
            print(f'{kind}: {boards} boards, {n} charted, {waits} held')
        print(f'{len(rows)} readings of {len(self.plans)} boards served, {len(results)} charted with the right time (largest error '
              f'{largest.total_seconds() * 1000:.0f} ms), {len(wrong)} wrong, {sum(held.values())} held, {withdrawn} withdrawn on the way')

    def judge_board(self, plan, charted, held):
        """What must be charted, and what must not."""
        if plan.kind in ('late', 'honest', 'start') and held:
            self.problems.append(f'{plan.board.name}: {held} held, although the time of its boot became known')
        if plan.kind == 'never' and not (set(held) == {'time-unknown'} and charted > 0 and held['time-unknown'] >= self.given.rows // 3):
            self.problems.append(f'{plan.board.name}: {charted} charted, held {held}')

    def run(self):
        self.start()
        self.play()
        self.judge(self.settle())
        for problem in self.problems[:30]:
            print('problem:', problem)
        return 1 if self.problems else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('build')
    arguments.add_argument('--rows', type=int, default=45)
    arguments.add_argument('--every', type=int, default=300)
    given = arguments.parse_args()
    with Ward(given.build, quiet=False) as ward:
        return Test(given, ward).run()


if __name__ == '__main__':
    sys.exit(main())
