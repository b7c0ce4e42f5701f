#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast a node answers and how much it sleeps, in guest time: QEMU counts instructions (-icount), so that a slow host changes little.
An oximeter speaks on the device line and the bus is asked for everything a node has. The node's own clock takes the time from the end of
silence (t3.5) to the reply's first byte; its longest must be 1 ms or less, for every kind of request.

  pace.py BUILD BOARD SECONDS"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..'), os.path.join(HERE, '..', '..', '..', 'boards')]
import emulated                      # noqa: E402
import sizes                         # noqa: E402

# An instruction's time in 2^N ns: slower than the part's, whose clock is 25, 168 and 142 MHz.
SHIFT = {'qemu_mps2_an385': 6, 'stm32f405': 3, 'emcraft_sf2': 3}
DELAY_MAX_US = 1000
TRIES = 3               # a sleeping guest's clock is the host's: a host that wakes it late only ever adds to a delay
ASLEEP_MIN = 500        # per mille


def checksum(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack('<H', crc)


def connect(path):
    """The other end of one of QEMU's lines, as soon as it is there."""
    line = socket.socket(socket.AF_UNIX)
    for _ in range(600):
        try:
            line.connect(path)
            break
        except OSError:
            time.sleep(0.05)
    return line


class Wire(threading.Thread):
    """The device's line at 9600 baud: a byte each 1.04 ms. A pty would hand over a whole packet at once, which no wire does and which
    would take the guest's time in one piece."""

    def __init__(self, device, far):
        super().__init__(daemon=True)
        self.device, self.far = os.open(device, os.O_RDONLY | os.O_NOCTTY), far

    def run(self):
        due = time.monotonic()
        try:
            while True:
                for byte in os.read(self.device, 4096):
                    due = max(due + 10 / 9600, time.monotonic())
                    time.sleep(max(0, due - time.monotonic()))
                    self.far.sendall(bytes([byte]))
        except OSError:              # one of its ends has gone
            pass


class Bus:
    """The gateway's side."""

    def __init__(self, path):
        self.line = connect(path)
        self.asked = 0
        self.line.settimeout(1)
        for _ in range(60):          # what comes before the node has opened its line is lost
            try:
                self.registers(0, 1)
                break
            except TimeoutError:
                pass
        self.line.settimeout(20)

    def ask(self, *pdu, size):
        """The reply's data; size: of the whole frame, None: whatever comes first."""
        frame = bytes([1, *pdu])
        self.line.sendall(frame + checksum(frame))
        self.asked += 1
        reply = self.line.recv(256)
        while size is not None and len(reply) < size and not (len(reply) == 5 and reply[1] & 0x80):
            reply += self.line.recv(256)
        if size is None:            # all of it: what comes while nothing more is sent
            self.line.settimeout(0.3)
            try:
                while True:
                    reply += self.line.recv(256)
            except TimeoutError:
                self.line.settimeout(20)
        if reply[-2:] != checksum(reply[:-2]):
            raise SystemExit(f'a reply is damaged: {reply.hex()}')
        return reply[2:-2]

    def registers(self, address, count):
        return self.ask(3, *struct.pack('>HH', address, count), size=5 + 2 * count)[1:]

    def each_kind(self, first, per_file, each):
        """One request of every function, the largest of its kind."""
        for address, count in ((0x0000, 34), (0x0100, 16), (0x0120, 24), (0x0140, 28), (0x0160, 24), (0x0200, 125)):
            self.registers(address, count)
        file, record = 1 + first // per_file, first % per_file * each
        n = min(6, per_file - first % per_file)
        self.ask(20, 7, 6, *struct.pack('>HHH', file, record, n * each), size=7 + 2 * n * each)
        self.ask(17, size=None)
        self.ask(43, 14, 3, 0, size=None)
        self.ask(6, 0, 0, 0, 0, size=5)          # a write: refused


def run(build, board, seconds, work):
    image = os.path.join(build, 'boards', board, 'node.elf')
    device, far, path, flash = (os.path.join(work, name) for name in ('device', 'far', 'bus', 'flash'))
    emulated.new_flash(flash)
    tool = subprocess.Popen([os.path.join(build, 'bin', 'wardgate'), 'emulate', 'nonin', '--pty', device, '--format', 'df2', '--seed', '1'],
                            stdout=subprocess.DEVNULL)
    while not os.path.exists(device):
        time.sleep(0.05)
    qemu = subprocess.Popen(emulated.command(board, image, path, flash, far, ['-icount', f'shift={SHIFT[board]}']),
                            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        Wire(device, connect(far)).start()
        bus = Bus(path)
        end = time.monotonic() + 60
        while True:                               # until there is something in the files
            status = bus.registers(0x0100, 16)
            after, first = struct.unpack('>II', status[8:16])
            if after - first >= 6 or time.monotonic() > end:
                break
            time.sleep(0.2)
        each, per_file = struct.unpack('>HH', status[20:24])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bus.each_kind(first, per_file, each)
        state, counts = bus.registers(0x0131, 7), bus.registers(0x0140, 28)
    finally:
        for process in (qemu, tool):
            process.send_signal(signal.SIGTERM)
            process.wait()
    asleep, turn, used, size = struct.unpack('>HIII', state)
    delay = struct.unpack('>14I', counts)[13]
    return bus.asked, asleep, turn, used, size, delay


def main():
    build, board, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    for _ in range(TRIES):
        work = tempfile.mkdtemp(prefix='pace-')
        try:
            asked, asleep, turn, used, size, delay = run(build, board, seconds, work)
        finally:
            shutil.rmtree(work)
        if delay <= DELAY_MAX_US:
            break
    deepest = sizes.measure(build, board)['stack']
    print(f'{asked} requests, a reply starts at most {delay} us after the end of silence, longest turn {turn} us, {asleep / 10:.1f} % asleep, '
          f'stack {used} of {size} used (call graph: {deepest})')
    return 0 if 0 < delay <= DELAY_MAX_US and asleep >= ASLEEP_MIN and 0 < used <= deepest <= size else 1


if __name__ == '__main__':
    sys.exit(main())
