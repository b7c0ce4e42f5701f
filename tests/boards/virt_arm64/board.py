#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway as an arm64 package on a booted board: emulated oximeter -> UART -> bed node's image in QEMU -> Modbus RTU -> UART of a
second QEMU -> Debian's arm64 kernel -> wardgated -> TLS broker on the host's loopback -> wardgate-chart -> HL7 receiver. In the middle
the board's power is cut: its disk outlives that, and the node goes on taking samples. Every sample must be charted once, in order,
with the value that the oximeter showed; none may be lost.

  board.py BUILD DEB SYSROOT BOARD [QEMU...]   QEMU: the words to start qemu-system-aarch64 with, if not its name"""
import csv
import datetime
import glob
import os
import re
import shlex
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
sys.path[:0] = [os.path.join(HERE, '..', '..', 'lib'), os.path.join(HERE, '..')]
import emulated                      # noqa: E402
from adt import Feed                 # noqa: E402
from ward import Ward, wait_for      # noqa: E402

PULSE, SPO2 = 149530, 150456
HOST, INSIDE = 'broker.ward', '10.0.2.100'
ROWS = [(60 + i % 80, 88 + i % 12) for i in range(240)]
NODE = 'qemu_mps2_an385'


class Board(Ward):
    """A ward whose gateway is a machine of its own."""

    boots, name, sysroot, qemu = 0, '', '', ()
    append, sign = 'rdinit=/init', 'init: Linux'  # for the kernel; what the board prints when it is up
    patience = 240                   # s, for each step
    port = ''                        # of the bus; as QEMU's machine has it when empty

    def make_pki(self):
        super().make_pki()
        self.tool('pki', 'broker', self.path('pki'), 'localhost', '127.0.0.1', HOST)

    def write_config(self):
        """A folder that becomes /etc/wardgate."""
        config = self.path('board')
        os.mkdir(config)
        source = self.path('pki', 'boards', self.gateway)
        for name in ('ca.pem', 'cert.pem', 'key.pem', 'crl.pem'):
            with open(os.path.join(source, name), 'rb') as one, open(os.path.join(config, name), 'wb') as two:
                two.write(one.read())
        os.chmod(os.path.join(config, 'key.pem'), 0o600)
        os.rename(os.path.join(config, 'key.pem'), os.path.join(config, 'board.key'))
        with open(os.path.join(config, 'hosts'), 'w', encoding='utf-8') as file:
            file.write(f'127.0.0.1 localhost\n{INSIDE} {HOST}\n')
        with open(os.path.join(config, 'wardgated.yaml'), 'w', encoding='utf-8') as file:
            file.write(f'''site: {self.site}
gateway: {self.gateway}
store: {{folder: /var/lib/wardgated/store, key: /var/lib/wardgated/store.key, size: 16MiB, commit: 50ms}}
clock: {{trust: wall, uncertainty: 100ms}}
broker:
  host: {HOST}
  port: 8883
  ca: /etc/wardgate/ca.pem
  certificate: /etc/wardgate/cert.pem
  key: /etc/wardgate/board.key
  crl: /etc/wardgate/crl.pem
  reconnect_min: 100ms
  reconnect_max: 2s
buses:
  - name: bay
    kind: rtu
    port: /dev/{self.port or emulated.facts(self.name)['emulated_line']}
    baud: 19200
    parity: none
    devices:
      - {{id: node-1, address: 1, profile: wardgate-node, place: bed-1, response: 2s, silence: 30s}}
''')
        return config

    def write_board(self, deb):
        said, config = emulated.facts(self.name), self.write_config()
        common = os.path.join(ROOT, 'boards/linux_common')
        os.symlink(glob.glob(os.path.join(self.sysroot, 'boot/vmlinuz-*'))[0], self.path('kernel'))
        subprocess.run(['sh', os.path.join(common, 'initramfs.sh'), self.name, self.sysroot, deb, config, self.path('initramfs')], check=True)
        if 'dtb' in said:
            subprocess.run(['sh', os.path.join(common, 'dtb.sh'), self.name, self.sysroot, self.path('dtb')], check=True)
        subprocess.run(['/usr/sbin/mke2fs', '-q', '-t', 'ext4', self.path('disk'), '64M'], check=True)

    def boot(self):
        """As board.yaml says, in QEMU."""
        # guestfwd hands one address and port to the broker, a process a connection; `restrict` lets nothing else out.
        words = shlex.split(emulated.facts(self.name)['emulate'].format(
            kernel=self.path('kernel'), initrd=self.path('initramfs'), dtb=self.path('dtb'),
            append=f'{self.append} clock={int(time.time())}', bus=self.path('bus.sock'), disk=self.path('disk'),
            forward=f',guestfwd=tcp:{INSIDE}:8883-cmd:socat - TCP:127.0.0.1:{self.broker_port}'.replace(' ', '\\ ')))
        self.start('board', [*(self.qemu or words[:1]), *words[1:]])
        self.boots += 1
        wait_for('the board to boot', lambda: self.log('board').count(self.sign) == self.boots, self.patience)
        # Where the machine has it: the udev rule of /dev/bedside/port1 goes by that.
        with open(os.path.join(ROOT, 'boards', self.name, 'board.yaml'), encoding='utf-8') as file:
            at = re.search(r'port: 1,.* at: "?([\w.:]+)', file.read()).group(1)
        line = emulated.facts(self.name)['emulated_line']
        assert self.port or f'init: {line} at {at}\n' in self.log('board').replace('\r', ''), f'{line} is not at {at}'

    def charted(self):
        """(pulse, spo2) of each charted message, in the order they were measured."""
        found = []
        for message in self.messages():
            values = {int(o['code'].split('^')[0]): (o['value'], o['time']) for o in message['observations'] if o['type'] == 'NM'}
            if PULSE in values:
                found.append((values[PULSE][1], int(values[PULSE][0]), int(values.get(SPO2, ('0',))[0])))
        return [(p, s) for _, p, s in sorted(found)]

    def at_rest(self):
        """The books, once nothing has come or is pending for three seconds."""
        before = self.books()
        time.sleep(3)
        after = self.books()
        return after if before == after and after['pending'] == 0 else None


def start(ward, build, deb):
    ward.make_pki()
    ward.start_broker()
    ward.start_epr()
    ward.write_chart_config({'GSU^GSU^Bed 1': 'bed-1'})
    ward.start_chart()
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(minutes=30)
    feed = Feed(ward.adt_port)
    assert feed.send(feed.message('A01', 'CN00001', 'Bed 1', begin)) == 'AA'
    with open(ward.path('rows.csv'), 'w', encoding='utf-8') as file:
        csv.writer(file).writerows([('PULSE', 'SpO2'), *ROWS])
    ward.emulate('oximeter', 'nonin', '--pty', ward.path('oximeter'), '--format', 'df2', '--replay', ward.path('rows.csv'), '--every', '1s')
    emulated.new_flash(ward.path('flash'))
    image = os.path.join(build, 'boards', NODE, 'node.elf')
    ward.start('node', emulated.command(NODE, image, ward.path('bus.sock'), ward.path('flash'), ward.path('oximeter'), ['-monitor', 'none']))
    wait_for('the node', lambda: os.path.exists(ward.path('bus.sock')))
    ward.write_board(deb)


def wrong(got, books):
    """What is not as it should be."""
    found = [f'{pair} was never shown' for pair in got if pair not in ROWS]
    steps = [ROWS.index(b) - ROWS.index(a) for a, b in zip(got, got[1:]) if a in ROWS and b in ROWS]
    # The oximeter shows a row a second and so does the node: a row is seen twice, or not at all, where the two clocks beat.
    found += [f'a step of {step} rows at {i}: {got[i]} {got[i + 1]}' for i, step in enumerate(steps) if step not in (0, 1, 2)]
    found += [f'books: {name} is {books[name]}' for name in ('lost', 'conflicts', 'gap_readings', 'held', 'rejected') if books[name]]
    if not books['balanced'] or books['charted'] != len(got):
        found.append(f'{len(got)} messages, books {books}')
    return found


def carry(ward, build, deb):
    """Readings, a power cut, readings; returns what was charted, what of it before the cut, the books."""
    start(ward, build, deb)
    ward.boot()
    wait_for('the first readings', lambda: len(ward.charted()) >= 8, ward.patience)
    ward.kill('board')
    time.sleep(4)                       # the node goes on
    cut = len(ward.charted())
    ward.boot()
    wait_for('what the node kept, and more', lambda: len(ward.charted()) >= cut + 12, ward.patience)
    ward.stop('oximeter')
    time.sleep(2)
    books = wait_for('all of it to be decided', ward.at_rest, ward.patience)
    ward.kill('board')
    return ward.charted(), cut, books


def main():
    build, deb, sysroot, name = sys.argv[1:5]
    with Board(build, quiet=False) as ward:
        ward.name, ward.sysroot, ward.qemu = name, sysroot, sys.argv[5:]
        got, cut, books = carry(ward, build, deb)
        problems = wrong(got, books)
        for problem in problems[:20]:
            print(problem)
        kernel = next((line for line in ward.log('board').splitlines() if line.startswith(ward.sign)), '')
        print(f'{len(got)} samples charted, {cut} before the power cut; {kernel[6:].strip()}; charted {books["charted"]}, gaps {books["gaps"]}, '
              f'lost {books["lost"]}, balanced {books["balanced"]}')
        return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
