# SPDX-License-Identifier: Apache-2.0
"""A cable between an emulated line and the gateway's port: it bends, loses, doubles, delays and adds bytes, and can be pulled out.

The emulator keeps the time of a real wire; the cable passes on what comes, at once, unless a fault says otherwise. An exchange is
a request and what follows it; on a line that only talks, whatever comes after 20 ms of silence."""
import errno
import os
import random
import select
import termios
import threading
import time
import tty

QUIET_S = 0.02
KINDS = ('lost request', 'bent request', 'lost reply', 'bent reply', 'burst in reply', 'byte left out', 'noise before', 'twice', 'late')


def raw(fd):
    tty.setraw(fd)
    mode = termios.tcgetattr(fd)
    mode[2] = (mode[2] & ~(termios.PARENB | termios.CSTOPB)) | termios.CLOCAL | termios.CREAD
    termios.tcsetattr(fd, termios.TCSANOW, mode)


class Cable(threading.Thread):
    """inner: the emulator's line; outer: the link that the gateway opens. share: of exchanges that go wrong."""

    def __init__(self, inner, outer, share, seed):
        super().__init__(daemon=True)
        self.outer, self.share, self.chance = outer, share, random.Random(seed)
        self.device = os.open(inner, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        raw(self.device)
        self.master = self.slave = -1
        self.lock, self.ending = threading.Lock(), False
        self.exchanges, self.faults = 0, {kind: 0 for kind in KINDS}
        self.heard, self.fault, self.at, self.copy, self.later = 0.0, None, 0, b'', []
        self.answered = True
        self.plug()

    def plug(self):
        with self.lock:
            self.master, self.slave = os.openpty()
            raw(self.slave)
            os.set_blocking(self.master, False)
            os.symlink(os.ttyname(self.slave), self.outer + '.new')
            os.rename(self.outer + '.new', self.outer)

    def pull(self):
        with self.lock:
            os.unlink(self.outer)
            os.close(self.slave)
            os.close(self.master)
            self.master = self.slave = -1
            self.later.clear()

    def begin(self):
        """A new exchange: does it go wrong, and how?"""
        self.exchanges += 1
        self.fault, self.at, self.copy = None, 0, b''
        if self.chance.random() < self.share:
            self.fault = self.chance.choice(KINDS)
            self.faults[self.fault] += 1
            self.at = self.chance.randint(0, 24)  # byte of the reply
            self.delay = self.chance.uniform(0.25, 0.9)

    def bent(self, data, bits):
        bent = bytearray(data)
        for _ in range(bits):
            bit = self.chance.randrange(8 * len(bent))
            bent[bit // 8] ^= 1 << bit % 8
        return bytes(bent)

    def to_device(self, data):
        if self.fault == 'lost request':
            return
        if self.fault == 'bent request':
            data = self.bent(data, 1)
        os.write(self.device, data)

    def to_gateway(self, data, now):
        """What the cable makes of the next bytes of a reply."""
        if self.fault == 'lost reply':
            return
        if self.fault in ('bent reply', 'burst in reply', 'byte left out') and self.at < len(data):
            if self.fault == 'byte left out':
                data = data[:self.at] + data[self.at + 1:]
            else:
                end = self.at + (2 if self.fault == 'burst in reply' else 1)
                data = data[:self.at] + self.bent(data[self.at:end], 1 if end - self.at == 1 else self.chance.randint(2, 9)) + data[end:]
            self.fault = None
        elif self.fault in ('bent reply', 'burst in reply', 'byte left out'):
            self.at -= len(data)
        if self.fault == 'noise before':
            data = self.chance.randbytes(self.chance.randint(1, 12)) + data
            self.fault = None
        if self.fault == 'twice':
            self.copy += data
        if self.fault == 'late':
            self.later.append((now + self.delay, data))
        elif data:
            self.write(data)

    def write(self, data):
        try:
            os.write(self.master, data)
        except OSError as problem:  # nobody has the port open: the bytes go nowhere
            if problem.errno not in (errno.EAGAIN, errno.EIO):
                raise

    def turn(self, now):
        """Once round, with the lock held; the cable is plugged."""
        if self.fault == 'twice' and self.copy and now - self.heard > QUIET_S:
            self.later.append((now + self.chance.uniform(0, 0.4), self.copy))
            self.fault, self.copy = None, b''
        for item in [item for item in self.later if item[0] <= now]:
            self.later.remove(item)
            self.write(item[1])
        for fd in select.select([self.device, self.master], [], [], 0)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                continue
            if not data:
                continue
            quiet = now - self.heard > QUIET_S
            self.heard = now
            if fd == self.master:
                if quiet or self.answered:
                    self.begin()
                self.answered = False
                self.to_device(data)
            else:
                if quiet and self.talks:
                    self.begin()
                self.answered = True
                self.to_gateway(data, now)

    talks = False  # without being asked

    def run(self):
        while not self.ending:
            with self.lock:
                plugged = self.master >= 0
                if plugged:
                    self.turn(time.monotonic())
                else:
                    try:
                        os.read(self.device, 4096)  # what is said into a pulled plug
                    except OSError:
                        pass
            fds = [self.device] + ([self.master] if plugged else [])
            select.select(fds if plugged else [], [], [], 0.004)

    def end(self):
        self.ending = True
        self.join(5)
        os.close(self.device)
