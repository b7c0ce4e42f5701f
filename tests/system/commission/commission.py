#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""commission.py RELEASE DEV [SIZE]: the verbs that an engineer commissions with, each against an emulated device whose settings and
values are known here and not there."""
import concurrent.futures
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

release, dev = sys.argv[1], sys.argv[2]
long = len(sys.argv) > 3 and sys.argv[3] == 'long'
tool = os.path.join(release, 'bin', 'wardgate')
folder = tempfile.mkdtemp(prefix='commission-', dir=os.environ.get('TMPDIR', '/tmp'))
failed = 0


def check(good, what, seen=''):
    global failed
    print(f"{'pass' if good else 'fail'}: {what}" + (f': {seen}' if seen and not good else ''))
    failed += not good


def run(*words, timeout=600):
    began = time.monotonic()
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False)
    done.seconds = time.monotonic() - began
    return done


class Device:
    """An emulated device; its own process, ended by its id."""
    names = itertools.count(1)

    def __init__(self, *words, tcp=False):
        self.line = os.path.join(folder, f'line{next(Device.names)}')
        where = ['--tcp', '127.0.0.1:0'] if tcp else ['--pty', self.line]
        self.process = subprocess.Popen([tool, 'emulate', words[0], *where, *map(str, words[1:])], stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        if tcp:
            self.line = '127.0.0.1:' + ready.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.last = self.process.communicate(timeout=20)[0].strip().splitlines()[-1]
        check(self.process.returncode == 0 and json.loads(self.last)['writes'] == 0, f'{os.path.basename(self.line)}: nobody wrote', self.last)


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def scan():
    with Device('modbus', '--baud', 38400, '--parity', 'odd', '--profile', 'wardgate-monitor', '--unit', 13, '--turnaround', 8) as device:
        limits = [] if long else ['--address', '8-16', '--timeout', 30, '--baud', '19200,38400']
        seen = run('scan', device.line, '--json', *limits)
        found = rows_of(seen.stdout)
        check(seen.returncode == 0 and [(f['baud'], f['parity'], f['address']) for f in found] == [(38400, 'odd', 13)],
              f'scan finds speed, parity and address on a true-timed line in {seen.seconds:.0f} s', seen.stdout + seen.stderr)
        seen = run('scan', device.line, '--baud', 38400, '--parity', 'odd', '--address', '1-12,14', '--timeout', 20)
        check(seen.returncode == 1 and 'nobody answers' in seen.stdout, 'scan says when nobody answers', seen.stdout)
    with Device('modbus', '--baud', 19200, '--profile', 'wardgate-monitor', '--unit', 9, '--turnaround', 60) as device:
        seen = run('scan', device.line, '--baud', 19200, '--parity', 'even', '--address', '7-10', '--timeout', 30)
        check(seen.returncode == 1 and 'address 9 answers, but later' in seen.stdout, 'scan hears a device that is slower than asked',
              seen.stdout)


def read():
    csv = os.path.join(folder, 'rows.csv')
    with open(csv, 'w') as file:
        file.write('temperature\n22.4\n')
    ways = [('rtu on a pty', ['--baud', 19200], ['--baud', 19200, '--parity', 'none'], False),
            ('ascii on a pty', ['--baud', 19200, '--framing', 'ascii'], ['--baud', 19200, '--framing', 'ascii', '--parity', 'none'], False),
            ('tcp', [], [], True), ('rtu over tcp', ['--framing', 'rtu'], ['--framing', 'rtu'], True)]
    for name, its, ours, tcp in ways:
        with Device('modbus', *its, '--profile', 'vaisala-hmp110', '--unit', 240, '--replay', csv, tcp=tcp) as device:
            seen = run('read', device.line, '--unit', 240, '--profile', 'vaisala-hmp110', '--json', *ours)
            fields = {row['field']: row for row in rows_of(seen.stdout)}
            row = fields.get('temperature', {})
            check(seen.returncode == 0 and (row.get('raw'), row.get('value'), row.get('unit')) == ('3333 41B3', '22.4', 'MDC_DIM_DEGC') and
                  fields['test-float']['value'] == 'as expected', f'read shows raw, value and unit: {name}', seen.stdout + seen.stderr)
            if name != 'tcp':
                continue
            seen = run('read', device.line, '--unit', 240, '--address', 2, '--count', 2, '--orders', '--json')
            orders = {(row['address'], row['order']): row for row in rows_of(seen.stdout)}
            check(seen.returncode == 0 and orders[(2, 'CDAB')]['f32'] == '22.4000' and orders[(2, 'ABCD')]['f32'] != '22.4000' and
                  orders[(2, 'CDAB')]['u32'] == str(0x41B33333), 'read --orders has the right one among its word orders', seen.stdout)
            seen = run('read', device.line, '--unit', 240, '--address', 60000)
            check(seen.returncode == 1 and 'refuses' in seen.stderr, 'read names a refusal', seen.stderr)
    with open(csv, 'w') as file:
        file.write('set-point,warm-alarm,cold-alarm\n-80.0,-70.0,-90.5\n')
    with Device('modbus', '--baud', 9600, '--framing', 'ascii', '--profile', 'thermo-ult86', '--unit', 25, '--replay', csv) as device:
        seen = run('read', device.line, '--unit', 25, '--profile', 'thermo-ult86', '--framing', 'ascii', '--baud', 9600, '--parity', 'none',
                   '--json')
        check(seen.returncode == 0 and [row['value'] for row in rows_of(seen.stdout)] == ['-80.0', '-70.0', '-90.5'],
              'read an ASCII freezer by its profile', seen.stdout + seen.stderr)
    with Device('modbus', '--baud', 19200, '--profile', 'vaisala-hmp110', '--unit', 240) as device:
        seen = run('read', device.line, '--unit', 240, '--profile', 'vaisala-hmp110', '--parity', 'none')
        check(seen.returncode == 1 and 'no value' in seen.stdout, 'read says that there is no value, and exits 1', seen.stdout)
        seen = run('read', device.line, '--unit', 3, '--address', 0, '--parity', 'none', '--timeout', 20)
        check(seen.returncode == 69 and 'timeout' in seen.stderr, 'read says that nobody answers', seen.stderr)


def survey():
    requests = 100 if long else 3
    svg = os.path.join(folder, 'survey.svg')
    with Device('modbus', '--baud', 19200, '--profile', 'wardgate-monitor', '--unit', 5, '--turnaround', 420) as device:
        seen = run('survey', device.line, '--unit', 5, '--count', 10, '--timeouts', '600,300', '--requests', requests, '--json', '--svg', svg)
        it = rows_of(seen.stdout)[0]
        rates = {row['timeout_ms']: row['failed_per_mille'] for row in it['timeouts']}
        check(seen.returncode == 0 and rates == {300: 1000, 600: 0} and it['clean_from_ms'] == 600 and 419000 <= it['fastest_us'] < 600000 and
              it['timeouts'][0]['late'] == requests, 'survey: fails at 300 ms, clean at 600 ms, and the answers came late', seen.stdout)
        with open(svg) as file:
            picture = file.read()
        check(picture.startswith('<svg') and '300 ms: 100.0 %' in picture and picture.rstrip().endswith('</svg>'), 'survey draws its picture')
    with Device('modbus', '--baud', 19200, '--profile', 'wardgate-monitor', '--unit', 5, '--fault', 'echo', '--fault', 'flip@3=40') as device:
        seen = run('survey', device.line, '--unit', 5, '--timeouts', '100', '--requests', 6)
        check(seen.returncode == 1 and 'echoes of our own requests 6' in seen.stdout and 'no timeout was clean' in seen.stdout,
              'survey counts echoes and damaged frames', seen.stdout)


def probe_and_record():
    name = os.path.join(folder, 'nonin-8500@bench')
    with Device('nonin-8500', '--seed', 3) as device:
        seen = run('probe', device.line, '--seconds', 3, '--json')
        found = [row['driver'] for row in rows_of(seen.stdout) if row['values'] > 0]
        check(seen.returncode == 0 and found == ['nonin-8500'], 'probe finds the driver of a device that talks', seen.stdout + seen.stderr)
        seen = run('record', device.line, '--driver', 'nonin-8500', '--out', name, '--seconds', 3, '--json')
        told = rows_of(seen.stdout)[0]
        check(seen.returncode == 0 and told['values'] >= 2 and told['bytes'] == os.path.getsize(name + '.bin'), 'record keeps bytes and values',
              seen.stdout + seen.stderr)
        seen = run('record', device.line, '--driver', 'nonin-8500', '--out', name)
        check(seen.returncode == 74 and 'File exists' in seen.stderr, 'record writes over no capture', seen.stderr)
    replay = [os.path.join(dev, 'captures', 'captures_replay'), '--recorded', folder]
    done = subprocess.run(replay, capture_output=True, text=True, check=False)
    check(done.returncode == 0 and 'pass: nonin-8500@bench.bin' in done.stdout, 'what was recorded is a test', done.stdout)
    with open(name + '.bin', 'r+b') as file:
        data = file.read().replace(b'HR=', b'HX=')
        file.seek(0)
        file.write(data)
    done = subprocess.run(replay, capture_output=True, text=True, check=False)
    check(done.returncode == 1, 'and fails when the bytes say something else', done.stdout)


def probe_asked():
    with Device('contec-v7', '--seed', 3) as device:
        seen = run('probe', device.line, '--seconds', 1, '--driver', 'contec-v7', '--listen')
        check(seen.returncode == 1 and 'no driver understands it; 0 bytes' in seen.stdout, 'probe --listen does not ask', seen.stdout)
        seen = run('probe', device.line, '--seconds', 3, '--driver', 'contec-v7', '--json')
        check(seen.returncode == 0 and rows_of(seen.stdout)[0]['driver'] == 'contec-v7', 'probe asks a device that must be asked', seen.stdout)


def wrong_calls():
    cases = [(['scan'], 64), (['scan', '/dev/null', '--address', '0'], 64), (['scan', 'x', '--parity', 'mark'], 64),
             (['scan', os.path.join(folder, 'none'), '--address', '1'], 69), (['read', 'x'], 64), (['read', 'x', '--address', '1', '--count', '126'], 64),
             (['read', 'x', '--profile', 'nosuch'], 78), (['read', 'x', '--address', '1', '--framing', 'tcp'], 64),
             (['survey', 'x', '--timeouts', '1'], 64), (['survey', 'x', '--requests', '0'], 64), (['probe', 'x', '--driver', 'nosuch'], 64),
             (['probe', os.path.join(folder, 'none'), '--seconds', '1'], 69), (['record', 'x', '--driver', 'nosuch', '--out', 'y'], 64),
             (['record', '10.0.0.1:502', '--driver', 'nonin-df2', '--out', 'y'], 64)]
    bad = [(words, code, seen.returncode) for words, code in cases for seen in [run(*words)] if seen.returncode != code or not seen.stderr]
    check(not bad, f'{len(cases)} wrong calls have their exit codes and say why', str(bad))


parts = (wrong_calls, read, scan, survey, probe_and_record, probe_asked)
with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
    for future in [pool.submit(part) for part in parts]:
        future.result()  # an error in a part is an error of the test
sys.exit(failed != 0)
