#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's ward, run by demo.sh: seven devices (four RTU slaves on one bus, one of them dead; two units over TCP; an oximeter's stream),
six beds, a TLS broker reached through a link that can be cut, a PAS, a chart service and a third-party HL7 receiver."""
import datetime
import json
import os
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'lib'))
from adt import Feed      # noqa: E402
from ward import Ward, wait_for  # noqa: E402

UTC = datetime.timezone.utc
BEDS = {f'bed-{n}': f'Bed {n}' for n in range(1, 8)}
DEVICES = {'monitor-1': 'bed-1', 'monitor-2': 'bed-2', 'monitor-3': 'bed-3', 'monitor-7': 'bed-7',
           'monitor-4': 'bed-4', 'monitor-5': 'bed-5', 'oximeter-6': 'bed-6'}


class Link:
    """The network between board and broker: bytes through a port of its own, until somebody cuts it."""

    def __init__(self, port):
        self.target, self.lines, self.up = port, set(), True
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                if not self.up:
                    raise ConnectionError
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                near.close()
                continue
            self.lines |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        self.drop(source, sink)

    def drop(self, *lines):
        for line in lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.lines.discard(line)

    def cut(self):
        self.up = False
        self.drop(*self.lines)

    def mend(self):
        self.up = True


class Demo:
    def __init__(self, build):
        self.ward = Ward(build, quiet=False)
        self.truth = {bed: [] for bed in BEDS}  # bed -> [(from, patient or None)]

    def say(self, text):
        print(f'{time.monotonic() - self.began:6.1f} s  {text}', flush=True)

    # --- the ward ---

    def start(self):
        ward = self.ward
        self.began = time.monotonic()
        ward.make_pki()
        ward.start_broker()
        self.link = Link(ward.broker_port)
        ward.start_epr()
        ward.write_chart_config({f'GSU^GSU^{name}': bed for bed, name in BEDS.items()}, interval='5s')
        ward.start_chart()
        self.feed = Feed(ward.adt_port)
        for number, bed in enumerate(['bed-1', 'bed-2', 'bed-4', 'bed-5', 'bed-6', 'bed-7'], 1):
            self.admit(f'CN0000{number}', bed, self.now() - datetime.timedelta(minutes=10))
        self.start_devices()
        self.start_gateway()
        self.say(f'a ward of {len(DEVICES)} devices in 7 beds, one of them dead; everything is in {ward.folder}')

    def start_devices(self):
        ward = self.ward
        ward.emulate('bus', 'modbus', '--pty', ward.path('bus-1'), '--baud', '19200', '--profile', 'wardgate-monitor',
                     '--served', ward.path('served-bus'), '--unit', '1', '--seed', '1', '--unit', '2', '--seed', '2',
                     '--unit', '3', '--seed', '3', '--unit', '7', '--seed', '7', '--dead')
        self.tcp_port = ward.emulate('tcp', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--served',
                                     ward.path('served-tcp'), '--unit', '4', '--seed', '4', '--unit', '5', '--seed', '5')
        ward.emulate('oximeter', 'nonin', '--pty', ward.path('line-6'), '--format', 'df2', '--seed', '6', '--served',
                     ward.path('served-oximeter'))

    def start_gateway(self):
        ward = self.ward

        def device(number):
            return f'      - {{id: monitor-{number}, address: {number}, profile: wardgate-monitor, place: bed-{number}, every: 500ms}}\n'
        broker, ward.broker_port = ward.broker_port, self.link.port
        ward.write_gateway_config(f'''  - name: bus-1
    kind: rtu
    port: {ward.path('bus-1')}
    baud: 19200
    parity: none
    devices:
{''.join(map(device, (1, 2, 3, 7)))}  - name: tcp-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: {self.tcp_port}
    devices:
{''.join(map(device, (4, 5)))}  - name: line-6
    kind: serial
    port: {ward.path('line-6')}
    devices:
      - {{id: oximeter-6, driver: nonin-df2, place: bed-6}}
''', commit='100ms')
        ward.broker_port = broker
        ward.start_gateway()

    # --- what happens to patients: the truth at once, the PAS when told ---

    @staticmethod
    def now():
        return datetime.datetime.now(UTC).replace(microsecond=0)

    def tell(self, *arguments, **more):
        code = self.feed.send(self.feed.message(*arguments, **more))
        if code != 'AA':
            raise RuntimeError(f'the chart answered {code} to an ADT message')

    def admit(self, patient, bed, at):
        self.truth[bed].append((at, patient))
        self.tell('A01', patient, BEDS[bed], at)

    def move(self, patient, bed, to):
        at = self.now()
        self.truth[bed].append((at, None))
        self.truth[to].append((at, patient))
        return at

    def whose(self, bed, at):
        patient = None
        for since, who in self.truth[bed]:
            if at >= since:
                patient = who
        return patient

    # --- the fixed scenario ---

    def once(self):
        ward = self.ward
        time.sleep(5)
        moved = self.move('CN00001', 'bed-1', 'bed-3')
        self.say('CN00001 is moved from bed 1 to bed 3; nobody has told the PAS')
        time.sleep(5)
        ward.kill_broker()
        self.say('the broker is killed, its memory lost')
        time.sleep(2)
        ward.again('broker')
        self.say('the broker is back')
        time.sleep(3)
        self.tell('A02', 'CN00001', BEDS['bed-3'], moved, before=BEDS['bed-1'], told=self.now())
        self.say('the A02 arrives: what stood on CN00001 from bed 1 since then is withdrawn, bed 3 is charted')
        time.sleep(1)
        self.admit('CN00008', 'bed-1', self.now())
        self.say('CN00008 is admitted to bed 1')
        self.link.cut()
        self.say('the link to the broker is cut')
        time.sleep(4)
        ward.kill('gateway')
        self.say('the gateway is killed')
        time.sleep(2)
        ward.again('gateway')
        time.sleep(2)
        self.link.mend()
        self.say('the gateway is back, the link is mended')
        time.sleep(4)
        for name in ('oximeter', 'bus', 'tcp'):
            ward.stop(name)
        wait_for('all of it to be decided', ward.drained, 60)
        self.say('all devices are off, everything is decided')

    # --- the balance ---

    @staticmethod
    def when(text):
        return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))

    def records(self):
        records, start = [], 1
        while True:
            page = [r for r in self.ward.ask_gateway('tail', **{'from': start, 'count': 500}) if 'kind' in r]
            if not page:
                return records
            records += page
            start = page[-1]['seq'] + 1

    def served(self):
        """(device, sample or None, time) of every reading that a device gave to somebody who asked."""
        for name in ('served-bus', 'served-tcp', 'served-oximeter'):
            for row in self.ward.served(name):
                if not row.get('unread'):
                    device = 'oximeter-6' if name == 'served-oximeter' else f'monitor-{row["unit"]}'
                    yield device, None if device == 'oximeter-6' else row['sample'], self.when(row['read'])

    def balance(self):
        records, books = self.records(), self.ward.books()
        readings = [r for r in records if r['kind'] == 'reading']
        gaps = [(r.get('device'), r['gap']) for r in records if r['kind'] == 'gap']
        samples = {(r['device'], r['sample']) for r in readings if 'sample' in r}
        stream = sorted(self.when(r['time']['utc']) for r in readings if r['device'] == 'oximeter-6')
        near = datetime.timedelta(milliseconds=1100)  # a packet's second, from its first frame to its last
        served, lost, in_gap = len(stream), 0, 0
        for device, sample, at in self.served():
            if sample is None and not stream[0] - near / 2 <= at <= stream[-1] + near / 2:
                continue  # before the line was opened first, or after the last whole packet
            if sample is None and any(abs(at - t) <= near for t in stream):
                continue  # a packet has no number: those that arrived are counted as they were decoded
            served += 1
            if (device, sample) in samples:
                continue
            if any(name == device and gap['from'] and self.when(gap['from']['utc']) - near <= at and
                   (gap['to'] is None or at <= self.when(gap['to']['utc']) + near) for name, gap in gaps):
                in_gap += 1
            else:
                lost += 1
                print(f'lost: {device} sample {sample} at {at}', file=sys.stderr)
        duplicates, wrong = self.judge_chart()
        lost += books['lost'] + (books['decoded'] != len(readings))
        return {'served': served, 'decoded': books['decoded'], 'charted': books['charted'], 'kept': books['kept'],
                'held': books['held'], 'rejected': books['rejected'], 'pending': books['pending'], 'gaps': books['gaps'],
                'in_gap': in_gap, 'lost': lost, 'duplicates': duplicates, 'wrong_patient': wrong}

    def judge_chart(self):
        """What stands in the receiver's charts at the end, against the truth."""
        standing, duplicates, wrong = {}, 0, 0
        for message in self.ward.all_messages():
            if message['again']:
                duplicates += not message['same']
                continue
            rows = [o for o in message['observations'] if o['type'] == 'NM' and o['code'].split('^')[0] != '68221']
            filler, patient = rows[0]['filler'].split('^')[0], message['patient'].split('^')[0]
            if rows[0]['status'] == 'W':
                wrong += standing.pop(filler, (None,))[0] != patient
                continue
            reading = filler.rsplit('.', 1)[0]  # without its generation
            duplicates += any(f.rsplit('.', 1)[0] == reading for f in standing)
            at = datetime.datetime.strptime(rows[0]['time'], '%Y%m%d%H%M%S.%f%z')
            standing[filler] = (patient, rows[0]['device'].split('^')[0], at)
        for filler, (patient, device, at) in standing.items():
            if self.whose(DEVICES[device], at) != patient:
                wrong += 1
                print(f'wrong patient: {filler} of {device} at {at} stands on {patient}', file=sys.stderr)
        return duplicates, wrong

    # --- until stopped ---

    def forever(self):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        tool, run = os.path.join(self.ward.bin, 'wardgate'), self.ward.path('run', 'control.sock')
        self.say(f'look around:  {tool} status --socket {run}\n          {tool} held --socket {self.ward.path("crun", "chart.sock")}'
                 '\n          Ctrl-C ends it')
        try:
            while True:
                time.sleep(5)
                books = self.ward.books()
                self.say(', '.join(f'{books[k]} {k}' for k in ('decoded', 'charted', 'kept', 'held', 'pending', 'gaps')))
        except KeyboardInterrupt:
            self.say('stopping')


def main():
    demo = Demo(sys.argv[1])
    with demo.ward:
        demo.start()
        if '--once' not in sys.argv:
            demo.forever()
            return 0
        demo.once()
        balance = demo.balance()
        demo.ward.close()
    print(json.dumps(balance))
    good = balance['lost'] + balance['duplicates'] + balance['wrong_patient'] + balance['pending'] == 0 and balance['decoded'] == sum(
        balance[k] for k in ('charted', 'kept', 'held', 'rejected', 'pending')) and balance['served'] == balance['decoded'] + balance['in_gap']
    return 0 if good and balance['charted'] > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
