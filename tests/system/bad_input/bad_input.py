#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every bad input gets its exact error, and nothing else comes of it: files to the programs themselves (-t, check profile), ADT to the running
chart service, MQTT with a gateway's certificate to the chart service and with the chart's to a running wardgated.

  bad_input.py BUILD"""
import os
import shutil
import socket
import subprocess
import sys

import bases
import files
import messages
import wire
from live import Publisher, envelope, exchange, reading, receipt
from ward import ROOT, Ward, wait_for


class Test:
    def __init__(self, ward):
        self.ward, self.count, self.problems = ward, {}, []

    def expect(self, kind, name, found, wanted):
        self.count[kind] = self.count.get(kind, 0) + 1
        if found != wanted:
            self.problems.append(f'{kind}, {name}:\n  found  {found!r}\n  wanted {wanted!r}')

    # --- files ---

    def check_files(self):
        folder = self.ward.path('files')
        for name in ('', 'run', 'store', 'crun'):
            os.mkdir(os.path.join(folder, name), 0o700)
        for name in ('ca', 'cert', 'key'):
            shutil.copy(self.ward.path('pki', 'boards', 'bay-1', f'{name}.pem'), folder)
        programs = os.path.join(self.ward.bin, '')
        kinds = {'GATEWAY': ('gateway.yaml', [programs + 'wardgated', '-t', '-c', os.path.join(folder, 'gateway.yaml')], 2),
                 'CHART': ('chart.yaml', [programs + 'wardgate-chart', '-t', '-c', os.path.join(folder, 'chart.yaml')], 2),
                 'PLACES': ('places.yaml', [programs + 'wardgate-chart', '-t', '-c', os.path.join(folder, 'chart.yaml')], 2),
                 'PROFILE': ('profile.yaml', [programs + 'wardgate', 'check', 'profile', os.path.join(folder, 'profile.yaml')], 1)}

        def filled(text):
            return text.replace('{F}', folder).replace('{P}', os.path.join(ROOT, 'drivers', 'profiles'))

        def write(kind, text):
            with open(os.path.join(folder, kinds[kind][0]), 'w', encoding='utf-8') as file:
                file.write(filled(text))

        def run(kind):
            """Exit code, and the first line of where this program tells: 1 stdout, 2 stderr."""
            _, command, stream = kinds[kind]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            lines = (done.stdout, done.stderr)[stream - 1].splitlines()
            return done.returncode, lines[0] if lines else ''
        for kind in kinds:
            write(kind, getattr(bases, kind))
        for kind in kinds:
            if run(kind)[0] != 0:
                self.problems.append(f'{kind}: the good file is refused: {run(kind)}')
            for name, good, bad, wanted in getattr(files, kind):
                text = getattr(bases, kind)
                assert good in text, (kind, name)
                write(kind, text.replace(good, bad, 1))
                self.expect(kind.lower() + ' files', name, run(kind), (78, filled(wanted)))
            write(kind, getattr(bases, kind))

    # --- ADT ---

    def check_adt(self):
        port = self.ward.adt_port
        patients = self.chart()['adt']['patients']
        for number, (name, old, new, wanted) in enumerate(messages.ADT, 1):
            assert old is None or old in messages.GOOD, name
            text = new if old is None else messages.GOOD.replace(old, new, 1)
            found = exchange(port, text.replace('|Q1|', f'|Q{number}Z|'))
            self.expect('ADT messages', name, found.replace(f'|Q{number}Z', '|Q1'), wanted)
        self.check_framing(port)
        status = self.chart()['adt']
        if status['patients'] != patients:
            self.problems.append(f'bad ADT made {status["patients"] - patients} patients')
        for number, (name, old, new) in enumerate(messages.TOLERATED, 1):
            assert old in messages.GOOD, name
            found = exchange(port, messages.GOOD.replace(old, new, 1).replace('|Q1|', f'|Q{number}T|'))
            self.expect('ADT messages that are tolerated', name, found, f'MSA|AA|Q{number}T')

    def check_framing(self, port):
        """Bytes outside a frame and frames that never end are answered by nothing, and hold up nobody."""
        for name, raw in (('no start', messages.GOOD.encode()), ('no end', b'\x0b' + messages.GOOD.encode()), ('an empty frame', b'\x0b\x1c\x0d'),
                          ('ends alone', b'\x1c\x0d' * 1000), ('starts alone', b'\x0b' * 1000), ('half an end', b'\x0b' + b'MSH|\x1c'),
                          ('a frame of 8 MiB', b'\x0b' + b'x' * (8 << 20))):
            with socket.create_connection(('127.0.0.1', port), 10) as line:
                try:
                    line.sendall(raw)
                    line.shutdown(socket.SHUT_WR)
                    answer = line.recv(65536)
                except OSError:
                    answer = b''
            acknowledged = b'|AA|' in answer or b'|CA|' in answer
            self.expect('frames', name, acknowledged, False)
            self.expect('frames', f'a good message after {name}', exchange(port, messages.GOOD), 'MSA|AA|Q1')

    # --- MQTT to the chart service ---

    def chart(self):
        return self.ward.ask_chart('status')[-1]

    def refusals(self):
        counts = self.chart()['counts']
        return counts['malformed'] + counts['foreign']

    def logged(self, program, before, publisher, topic, payload):
        """Sends, and returns what the program then logs."""
        sent = publisher.send(topic, payload)
        assert sent.returncode == 0 and not sent.stderr, sent

        def refusal():
            lines = [line.replace('warning: ', '', 1) for line in self.ward.log(program)[before:].splitlines()]
            return [line for line in lines if 'refused: ' in line]
        return wait_for(f'a word of {program} on a bad message', refusal)[0]

    def check_up(self):
        gateway = Publisher(self.ward, 'boards', 'bay-2')
        gateway.send('bay-2/up', wire.GOOD)
        wait_for('a good envelope', lambda: self.ward.books()['charted'] == 1)
        first = self.chart()
        for topic, cases in (('up', wire.UP), ('state', wire.STATE)):
            for name, payload, wanted in cases:
                refused = self.refusals()
                line = self.logged('chart', len(self.ward.log('chart')), gateway, f'bay-2/{topic}', payload)
                self.expect(f'{topic} messages', name, (line, self.refusals() - refused), (wanted, 1))
        now = self.chart()
        for key in ('records', 'same', 'receipts'):
            if now['counts'][key] != first['counts'][key]:
                self.problems.append(f'bad messages moved {key} from {first["counts"][key]} to {now["counts"][key]}')
        if now['books'] != first['books']:
            self.problems.append(f'bad messages changed the books from {first["books"]} to {now["books"]}')
        # What the broker keeps from the chart: other gateways' topics, and what only the chart may say.
        for topic in ('bay-1/up', 'bay-1/state', 'bay-2/down/receipt', 'bay-1/down/receipt'):
            sent = gateway.send(topic, wire.GOOD)
            self.expect('topics of others', topic, sent.stderr.decode().strip(), 'Warning: Publish 1 failed: Not authorized.')
        # A bad record costs its neighbours nothing.
        gateway.send('bay-2/up', envelope('bay-2', wire.EPOCH, reading(2), reading(3, kind=99), reading(4)))
        wait_for('the good records beside a bad one', lambda: self.ward.books()['decoded'] == 3)
        gateway.send('bay-2/up', envelope('bay-2', wire.EPOCH, reading(2, rate=73)))
        wait_for('a conflict', lambda: self.ward.books()['conflicts'] == 1)
        self.expect('other contents of an identity', 'one is there already', self.ward.books()['decoded'], 3)

    # --- MQTT to the gateway ---

    def start_gateway(self):
        ward = self.ward
        port = ward.emulate('device', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--seed', '1')
        ward.write_gateway_config(f'''  - name: line-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
      - {{id: monitor-1, address: 1, profile: wardgate-monitor, place: bed-1, every: 100ms}}
''')
        ward.start_gateway()

        def stored():
            try:
                return self.gateway()['store']['unreceipted'] >= 8 and 'NOT' not in self.gateway()['summary']
            except (OSError, ValueError):
                return False
        wait_for('readings in the store', stored)
        ward.stop('device')

        def quiet():
            log = ward.log('gateway')
            return 'monitor-1' in log and self.gateway()['devices_present'] == 0
        wait_for('the device to be missed', quiet)

    def gateway(self):
        return self.ward.ask_gateway('status')[-1]

    def check_receipts(self):
        """The chart is away, so nothing is receipted; then somebody with its certificate says so all the same."""
        self.expect('ends', 'chart service', self.ward.stop('chart'), 0)
        self.start_gateway()
        chart = Publisher(self.ward, 'charts', 'chart-1')
        before = self.gateway()
        epoch, head = bytes.fromhex(before['store']['epoch']), before['store']['next'] - 1
        for name, make, wanted in wire.RECEIPT:
            line = self.logged('gateway', len(self.ward.log('gateway')), chart, 'bay-1/down/receipt', make(epoch, head))
            self.expect('receipts', name, line, wanted.replace('{R}', str(head + 1000)))
        after = self.gateway()
        if after['store']['unreceipted'] < before['store']['unreceipted']:
            self.problems.append(f'bad receipts released {before["store"]["unreceipted"] - after["store"]["unreceipted"]} readings')
        refused = [part['receipts_refused'] for part in after.values() if isinstance(part, dict) and 'receipts_refused' in part]
        self.expect('receipts', 'all counted', max(refused), len(wire.RECEIPT))
        chart.send('bay-1/down/receipt', receipt('bay-1', epoch, (1, head)))
        wait_for('a good receipt', lambda: self.gateway()['store']['unreceipted'] < after['store']['unreceipted'])

    def run(self):
        ward = self.ward
        ward.make_pki()
        ward.tool('pki', 'board', ward.path('pki'), 'bay-2')
        self.check_files()
        ward.start_broker()
        ward.start_epr()
        ward.write_chart_config({f'GSU^GSU^Bed {n}': f'bed-{n}' for n in (1, 2)})
        ward.start_chart()
        wait_for('the chart service at the broker', lambda: self.chart()['broker']['connected'])
        self.expect('ADT messages that are tolerated', 'the good one', exchange(ward.adt_port, messages.GOOD), 'MSA|AA|Q1')
        self.check_adt()
        self.check_up()
        self.check_receipts()
        self.expect('ends', 'gateway', ward.stop('gateway'), 0)  # and with sanitizers: nothing leaked
        for problem in self.problems[:20]:
            print('problem:', problem)
        print(f'{sum(self.count.values())} bad inputs and checks: ' + ', '.join(f'{n} {kind}' for kind, n in self.count.items())
              + f'; {len(self.problems)} not as they should be')
        return 1 if self.problems else 0


def main():
    with Ward(sys.argv[1], quiet=False) as ward:
        return Test(ward).run()


if __name__ == '__main__':
    sys.exit(main())
