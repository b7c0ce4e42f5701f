#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole path with a bed node in it: emulated oximeter -> UART -> the node's image in QEMU -> Modbus RTU -> wardgated -> TLS broker ->
wardgate-chart. Every sample that the node took must be charted once, with the value the oximeter showed, across a kill of the gateway
and a reset of the node.

  path.py BUILD BOARD [short]"""
import csv
import os
import shutil
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', '..', 'lib'), os.path.join(HERE, '..')]
import emulated                      # noqa: E402
from adt import Feed                 # noqa: E402
from ward import Ward, wait_for      # noqa: E402
import datetime                      # noqa: E402

PULSE, SPO2 = 149530, 150456
ROWS = [(60 + i % 80, 88 + i % 12) for i in range(240)]


def start(ward, board, image):
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
    ward.start('node', emulated.command(board, image, ward.path('bus.sock'), ward.path('flash'), ward.path('oximeter'),
                                        ['-qmp', f'unix:{ward.path("qmp")},server=on,wait=off']))
    wait_for('the node', lambda: os.path.exists(ward.path('bus.sock')))
    ward.start('line', [shutil.which('socat'), f'PTY,link={ward.path("bus")},raw,echo=0', f'UNIX-CONNECT:{ward.path("bus.sock")}'])
    wait_for('the line', lambda: os.path.exists(ward.path('bus')))
    ward.write_gateway_config(f'''  - name: bay
    kind: rtu
    port: {ward.path('bus')}
    baud: 19200
    parity: none
    devices:
      - {{id: node-1, address: 1, profile: wardgate-node, place: bed-1, silence: 30s}}
''')
    ward.start_gateway()


def reset(ward):
    """The node's reset pin."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(ward.path('qmp'))
        file = line.makefile('rw')
        file.readline()
        for command in ('qmp_capabilities', 'system_reset'):
            file.write('{"execute": "%s"}\n' % command)
            file.flush()
            file.readline()


def charted(ward):
    """(pulse, spo2) of each charted message, in the order they were measured."""
    found = []
    for message in ward.messages():
        values = {int(o['code'].split('^')[0]): (o['value'], o['time']) for o in message['observations'] if o['type'] == 'NM'}
        if PULSE in values:
            found.append((values[PULSE][1], int(values[PULSE][0]), int(values.get(SPO2, ('0',))[0])))
    return [(p, s) for _, p, s in sorted(found)]


def story(ward, short):
    """The gateway is killed, and the node is reset; in the short one each once and less long."""
    wait_for('the first readings', lambda: len(charted(ward)) >= (2 if short else 4), 60)
    ward.kill('gateway')            # the node goes on
    time.sleep(2 if short else 6)
    ward.start_gateway()
    wait_for('what the node kept', lambda: len(charted(ward)) >= (5 if short else 12), 60)
    reset(ward)
    before = len(charted(ward))
    wait_for('readings after the reset', lambda: len(charted(ward)) >= before + (2 if short else 4), 60)
    ward.stop('oximeter')
    time.sleep(2)
    return wait_for('all of it to be decided', ward.drained, 30)


def main():
    build, board, short = sys.argv[1], sys.argv[2], 'short' in sys.argv[3:]
    began = time.monotonic()
    with Ward(build, quiet=False) as ward:
        start(ward, board, os.path.join(build, 'boards', board, 'node.elf'))
        books = story(ward, short)
        rows, got = list(ROWS), charted(ward)
        problems = [f'{pair} was never shown' for pair in got if pair not in rows]
        # The oximeter shows a row a second and so does the node: a row is seen once, or twice where the two clocks beat.
        steps = [rows.index(b) - rows.index(a) for a, b in zip(got, got[1:]) if a in rows and b in rows]
        problems += [f'the order breaks at {i}: {got[i]} {got[i + 1]}' for i, step in enumerate(steps) if step < 0]
        jumps = [step for step in steps if step > 2]
        if len(jumps) > 1:              # one: the reset
            problems.append(f'{len(jumps)} jumps: {jumps}')
        for problem in problems[:20]:
            print(problem)
        print(f'{len(got)} readings charted, {len(jumps)} jump (the reset); books {books}; {time.monotonic() - began:.0f} s')
        return 0 if not problems and books['balanced'] else 1


if __name__ == '__main__':
    sys.exit(main())
