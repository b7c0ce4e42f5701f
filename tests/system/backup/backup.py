#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""backup.py BUILD: a copy of a running ledger, a move that it does not know, the ledger's loss, and the way back.

At the end each reading stands once in a third-party receiver that knows repeated control ids, on the patient who was in the bed;
what was measured after the copy waited for a person's word that the PAS had told everything again."""
import datetime
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import adt   # noqa: E402
import ward  # noqa: E402

failed = 0


def check(good, what, seen=''):
    global failed
    print(f"{'pass' if good else 'fail'}: {what}" + (f': {seen}' if seen and not good else ''))
    failed += not good


class Test:
    def __init__(self, place):
        self.place, self.began = place, datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

    def books(self):
        try:
            return self.place.books()
        except (OSError, ValueError, IndexError):
            return {}

    def standing(self):
        """Filler number: patient and moment, of what stands in the receiver."""
        found = {}
        for message in self.place.messages():
            rows = message['observations']
            filler = rows[0]['filler']
            if any(row['status'] == 'W' for row in rows):
                found.pop(filler, None)
                continue
            moment = datetime.datetime.strptime(rows[-1]['time'].split('+')[0], '%Y%m%d%H%M%S.%f').replace(tzinfo=datetime.timezone.utc)
            found[filler] = (message['patient'].split('^')[0], moment)
        return found

    def charted_on(self, patient):
        return sum(who == patient for who, _ in self.standing().values())

    def start(self):
        place = self.place
        place.make_pki()
        place.start_broker()
        place.start_epr()
        place.write_chart_config({'GSU^GSU^BED1': 'bed-1', 'GSU^GSU^BED2': 'bed-2'})
        place.start_chart()
        self.feed = adt.Feed(place.adt_port)
        self.feed.send(self.feed.message('A01', 'HX1001', 'BED1', self.began - datetime.timedelta(minutes=5)))
        port = place.emulate('emulator', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--seed', '3', '--every', '500ms')
        place.write_gateway_config(f'''  - name: line-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
      - id: monitor-1
        address: 1
        profile: wardgate-monitor
        place: bed-1
        every: 500ms
''')
        place.start_gateway()
        ward.wait_for('the first patient\'s chart', lambda: self.charted_on('HX1001') >= 5)

    def backup(self, to):
        return subprocess.run([os.path.join(self.place.bin, 'wardgate-chart'), '-c', self.place.path('chart.yaml'), '-B', to],
                              capture_output=True, text=True, check=False)

    def lose_and_put_back(self, copy):
        self.place.kill('chart')
        for name in os.listdir(self.place.path('ledger')):
            os.unlink(self.place.path('ledger', name))
        shutil.copy(os.path.join(copy, 'ledger.mdb'), self.place.path('ledger', 'ledger.mdb'))
        self.place.again('chart')

    def run(self):
        self.start()
        place, copy = self.place, self.place.path('copy')
        done = self.backup(copy)
        check(done.returncode == 0 and 'read back row by row' in done.stdout, 'a running ledger is copied', done.stdout + done.stderr)
        check(os.listdir(copy) and set(os.listdir(copy)) <= {'ledger.mdb', 'lock'}, 'the copy is a ledger and no key', os.listdir(copy))
        done = self.backup(copy)
        check(done.returncode == 69 and 'is there already' in done.stderr, 'a copy is never overwritten', done.stderr)

        moved = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=1)
        told = [self.feed.message('A02', 'HX1001', 'BED2', moved, before='BED1'), self.feed.message('A01', 'HX1002', 'BED1', moved)]
        for text in told:
            self.feed.send(text)
        ward.wait_for('the second patient\'s chart', lambda: self.charted_on('HX1002') >= 5)
        self.lose_and_put_back(copy)

        def waits():
            rows = place.ask_chart('held')[:-1]
            return [row for row in rows if row['reason'] == 'old-census' and row['readings'] >= 5]
        ward.wait_for('readings that wait', lambda: self.books() and waits())
        check(bool(waits()), 'what was measured after the copy waits')
        check(self.charted_on('HX1001') < 100 and all(moment < moved + datetime.timedelta(seconds=1) for who, moment in self.standing().values()
              if who == 'HX1001'), 'nothing measured after the move is charted on who was there before')
        done = place.tool('status', '--chart', '--socket', place.path('crun', 'chart.sock'), check=False)
        check(done.returncode == 1 and 'put back from a copy' in done.stderr, 'status says so', done.stderr)
        for text in told:
            self.feed.send(text)
        done = place.tool('held', 'whole', '--who', 'j.smith', '--socket', place.path('crun', 'chart.sock'), check=False)
        check(done.returncode == 0, 'a person says that the census is whole', done.stderr)
        place.stop('emulator')

        def at_rest():
            books = place.drained()
            sources = [row for row in place.ask_chart('sources') if 'epoch' in row] if books else []
            if not books or any(row['missing'] for row in sources):
                return None
            # A reading in the very second of the move is rightly held.
            return books if all(row['reason'] == 'moving' for row in place.ask_chart('held')[:-1]) else None
        books = ward.wait_for('everything is charted', at_rest, 60)
        check(books['balanced'] and books['lost'] == 0 and books['conflicts'] == 0, 'the books balance, nothing is lost', books)
        sources = [row for row in place.ask_chart('sources') if 'epoch' in row]
        check(all(row['missing'] == 0 and not row['doubted'] for row in sources), 'the gateway has sent again what the copy had not', sources)

        standing = self.standing()
        readings = {filler.rsplit('.', 1)[0] for filler in standing}
        check(len(readings) == len(standing) == books['charted'], 'each reading stands once', (len(readings), len(standing), books))
        second = datetime.timedelta(seconds=1.5)
        wrong = [(who, moment) for who, moment in standing.values() if abs(moment - moved) > second and
                 who != ('HX1001' if moment < moved else 'HX1002')]
        check(not wrong and self.charted_on('HX1002') >= 5, f'{len(standing)} readings, each on the patient who was there', wrong)


def main():
    with ward.Ward(sys.argv[1], quiet=False) as place:
        Test(place).run()
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
