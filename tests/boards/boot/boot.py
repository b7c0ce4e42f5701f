#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real bootloader and node on QEMU's mps2-an385, flash in a file: update, refuse, revert, recover, and SIGKILL at
random moments of an update. Usage: boot.py --build BUILD --kills N --seed S"""
import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.environ['WARDGATE_ROOT']
BOARD = 'qemu_mps2_an385'
SLOT_A, SLOT_B, SLOT_SIZE = 0x21000000, 0x21040000, 0x40000
FLASH_SIZE = 16 << 20

arguments = argparse.ArgumentParser()
arguments.add_argument('--build', required=True)
arguments.add_argument('--kills', type=int, required=True)
arguments.add_argument('--seed', type=int, default=1)
arguments.add_argument('--trial', action='store_true', help='also wait for a trial to end: minutes')
arguments.add_argument('--only-kills', action='store_true')
options = arguments.parse_args()
TOOL = os.path.join(options.build, 'bin/wardgate')
IMAGES = os.path.join(options.build, 'boards', BOARD)
work = tempfile.mkdtemp(prefix='boot-')
failed = 0


def path(name):
    return os.path.join(work, name)


def verdict(name, holds, more=''):
    global failed
    more = str(more).strip().replace('\n', '; ')
    print(f"{'pass' if holds else 'fail'}: {name}{(' (' + more.strip('()') + ')' if more else '') if holds else ': ' + more}", flush=True)
    failed += not holds


def tool(*words, expect=0):
    done = subprocess.run([TOOL, *words], capture_output=True, text=True, timeout=120)
    if expect is not None and done.returncode != expect:
        raise SystemExit(f'fail: wardgate {" ".join(words)}: {done.returncode}: {done.stdout}{done.stderr}')
    return done


def sign(name, version, counter=0, key='keys', board=BOARD, factory=False, binaries=('node_a', 'node_b')):
    words = ['sign', '--key', path(key + '/firmware.key'), '--board', board, '--version', version, '--counter', str(counter),
             '--a', f'{SLOT_A}:{path(binaries[0])}', '--b', f'{SLOT_B}:{path(binaries[1])}', path(name)]
    if factory:
        words += ['--factory', path(name + '.factory'), '--slot-size', str(SLOT_SIZE)]
    tool(*words)
    return path(name)


def new_flash(factory):
    with open(path('flash'), 'wb') as flash:
        flash.write(b'\xff' * FLASH_SIZE)
        flash.seek(FLASH_SIZE - 16)  # where the board's switches are: none set
        flash.write(bytes(16))
        if factory:
            flash.seek(0)
            with open(factory, 'rb') as slot:
                flash.write(slot.read())


class Node:
    """One power cycle: QEMU with the bootloader, and the bus as a pty."""

    def __init__(self, extra=()):
        for name in ('bus', 'tty'):
            if os.path.lexists(path(name)):
                os.unlink(path(name))
        self.qemu = subprocess.Popen(
            ['qemu-system-arm', '-M', 'mps2-an385,memory-backend=nv', '-object',
             f'memory-backend-file,id=nv,size=16M,mem-path={path("flash")},share=on', '-display', 'none', '-monitor', 'none',
             '-kernel', path('boot/bootloader.elf'), '-chardev', f'socket,id=bus,path={path("bus")},server=on,wait=off',
             '-serial', 'chardev:bus', *extra], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.wait_for('bus')
        self.socat = None
        self.wait_for('tty', self.carry)

    def carry(self):
        """Again if it came before QEMU listened."""
        if self.socat is None or self.socat.poll() is not None:
            self.socat = subprocess.Popen(['socat', f'PTY,link={path("tty")},raw,echo=0', f'UNIX-CONNECT:{path("bus")}'],
                                          stderr=subprocess.DEVNULL)

    def wait_for(self, name, meanwhile=lambda: None):
        for _ in range(6000):  # a loaded host: it only ends a test that hangs
            meanwhile()
            if os.path.lexists(path(name)):
                return
            time.sleep(0.01)
        raise SystemExit(f'fail: {name} does not appear')

    def update(self, *words, expect=0):
        return tool('update', '1', *words, '--port', path('tty'), '--parity', 'none', expect=expect)

    def runs(self):
        return self.update(expect=None).stdout

    def end(self):
        for process in (self.qemu, self.socat):
            process.kill()
            process.wait()


def send(node, name, key='keys', expect=0):
    """As a person does: again after a timeout, for the tool says that it goes on then."""
    for _ in range(5):
        done = node.update(path(name), '--key', path(key + '/firmware.pub'), expect=None)
        if done.returncode != 69:
            break
    if expect is not None and done.returncode != expect:
        raise SystemExit(f'fail: update {name}: {done.returncode}: {done.stdout}{done.stderr}')
    return done


def openssl(name):
    """The signature, by another library: hash and signature cut out here, by the format alone."""
    with open(path(name), 'rb') as file:
        image = file.read()
    header, protected = int.from_bytes(image[8:10], 'little'), int.from_bytes(image[10:12], 'little')
    end = header + int.from_bytes(image[12:16], 'little') + protected
    tlvs, at = {}, end + 4
    while at < end + int.from_bytes(image[end + 2:end + 4], 'little'):
        n = int.from_bytes(image[at + 2:at + 4], 'little')
        tlvs[int.from_bytes(image[at:at + 2], 'little')] = image[at + 4:at + 4 + n]
        at += 4 + n
    with open(path('signed'), 'wb') as file:
        file.write(image[:end])
    with open(path('signature'), 'wb') as file:
        file.write(tlvs[0x22])
    done = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', path('keys/firmware.pub'), '-signature', path('signature'),
                           path('signed')], capture_output=True, text=True)
    return done.returncode == 0 and tlvs[0x10] == hashlib.sha256(image[:end]).digest(), done.stdout + done.stderr


def prepare():
    tool('keygen', path('keys'))
    tool('keygen', path('other'))
    again = tool('keygen', path('keys'), expect=None).returncode
    verdict('keygen never writes over a key', again == 74, '' if again == 74 else again)
    done = subprocess.run(['sh', os.path.join(ROOT, 'firmware/bootloader_build.sh'), BOARD, path('keys/firmware.pub'),
                           path('boot')], capture_output=True, text=True,
                          env={**os.environ, 'WARDGATE_MBEDTLS': os.path.join(options.build, 'mbedtls')})
    if done.returncode:
        raise SystemExit(f'fail: bootloader does not build: {done.stderr[-2000:]}')
    verdict('builds in 32 KiB of flash and 8 KiB of RAM', True, ' (' + done.stdout.strip() + ')')
    for slot in ('node_a', 'node_b'):
        shutil.copy(os.path.join(IMAGES, slot + '.bin'), path(slot))
    # A vector table whose every entry is one branch to itself: only the watchdog ends it.
    for slot, base in (('bad_a', SLOT_A), ('bad_b', SLOT_B)):
        with open(path(slot), 'wb') as file:
            file.write((0x20008000).to_bytes(4, 'little') + 15 * (base + 512 + 257).to_bytes(4, 'little') + bytes(192) +
                       b'\xfe\xe7' + bytes(1000))


def updates():
    sign('v1', '1.0.0', counter=1, factory=True)
    sign('v2', '1.1.0', counter=2)
    sign('v3', '1.2.0', counter=2, binaries=('bad_a', 'bad_b'))
    verdict('openssl holds the signature good', *openssl('v2'))
    new_flash(path('v1.factory'))
    node = Node()
    text = node.runs()
    verdict('the factory image runs', 'runs 1.0.0+0 (confirmed), security counter 1' in text, text)
    began = time.time()
    send(node, 'v2')
    verdict('update, test, confirm', 'runs 1.1.0+0 (confirmed), security counter 2' in node.runs(),
            f' ({time.time() - began:.1f} s)')
    refusals = [('downgrade', sign('old', '1.0.5', counter=2), 'keys', 78), ('roll-back', path('v1'), 'keys', 78),
                ('wrong board', sign('board', '2.0.0', counter=2, board='stm32f405'), 'keys', 78),
                ('wrong key', sign('key', '2.0.0', counter=2, key='other'), 'keys', 78),
                ('a key that is not the node\'s', path('key'), 'other', 1)]
    with open(path('flash'), 'rb') as file:
        before = hashlib.sha256(file.read(2 * SLOT_SIZE)).hexdigest()
    for name, file, key, code in refusals[:4]:
        got = node.update(file, '--key', path(key + '/firmware.pub'), expect=None)
        verdict('refuses before writing: ' + name, got.returncode == code, got.stderr if got.returncode != code else '')
    with open(path('flash'), 'rb') as file:
        verdict('nothing was written', hashlib.sha256(file.read(2 * SLOT_SIZE)).hexdigest() == before)
    got = send(node, 'v3', expect=None)
    deadline = time.time() + 40
    while 'runs 1.1.0' not in (text := node.runs()) and time.time() < deadline:
        pass
    verdict('a version that hangs is reverted by the watchdog', 'runs 1.1.0+0 (confirmed)' in text and got.returncode != 0, text)
    node.end()


def trial():
    """A version that runs but that nobody confirms, as one that can't be reached: guest time runs ahead while it idles."""
    new_flash(path('v1.factory'))
    took = 900.0  # it is the host's work alone: ten minutes of a guest that idles
    for name, trial_runs in (('v2', True), (None, False)):
        if name:
            node = Node(['-no-reboot'])
            send(node, name, expect=None)  # QEMU ends where the node would start again
            node.end()
        node = Node(['-no-reboot', '-icount', 'shift=4,sleep=off'])
        began = time.time()
        try:
            node.qemu.wait(timeout=took if trial_runs else 1.5 * took + 5)
            ended, took = True, time.time() - began if trial_runs else took
        except subprocess.TimeoutExpired:
            ended = False
        node.end()
        if trial_runs:
            verdict('a version that nobody confirms gives itself up', ended, f' ({took:.1f} s)' if ended else '')
            node = Node()
            text = node.runs()
            node.end()
            verdict('and the one before it runs', 'runs 1.0.0+0 (confirmed)' in text, text)
            if not ended:
                return
        else:
            verdict('a confirmed one goes on', not ended)


def recover():
    new_flash(None)
    node = Node()
    text = node.runs()
    verdict('without an image the bootloader answers', 'bootloader, no valid image' in text, text)
    got = send(node, 'key', key='other', expect=None)
    verdict('the bootloader refuses another key', got.returncode == 1 and 'another key' in got.stderr, got.stderr)
    send(node, 'v1')
    verdict('a node is recovered over the bus', 'runs 1.0.0+0 (confirmed)' in node.runs())
    node.end()


def kills():
    """SIGKILL of QEMU is the power cut: the flash is the file. After each the node must start from a good image."""
    random.seed(options.seed)
    new_flash(path('v1.factory'))
    versions, done, through, version = 0, 0, 0, 0
    latest = '1.0.0'
    while done < options.kills:
        version += 1
        name = sign(f'k{version}', f'3.{version // 200}.{version % 200}', counter=2)
        while done < options.kills:
            node = Node()
            text = node.runs()
            if ' runs ' not in ' ' + text.replace('\n', ' ') or 'runs nothing' in text:
                node.end()
                verdict('kills', False, f'seed {options.seed}, kill {done}: no valid image: {text}')
                return
            sender = subprocess.Popen([TOOL, 'update', '1', name, '--key', path('keys/firmware.pub'), '--port', path('tty'),
                                       '--parity', 'none'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                sender.wait(timeout=random.uniform(0.05, 3.5))
            except subprocess.TimeoutExpired:
                pass
            finished = sender.returncode == 0
            if not finished:
                done += 1
            node.end()
            sender.kill()
            sender.wait()
            if finished:
                through += 1
                break
        os.unlink(name)
    node = Node()
    text = node.runs()
    node.end()
    verdict(f'{done} kills in updates, {through} updates through: a valid image started each time', 'runs nothing' not in text
            and 'runs ' in text, f' (seed {options.seed})')


try:
    prepare()
    if options.only_kills:
        sign('v1', '1.0.0', counter=1, factory=True)
    else:
        updates()
        if options.trial:
            trial()
        recover()
    kills()
finally:
    shutil.rmtree(work)
sys.exit(1 if failed else 0)
