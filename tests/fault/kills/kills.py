#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of everything, and the books must balance to the reading.

Real wardgated, mosquitto (TLS) and wardgate-chart on loopback; Modbus TCP devices that count each sample they serve; a PAS that
moves patients and repeats what is not acknowledged; an EPR that refuses (AE, AR), stalls, breaks the connection and answers
with another's control id. Every 200-500 ms any combination of the three programs is killed, the broker's memory with it.
Then the killing stops, and when all has drained:
  served = decoded + inside a gap      decoded = charted + kept + held + rejected, nothing pending, lost or in conflict
  in the EPR: one control id never has two contents, one reading stands once, on the patient who was in the bed.

    kills.py --build DIR [--kills N] [--seed S] [--interval 1s|0s] [--keep]
"""
import argparse
import collections
import datetime
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import adt    # noqa: E402
import ward   # noqa: E402

BEDS = 6
EVERY_MS = 100


def filler_of(text):
    """OBR-3: which reading, and which generation of it."""
    return next(row.split('|')[3] for row in text.split('\r') if row.startswith('OBR')).split('^')[0]


class Device:
    """A Modbus TCP monitor. A read of its block from register 0 is a new sample until it is frozen."""

    def __init__(self, number):
        self.number, self.sample, self.frozen = number, 0, False
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            line, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(line,), daemon=True).start()

    @staticmethod
    def text(value):
        raw = value.encode().ljust(16, b'\0')
        return list(struct.unpack('>8H', raw))

    def registers(self, address, count):
        rows = [0x007F, 0xFFFF] * 48  # NaN: the monitor has no value
        rows = [w for pair in [(0x007F, 0xFFFF)] * 48 for w in pair]
        rows[0:2] = [self.sample >> 16, self.sample & 0xFFFF]
        rows[2:4] = [0x0000, 40 + self.number]               # HR says which device it is
        rows[8:10] = [0x0000, 80 + self.sample % 20]         # SpO2
        rows[64:72], rows[72:80] = self.text('wardgate'), self.text('monitor')
        rows[80:88] = self.text(f'K-{self.number:04d}')
        return rows[address:address + count]

    def serve(self, line):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b''
        try:
            while True:
                more = line.recv(4096)
                if not more:
                    return
                data += more
                while len(data) >= 12:
                    transaction, _, _, unit, function, address, count = struct.unpack('>HHHBBHH', data[:12])
                    data = data[12:]
                    if function != 3 or address + count > 96:
                        line.sendall(struct.pack('>HHHBBB', transaction, 0, 3, unit, function | 0x80, 2))
                        continue
                    if address == 0 and count > 1 and not self.frozen:
                        self.sample += 1
                    body = struct.pack(f'>{count}H', *self.registers(address, count))
                    line.sendall(struct.pack('>HHHBBB', transaction, 0, 3 + len(body), unit, 3, len(body)) + body)
        except OSError:
            pass
        finally:
            line.close()


class Epr:
    """An HL7 receiver over MLLP that misbehaves by a seed until it is told to be well."""

    def __init__(self, seed):
        self.seed, self.chance, self.well, self.lock = seed, random.Random(seed), False, threading.Lock()
        self.messages = collections.OrderedDict()  # control -> text, of those taken
        self.double, self.repeats = [], 0
        self.refused = set()  # results by filler number, refused for good
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            line, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(line,), daemon=True).start()

    def serve(self, line):
        data = b''
        try:
            while True:
                more = line.recv(65536)
                if not more:
                    return
                data += more
                while b'\x1c\r' in data:
                    frame, data = data.split(b'\x1c\r', 1)
                    if not self.answer(line, frame.lstrip(b'\x0b').decode()):
                        return
        except OSError:
            pass
        finally:
            line.close()

    def answer(self, line, text):
        control = text.split('\r', 1)[0].split('|')[9]
        with self.lock:
            fault = 1.0 if self.well else self.chance.random()
            stall = self.chance.uniform(0.2, 1.5)
            if control in self.messages:
                self.repeats += 1
                if self.messages[control] != text:
                    self.double.append(control)
            # What it refuses for good it always refuses: that is about the message, not the moment.
            withdrawal = any(row.split('|')[11:12] == ['W'] for row in text.split('\r') if row.startswith('OBX'))
            never = zlib.crc32(f'{self.seed}{control}'.encode()) % 150 == 0 and not withdrawal
            code = 'AE' if fault < 0.03 else 'AR' if never else 'AA'
            # A refused message is not taken: what a later answer says of it holds.
            if code == 'AA':
                self.messages.setdefault(control, text)
            elif code == 'AR':
                self.refused.add(filler_of(text))
        if 0.03 <= fault < 0.04:
            return False          # the line breaks before the answer
        if 0.04 <= fault < 0.05:
            time.sleep(stall)     # or the answer is late
        told = 'ANOTHER-MESSAGE' if 0.05 <= fault < 0.053 else control
        line.sendall(f'\x0bMSH|^~\\&|EPR||WARDGATE||20260101||ACK|{control}|P|2.6\rMSA|{code}|{told}\r\x1c\r'.encode())
        return True


class Pas(threading.Thread):
    """Moves patients between beds, and repeats each message until it is acknowledged."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.feed, self.chance = adt.Feed(port), random.Random(seed)
        self.stays = []  # (bed, patient, from, to)
        self.where, self.stop, self.sent, self.tries = {}, threading.Event(), 0, 0

    def tell(self, text):
        while True:
            self.tries += 1
            try:
                if self.feed.send(text, 3) == 'AA':
                    self.sent += 1
                    return
            except (OSError, ConnectionError):
                pass
            time.sleep(0.1)

    @staticmethod
    def now():
        return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

    def admit(self):
        for bed in range(1, BEDS):  # the last bed is empty
            patient, at = f'HX{1000 + bed}', self.now() - datetime.timedelta(minutes=5)
            self.tell(self.feed.message('A01', patient, f'BED{bed}', at))
            self.where[patient] = (bed, at)

    def run(self):
        while not self.stop.wait(self.chance.uniform(6, 12)):
            patient = self.chance.choice(sorted(self.where))
            free = (set(range(1, BEDS + 1)) - {bed for bed, _ in self.where.values()}).pop()
            bed, since = self.where[patient]
            at = self.now()
            if (at - since).total_seconds() < 3:
                continue
            text = self.feed.message('A02', patient, f'BED{free}', at, before=f'BED{bed}')
            time.sleep(self.chance.uniform(0, 4))  # told late
            self.tell(text)
            self.stays.append((bed, patient, since, at))
            self.where[patient] = (free, at)

    def truth(self, bed, moment):
        """The patient in a bed at a moment; None = nobody, '?' = somebody came or went within 1.5 s of it."""
        end = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)
        found = None
        for b, patient, since, to in self.stays + [(b, p, s, end) for p, (b, s) in self.where.items()]:
            if b != bed:
                continue
            for edge in (since, to):
                if edge != end and abs((moment - edge).total_seconds()) < 1.5:
                    return '?'
            if since <= moment < to:
                found = patient
        return found


class Test:
    def __init__(self, given):
        self.given, self.chance = given, random.Random(given.seed)
        self.killed = collections.Counter()
        self.problems = []
        self.ended = collections.Counter()

    def start(self):
        self.ward = ward.Ward(self.given.build, quiet=False)
        self.ward.make_pki()
        self.ward.start_broker()
        self.epr = Epr(self.given.seed + 1)
        self.ward.epr_port = self.epr.port
        self.devices = [Device(n) for n in range(1, BEDS + 1)]
        self.ward.write_chart_config({f'GSU^GSU^BED{n}': f'bed-{n}' for n in range(1, BEDS + 1)}, interval=self.given.interval)
        buses = ''
        for device in self.devices:
            buses += f'''  - name: line-{device.number}
    kind: tcp
    host: 127.0.0.1
    tcp_port: {device.port}
    devices:
      - id: monitor-{device.number}
        address: 1
        profile: wardgate-monitor
        place: bed-{device.number}
        every: {EVERY_MS}ms
'''
        self.ward.write_gateway_config(buses)
        self.ward.start_chart()
        self.pas = Pas(self.ward.adt_port, self.given.seed + 2)
        self.pas.admit()
        self.ward.start_gateway()
        self.pas.start()
        ward.wait_for('the first reading in the chart', lambda: self.books().get('charted'), 30)

    def books(self):
        try:
            return self.ward.books()
        except (OSError, ValueError, IndexError):
            return {}

    def kill(self, names):
        for name in names:
            process = self.ward.processes.get(name)
            if process is not None and process.poll() is not None and process.returncode != -signal.SIGKILL:
                self.ended[f'{name} by itself, {process.returncode}'] += 1
            if name == 'broker':
                self.ward.kill_broker()
            else:
                self.ward.kill(name)
            self.killed[name] += 1
        self.chance.shuffle(names)
        for name in names:
            self.ward.again(name)

    def storm(self):
        quiet = time.monotonic() + 10
        while sum(self.killed.values()) < self.given.kills:
            time.sleep(self.chance.uniform(0.2, 0.5))
            names = [n for n in ('gateway', 'broker', 'chart') if self.chance.random() < 0.45] or [self.chance.choice(
                ['gateway', 'broker', 'chart'])]
            self.kill(names)
            if time.monotonic() > quiet:  # now and then a moment to get on
                time.sleep(self.chance.uniform(0.5, 3))
                quiet = time.monotonic() + 10
                print(f'-- {sum(self.killed.values())} kills, books {self.short()}', flush=True)

    def short(self):
        books = self.books()
        return ' '.join(f'{k} {books[k]}' for k in ('decoded', 'charted', 'kept', 'held', 'rejected', 'pending') if k in books)

    def settle(self):
        """All is well from now on: everything must drain."""
        self.epr.well = True
        self.pas.stop.set()
        self.pas.join(60)
        time.sleep(1)
        for device in self.devices:
            device.frozen = True
        last = [None, 0.0]

        def done():
            for name in ('gateway', 'chart', 'broker'):
                if self.ward.processes[name].poll() is not None:
                    self.ended[f'{name} by itself at rest, {self.ward.processes[name].returncode}'] += 1
                    self.ward.again(name)
            books = self.ward.drained()
            if not books:
                last[0] = None
                return None
            key = (books['decoded'], books['gap_readings'], books['charted'])
            if last[0] != key:
                last[:] = [key, time.monotonic()]
                return None
            return books if time.monotonic() - last[1] > 4 else None
        return ward.wait_for('everything drains', done, 240, 0.2)

    def expect(self, name, is_, should):
        if is_ != should:
            self.problems.append(f'{name}: {is_}, expected {should}')

    def check_books(self, books):
        served = sum(device.sample for device in self.devices)
        self.expect('served = decoded + inside a gap', books['decoded'] + books['gap_readings'], served)
        self.expect('charted + kept + held + rejected', sum(books[k] for k in ('charted', 'kept', 'held', 'rejected')), books['decoded'])
        for name in ('pending', 'lost', 'conflicts', 'damaged'):
            self.expect(name, books[name], 0)
        sources = [row for row in self.ward.ask_chart('sources') if 'epoch' in row]
        for row in sources:
            self.expect('missing', row['missing'], 0)
            self.expect('doubted', row['doubted'], False)
        self.expect('epochs', len(sources), 1)
        return served

    def check_epr(self, books):
        standing, patients, wrong, checked, withdrawn, needless = {}, {}, 0, 0, 0, 0
        self.expect('control ids with two contents', len(self.epr.double), 0)
        for control, text in self.epr.messages.items():
            rows = [row.split('|') for row in text.split('\r')]
            patient = next(r for r in rows if r[0] == 'PID')[3].split('^')[0]
            filler = filler_of(text)
            values = [r for r in rows if r[0] == 'OBX' and len(r) > 11 and r[5]]
            if any(r[11] == 'W' for r in values):
                withdrawn += 1
                # What was refused after an attempt without an answer may stand, for all the chart knows: it is withdrawn too.
                needless += filler not in standing and filler in self.epr.refused
                if filler not in standing and filler not in self.epr.refused:
                    self.problems.append(f'{filler} withdrawn, but it does not stand')
                standing.pop(filler, None)
                continue
            reading = filler.rsplit('.', 1)[0]
            if filler in standing:
                self.problems.append(f'{filler} twice, as {standing[filler][0]} and {control}')
            if any(f.rsplit('.', 1)[0] == reading for f in standing):
                self.problems.append(f'{reading} stands twice')
            standing[filler] = (control, patient, values)
        for control, patient, values in standing.values():
            rates = [r for r in values if r[3].startswith('147842')]
            if not rates:
                continue
            bed = int(float(rates[0][5])) - 40
            moment = datetime.datetime.strptime(re.sub(r'\+0000$', '', rates[0][14]), '%Y%m%d%H%M%S.%f').replace(
                tzinfo=datetime.timezone.utc)
            truth = self.pas.truth(bed, moment)
            checked += truth != '?'
            if truth not in ('?', patient):
                wrong += 1
                self.problems.append(f'bed {bed} at {moment}: charted on {patient}, there was {truth}')
            patients[patient] = patients.get(patient, 0) + 1
        self.expect('readings standing in the EPR', len(standing), books['charted'])
        if len(standing) != books['charted']:
            self.explain(standing)
        return len(standing), withdrawn, needless, wrong, checked

    def explain(self, standing):
        """Names the readings that stand in the EPR and are not charted in the ledger."""
        for filler, (control, _, _) in standing.items():
            gateway, epoch, seq, _ = filler.rsplit('.', 3)
            rows = self.ward.ask_chart('history', gateway=gateway, epoch=epoch, seq=int(seq))
            if rows[-1].get('state') != 'charted':
                way = ' '.join(f"{row['when'][11:]} {row['from']}>{row['to']}({row['reason']}) {row['who']};" for row in reversed(rows[:-1]))
                self.problems.append(f'{filler} {control} stands, the ledger says {rows[-1]}: {way}')

    def run(self):
        began = time.monotonic()
        self.start()
        try:
            self.storm()
            books = self.settle()
            served = self.check_books(books)
            standing, withdrawn, needless, wrong, checked = self.check_epr(books)
        except (TimeoutError, OSError) as problem:
            self.problems.append(str(problem))
            self.problems.append(f'books {self.books()}')
            try:
                self.problems.append(f'store {self.ward.ask_gateway("status")[-1]["store"]}')
            except (OSError, KeyError):
                pass
        else:
            print(f'served {served}, decoded {books["decoded"]}, in gaps {books["gap_readings"]} ({books["gaps"]} gaps), '
                  f'charted {books["charted"]}, kept {books["kept"]}, held {books["held"]}, rejected {books["rejected"]}, pending 0')
            print(f'EPR: {standing} readings stand, {withdrawn} withdrawn ({needless} of them refused before, so in doubt), {self.epr.repeats} repeats all with the same bytes, '
                  f'{wrong} wrong of {checked} compared; {self.pas.sent} ADT messages in {self.pas.tries} tries')
        print(f'seed {self.given.seed}: {sum(self.killed.values())} kills {dict(self.killed)} in {time.monotonic() - began:.0f} s'
              + (f'; ended {dict(self.ended)}' if self.ended else ''))
        for problem in self.problems[:20]:
            print('problem:', problem)
        if self.problems and self.given.keep:
            print('kept', self.ward.folder)
        self.ward.close(keep=bool(self.problems) and self.given.keep)
        return 1 if self.problems else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--build', required=True)
    arguments.add_argument('--kills', type=int, default=600)
    arguments.add_argument('--seed', type=int, default=1)
    arguments.add_argument('--interval', default='1s', help='charting interval; 0s: every reading goes to the EPR')
    arguments.add_argument('--keep', action='store_true')
    test = Test(arguments.parse_args())
    return test.run()


if __name__ == '__main__':
    sys.exit(main())
