# SPDX-License-Identifier: Apache-2.0
"""A small ward of real parts on loopback: certificates, TLS broker, emulated devices, wardgated, wardgate-chart, a third-party HL7
receiver. Used by the demo, the system tests and the benches. Everything lives in one private folder and every process that was
started is ended by its pid."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

LIB = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(LIB))


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_for(what, check, seconds=30.0, every=0.05):
    """Waits until check() is true; returns its value. The deadline is generous: it only ends a test that hangs."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'{what}: not within {seconds:.0f} s')
        time.sleep(every)


def ask(path, request, timeout=10):
    """One request to a control socket; returns its answers, the last of which ends them."""
    answers = []
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        line.connect(path)
        line.sendall(json.dumps(request).encode() + b'\n')
        line.shutdown(socket.SHUT_WR)  # the daemon closes when it has answered
        for row in line.makefile():
            answers.append(json.loads(row))
    return answers


class Ward:
    """Folder, ports and processes. Order of starting: pki, broker, epr, chart, emulators, gateway."""

    site = 'demo'

    def __init__(self, build, gateway='bay-1', quiet=True):
        self.bin = os.path.join(os.path.abspath(build), 'bin')
        self.gateway = gateway
        self.folder = tempfile.mkdtemp(prefix='wg-')
        self.quiet = quiet
        self.processes = {}
        self.commands = {}
        self.broker_port, self.adt_port, self.epr_port = free_port(), free_port(), 0
        for name in ('run', 'crun', 'store', 'ledger', 'logs'):
            os.mkdir(self.path(name), 0o700)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    # --- processes ---

    def start(self, name, command, **more):
        """Starts a process under a name; its output goes to logs/NAME."""
        self.commands[name] = (command, more)
        with open(self.path('logs', name), 'ab') as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=more.pop('stdout', log), stderr=log, **more)
        return self.processes[name]

    def again(self, name):
        command, more = self.commands[name]
        return self.start(name, command, **dict(more))

    def stop(self, name, how=signal.SIGTERM, seconds=30):
        process = self.processes.pop(name, None)
        if process is None or process.poll() is not None:
            return process.returncode if process else None
        process.send_signal(how)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f'{name} did not end within {seconds} s of {signal.Signals(how).name}') from None

    def kill(self, name):
        return self.stop(name, signal.SIGKILL)

    def log(self, name):
        with open(self.path('logs', name), encoding='utf-8', errors='replace') as file:
            return file.read()

    def close(self, keep=False):
        for name in list(self.processes):
            try:
                self.stop(name)
            except TimeoutError as problem:
                print(problem, file=sys.stderr)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not self.quiet:
            for name in os.listdir(self.path('logs')):
                print(f'--- log of {name}\n{self.log(name)[-3000:]}', file=sys.stderr)
        self.close()

    # --- parts ---

    def tool(self, *arguments, check=True):
        return subprocess.run([os.path.join(self.bin, 'wardgate'), *arguments], capture_output=True, text=True, check=check)

    def make_pki(self):
        pki = self.path('pki')
        self.tool('pki', 'init', pki, '--site', self.site)
        self.tool('pki', 'broker', pki, 'localhost', '127.0.0.1')
        self.tool('pki', 'chart', pki, 'chart-1')
        self.tool('pki', 'board', pki, self.gateway)
        more = ['--user', 'root'] if os.geteuid() == 0 else []
        self.tool('pki', 'broker-config', pki, '--port', str(self.broker_port), '--listen', '127.0.0.1', *more)

    def start_broker(self):
        self.start('broker', [shutil.which('mosquitto') or '/usr/sbin/mosquitto', '-c', self.path('pki', 'broker', 'mosquitto.conf')])
        self.wait_port(self.broker_port)

    def wait_port(self, port):
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(('127.0.0.1', port)) == 0
        wait_for(f'port {port}', listens)

    def kill_broker(self):
        """The broker dies and its memory is lost."""
        self.kill('broker')
        for root, _, files in os.walk(self.path('pki', 'broker')):
            for name in files:
                if name.endswith('.db') or name.endswith('.db.new'):
                    os.unlink(os.path.join(root, name))

    def start_epr(self, faults=None):
        more = ['--faults', str(faults)] if faults is not None else []
        process = self.start('epr', ['/usr/bin/python3', os.path.join(LIB, 'epr.py'), '--port', str(self.epr_port), '--out',
                                     self.path('epr.ndjson'), *more], stdout=subprocess.PIPE)
        self.epr_port = int(process.stdout.readline().split()[1])

    def messages(self):
        """What the receiver got, repetitions left out."""
        if not os.path.exists(self.path('epr.ndjson')):
            return []
        with open(self.path('epr.ndjson'), encoding='utf-8') as file:
            return [m for m in map(json.loads, file) if not m['again']]

    def all_messages(self):
        with open(self.path('epr.ndjson'), encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def write_chart_config(self, places, interval='0s', destinations=None, extra=''):
        """places: {PV1-3 leading components: place}."""
        with open(self.path('places.yaml'), 'w', encoding='utf-8') as file:
            file.write('places:\n' + ''.join(f'  - location: "{location}"\n    place: {place}\n' for location, place in places.items()))
        if destinations is None:
            destinations = f'''
  - name: epr
    kind: hl7
    host: 127.0.0.1
    port: {self.epr_port}
    answer: 1s
    retry_min: 250ms
    retry_max: 2s
    retries: 100
'''
        with open(self.path('chart.yaml'), 'w', encoding='utf-8') as file:
            file.write(f'''site: {self.site}
control: {self.path('crun', 'chart.sock')}
ledger:
  folder: {self.path('ledger')}
  key: {self.path('ledger.key')}
  size_max: 8GiB
  free_min: 0B
broker:
  host: localhost
  port: {self.broker_port}
  ca: {self.path('pki/charts/chart-1/ca.pem')}
  certificate: {self.path('pki/charts/chart-1/cert.pem')}
  key: {self.path('pki/charts/chart-1/key.pem')}
  socket: {self.path('crun', 'link.sock')}
  reconnect_min: 100ms
  reconnect_max: 2s
adt:
  address: 127.0.0.1
  port: {self.adt_port}
  zone: Europe/London
  places: {self.path('places.yaml')}
charting:
  interval: {interval}
  grace: 2s
{extra}destinations:{destinations}''')

    def start_chart(self, wait=True):
        self.start('chart', [os.path.join(self.bin, 'wardgate-chart'), '-c', self.path('chart.yaml')])
        if wait:
            self.wait_port(self.adt_port)

    def write_gateway_config(self, buses, commit='50ms', size='64MiB', extra=''):
        """buses: YAML text of the list under `buses:`."""
        board = self.path('pki', 'boards', self.gateway)
        with open(self.path('gateway.yaml'), 'w', encoding='utf-8') as file:
            file.write(f'''site: {self.site}
gateway: {self.gateway}
run: {self.path('run')}
profiles: {os.path.join(ROOT, 'drivers', 'profiles')}
store:
  folder: {self.path('store')}
  key: {self.path('store.key')}
  size: {size}
  commit: {commit}
clock:
  trust: wall
  uncertainty: 100ms
broker:
  host: localhost
  port: {self.broker_port}
  ca: {board}/ca.pem
  certificate: {board}/cert.pem
  key: {board}/key.pem
  crl: {board}/crl.pem
  reconnect_min: 100ms
  reconnect_max: 2s
{extra}buses:
{buses}''')

    def start_gateway(self, *prefix):
        self.start('gateway', [*prefix, os.path.join(self.bin, 'wardgated'), '-c', self.path('gateway.yaml')])

    def emulate(self, name, *arguments):
        """Starts `wardgate emulate`; with --tcp ADDRESS:0 returns the port that it took."""
        process = self.start(name, [os.path.join(self.bin, 'wardgate'), 'emulate', *arguments])
        if '--tcp' in arguments and arguments[arguments.index('--tcp') + 1].endswith(':0'):
            found = wait_for('the emulator\'s port', lambda: re.search(r'listening on port (\d+)', self.log(name)))
            return int(found.group(1))
        if '--pty' in arguments:
            wait_for('the emulator\'s line', lambda: os.path.exists(arguments[arguments.index('--pty') + 1]))
        return process

    # --- questions ---

    def ask_gateway(self, verb, **more):
        return ask(self.path('run', 'control.sock'), {'do': verb, **more})

    def ask_chart(self, verb, **more):
        return ask(self.path('crun', 'chart.sock'), {'do': verb, **more})

    def books(self):
        return self.ask_chart('books')[-1]

    def served(self, name):
        """Rows that an emulator wrote with --served; those that were read by somebody first."""
        path = self.path(name)
        if not os.path.exists(path):
            return []
        with open(path, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]

    def drained(self):
        """True once the chart has receipted all that the gateway has, and nothing is pending."""
        try:
            queue = self.ask_gateway('status')[-1]
            books = self.books()
        except (OSError, json.JSONDecodeError, IndexError):
            return None
        waiting = queue['store']['unreceipted'] + queue['store']['pending']
        return books if waiting == 0 and books['pending'] == 0 else None
