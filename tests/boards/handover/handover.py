#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bus is handed over: wardgated reads a bed node (real bootloader and image, in QEMU) and a monitor on one pty bus; `wardgate update`
borrows the line, is killed in the middle, borrows it again and updates the node. Usage: handover.py BUILD"""
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', '..', 'lib'), os.path.join(HERE, '..')]
import emulated                      # noqa: E402
from ward import ROOT, Ward, wait_for   # noqa: E402

BOARD = 'qemu_mps2_an385'
SLOT_A, SLOT_B, SLOT_SIZE = 0x21000000, 0x21040000, 0x40000
failed = 0


def verdict(name, holds, more=''):
    global failed
    more = str(more).strip().replace('\n', '; ')
    print(f"{'pass' if holds else 'fail'}: {name}" + (f' ({more})' if more and holds else '' if holds else f': {more}'), flush=True)
    failed += not holds


class Bus(threading.Thread):
    """The wire: what the master's pty says goes to each slave, what a slave says goes to the master."""

    def __init__(self, link, node, monitor):
        super().__init__(daemon=True)
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        os.symlink(os.ttyname(slave), link)
        self.kept = slave               # so that nobody's closing hangs the line up
        self.node = socket.socket(socket.AF_UNIX)
        self.node.connect(node)
        self.monitor = os.open(monitor, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.monitor)
        self.updates = 0                # requests of function 0x41 that went by
        self.start()

    def run(self):
        try:
            while True:
                ready, _, _ = select.select([self.master, self.node, self.monitor], [], [])
                if self.master in ready:
                    got = os.read(self.master, 4096)
                    self.updates += got[1:2] == b'\x41'
                    self.node.sendall(got)
                    os.write(self.monitor, got)
                for fd in (self.node.fileno(), self.monitor):
                    if fd in [getattr(r, 'fileno', lambda r=r: r)() for r in ready]:
                        os.write(self.master, os.read(fd, 4096))
        except OSError:
            pass                        # the end of the test


def images(ward, build):
    """The bootloader, the factory image 1.0.0 and an update to 1.1.0."""
    ward.tool('keygen', ward.path('keys'))
    subprocess.run(['sh', os.path.join(ROOT, 'firmware/bootloader_build.sh'), BOARD, ward.path('keys/firmware.pub'), ward.path('boot')],
                   check=True, capture_output=True, env={**os.environ, 'WARDGATE_MBEDTLS': os.path.join(build, 'mbedtls')})
    folder = os.path.join(build, 'boards', BOARD)
    for name, version, more in (('v1', '1.0.0', ['--factory', ward.path('factory'), '--slot-size', str(SLOT_SIZE)]), ('v2', '1.1.0', [])):
        ward.tool('sign', '--key', ward.path('keys/firmware.key'), '--board', BOARD, '--version', version, '--counter', '1',
                  '--a', f'{SLOT_A}:{folder}/node_a.bin', '--b', f'{SLOT_B}:{folder}/node_b.bin', ward.path(name), *more)
    emulated.new_flash(ward.path('flash'))
    with open(ward.path('flash'), 'r+b') as flash, open(ward.path('factory'), 'rb') as slot:
        flash.write(slot.read())


def start(ward, build):
    images(ward, build)
    ward.make_pki()
    ward.emulate('monitor', 'modbus', '--pty', ward.path('monitor'), '--baud', '0', '--profile', 'wardgate-monitor', '--unit', '7', '--seed',
                 '1', '--served', ward.path('served'))
    ward.emulate('oximeter', 'nonin', '--pty', ward.path('oximeter'), '--format', 'df2', '--seed', '2')
    ward.start('node', emulated.command(BOARD, ward.path('boot/bootloader.elf'), ward.path('bus.sock'), ward.path('flash'),
                                        ward.path('oximeter')))
    wait_for('the node', lambda: os.path.exists(ward.path('bus.sock')))
    bus = Bus(ward.path('bus'), ward.path('bus.sock'), ward.path('monitor'))
    ward.write_gateway_config(f'''  - name: bay
    kind: rtu
    port: {ward.path('bus')}
    baud: 19200
    parity: none
    devices:
      - {{id: node-1, address: 1, profile: wardgate-node, place: bed-1, silence: 10s}}
      - {{id: monitor-7, address: 7, profile: wardgate-monitor, place: bed-2, silence: 10s}}
''')
    ward.start_gateway()
    wait_for('both devices', lambda: min(readings(ward).values()) >= 2)
    return bus


def devices(ward):
    try:
        return {d['id']: d for d in ward.ask_gateway('devices')[-1]['devices']}
    except (OSError, IndexError, KeyError):
        return {}


def readings(ward):
    found = {'node-1': 0, 'monitor-7': 0}
    found.update({name: device['readings'] for name, device in devices(ward).items()})
    return found


def lent(ward):
    status = ward.ask_gateway('status')[-1]
    return status['lent'] and status['lent']['to']


def records(ward):
    found, at = [], 1
    while True:
        *some, last = ward.ask_gateway('tail', **{'from': at, 'count': 1000})
        found += some
        if last['next'] >= last['head']:
            return found
        at = last['next']


def again(ward, what):
    """Both devices are read again, and the line is wardgated's own."""
    before = readings(ward)
    try:
        wait_for(what, lambda: all(n > before[name] for name, n in readings(ward).items()), 60)
    except TimeoutError:
        verdict(what, False, f'{before} -> {readings(ward)}')
        return
    verdict(what, lent(ward) is None, lent(ward) or '')


def update(ward, *words, start_only=False):
    words = [os.path.join(ward.bin, 'wardgate'), 'update', '1', *words, '--socket', ward.path('run', 'control.sock')]
    if start_only:
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def story(ward, bus):
    send = [ward.path('v2'), '--key', ward.path('keys/firmware.pub')]
    got = update(ward, '--bus', 'bay')
    verdict('asks a node over a line that wardgated reads', got.returncode == 0 and 'runs 1.0.0+0 (confirmed)' in got.stdout, got.stderr)
    again(ward, 'the line is taken back')
    before, sender = bus.updates, update(ward, *send, '--bus', 'bay', start_only=True)
    wait_for('the update to be under way', lambda: bus.updates > before + 20)
    to, other = lent(ward), update(ward, '--port', ward.path('bus'))
    verdict('status says who has the line', to is not None and f'pid {sender.pid}' in to, to)
    verdict('a second borrower is refused', other.returncode == 69 and 'is lent to wardgate update' in other.stderr, other.stderr)
    sender.send_signal(signal.SIGKILL)
    sender.wait()
    again(ward, 'the tool is killed: the line is taken back')
    began, got = time.monotonic(), update(ward, *send, '--port', ward.path('bus'))
    took = time.monotonic() - began
    verdict('the same command goes on and the node is updated', got.returncode == 0 and 'going on' in got.stderr and 'confirmed' in got.stderr, got.stderr[-200:])
    print(f'update with hand-over took {took:.1f} s')
    again(ward, 'both devices are read after the update')


def books(ward):
    """Nothing unaccounted for: what the monitor showed and nobody read is inside a gap, with its count."""
    ward.stop('gateway')
    ward.start_gateway()                # commits and closes its gaps
    wait_for('the gateway', lambda: readings(ward)['monitor-7'] > 0)
    found = records(ward)
    for name in ('node-1', 'monitor-7'):
        own = [r for r in found if r.get('device') == name]
        samples = [r['sample'] for r in own if r['kind'] == 'reading']
        down = [r for r in own if r['kind'] == 'gap' and r['gap']['reason'] == 'bus down' and r['gap']['to']]
        back = [(a, b) for a, b in zip(samples, samples[1:]) if b < a]
        verdict(f'{name}: in order, a gap for each of 3 loans', not back and len(down) == 3, f'{len(samples)} readings, {len(down)} gaps '
                f'{back or ""}')
    missing = sum(max(b - a - 1, 0) for a, b in zip(samples, samples[1:]))
    counted = sum(r['gap']['count'] or 0 for r in own if r['kind'] == 'gap' and r['gap']['to'])
    verdict('monitor-7: what was not read is counted by its gaps', missing == counted, f'{missing} missing, {counted} counted')
    events = [r['detail'] for r in found if r['kind'] == 'event' and 'lent to wardgate update' in r.get('detail', '')]
    verdict('an event says whom the line was lent to', len(events) == 3, events)


def main():
    build = sys.argv[1]
    began = time.monotonic()
    with Ward(build, quiet=False) as ward:
        bus = start(ward, build)
        story(ward, bus)
        books(ward)
    print(f'{time.monotonic() - began:.1f} s')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
