# SPDX-License-Identifier: Apache-2.0
"""The product's own path (link_probe) with a real mosquitto over mutual TLS: no certificate, no broker; certificates rotated without a
restart; an expired own certificate; a revoked board; brokers that die, come back, or stop answering."""
import argparse
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from cases import World
from peers import Tls
from pki import Pki


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def wait_for(what, seconds=20):
    """True as soon as what() is; the limit is many times what it takes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return bool(what())


class Broker:
    def __init__(self, world, certificate, port=None, tls=True, crl=None):
        self.port = port or free_port()
        self.log_path = os.path.join(world.pki.folder, f'broker-{self.port}.log')
        lines = [f'listener {self.port} 127.0.0.1', f'log_dest file {self.log_path}', 'log_type all', 'persistence false',
                 f'user {pwd.getpwuid(os.getuid()).pw_name}']
        if tls:
            lines += [f'cafile {world.trusted}', f'certfile {certificate.path}', f'keyfile {certificate.key.path}',
                      'require_certificate true', 'use_identity_as_username true', 'allow_anonymous false']
            lines += [f'crlfile {crl}'] if crl else []
        else:
            lines += ['allow_anonymous true']
        self.conf = world.pki.write(f'broker-{self.port}.conf', '\n'.join(lines) + '\n')
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(['mosquitto', '-c', self.conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not wait_for(self.answers):
            raise RuntimeError('mosquitto does not start: ' + self.log())

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), timeout=1):
            return True
        return False

    def log(self):
        with contextlib.suppress(OSError), open(self.log_path, encoding='utf-8') as source:
            return source.read()
        return ''

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        if how == signal.SIGKILL:
            self.process.wait()

    def close(self):
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Probe:
    """A link_probe that stays. Its files are copies, so that they can be replaced under it."""

    def __init__(self, program, world, port, board=None, keepalive='5', **options):
        self.folder = tempfile.mkdtemp(dir=world.pki.folder)
        self.world = world
        self.install(board or world.board)
        self.crl = os.path.join(self.folder, 'crl.pem')
        arguments = {'host': 'localhost', 'port': str(port), 'ca': world.trusted, 'cert': self.path('cert.pem'), 'key': self.path('key.pem'),
                     'crl': self.crl, 'socket': self.path('s'), 'handshake': '2000', 'keepalive': keepalive}
        arguments.update(options)
        self.out = open(self.path('out'), 'w+', encoding='utf-8')
        self.process = subprocess.Popen([program, '--stay'] + [x for k, v in arguments.items() for x in ('--' + k, v)], stdout=self.out,
                                        stderr=subprocess.DEVNULL)
        wait_for(lambda: self.count('started') > 0)

    def path(self, name):
        return os.path.join(self.folder, name)

    def install(self, board):
        for source, name in ((board.path, 'cert.pem'), (board.key.path, 'key.pem')):
            shutil.copy(source, self.path(name + '.new'))
            os.chmod(self.path(name + '.new'), 0o600)
        os.replace(self.path('key.pem.new'), self.path('key.pem'))
        os.replace(self.path('cert.pem.new'), self.path('cert.pem'))

    def reports(self, event=None):
        with open(self.path('out'), encoding='utf-8') as source:
            reports = [json.loads(line) for line in source.read().split('\n') if line.endswith('}')]
        return [r for r in reports if event in (None, r['event'])]

    def count(self, event):
        return len(self.reports(event))

    def drop(self):
        self.process.send_signal(signal.SIGUSR1)

    def status(self):
        n = self.count('status')
        self.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: self.count('status') > n)
        return self.reports('status')[-1]

    def alive(self):
        return self.process.poll() is None

    def close(self):
        self.process.terminate()
        rc = self.process.wait()
        self.out.close()
        return rc


class Mad(Tls):
    """Answers CONNECT with whatever it is given."""

    def __init__(self, world, answer):
        self.answer = answer
        super().__init__(world.good.path, world.good.key.path, world.trusted)

    def serve(self, connection):
        answer = self.answer
        if answer is None:
            super().serve(connection)
            return
        with self.context.wrap_socket(connection, server_side=True) as session:
            session.recv(4096)
            session.sendall(answer)
            session.recv(4096)


class Suite:
    def __init__(self, program, wardgate, world):
        self.program, self.wardgate, self.world = program, wardgate, world
        self.failed = self.passed = 0

    def check(self, name, holds, detail=''):
        print(f'pass: broker: {name}' if holds else f'fail: broker: {name}: {detail}', flush=True)
        self.failed += not holds
        self.passed += bool(holds)

    @contextlib.contextmanager
    def pair(self, certificate=None, crl=None, **options):
        broker = Broker(self.world, certificate or self.world.good, crl=crl)
        probe = Probe(self.program, self.world, broker.port, **options)
        try:
            yield broker, probe
        finally:
            rc = probe.close()
            if rc != 0:
                self.check('the probe ends well', False, f'exit {rc}')
            broker.close()

    def refused_without_certificate(self):
        """The broker's side of mutual TLS, asked with openssl because our own path can't go without a certificate."""
        broker = Broker(self.world, self.world.good)
        done = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{broker.port}', '-CAfile', self.world.trusted, '-tls1_2'],
                              input=b'\x10\x10\x00\x04MQTT\x05\x02\x00\x05\x00\x00\x03abc', capture_output=True, timeout=20, check=False)
        self.check('no certificate, no broker', b'\x20\x03' not in done.stdout and 'New client connected' not in broker.log(), broker.log()[-300:])
        broker.close()

    def plaintext_broker(self):
        broker = Broker(self.world, None, tls=False)
        probe = Probe(self.program, self.world, broker.port)
        wait_for(lambda: probe.count('refused') >= 2)
        last = probe.reports('refused')[-1]
        self.check('a plaintext broker sees no client', 'New client connected' not in broker.log() and last['bytes_up'] == 0, broker.log()[-300:])
        error = last['error']
        self.check('a plaintext broker: words', error.startswith('peer ') and 'handshake' in error, error)
        probe.close()
        broker.close()

    def stranger_board(self):
        board = self.world.pki.board(self.world.stranger)
        with self.pair(board=board) as (broker, probe):
            wait_for(lambda: probe.count('refused') >= 2)
            self.check('a board of another CA gets no broker', probe.count('connected') == 0 and 'New client connected' not in broker.log(),
                       str(probe.reports()[-1:]))
            # Once its files are right it comes in by itself, without a restart.
            probe.install(self.world.board)
            self.check('... and comes in once its certificate is right', wait_for(lambda: probe.count('acknowledged') >= 1), str(probe.reports()[-1:]))

    def rotation(self):
        with self.pair(board=self.world.pki.board(self.world.ca, subject='gw-old')) as (broker, probe):
            wait_for(lambda: probe.count('acknowledged') >= 1)
            probe.install(self.world.pki.board(self.world.ca, subject='gw-new'))
            time.sleep(0.1)
            undisturbed = probe.count('disconnected') == 0
            probe.drop()
            again = wait_for(lambda: probe.count('acknowledged') >= 2)
            log = broker.log()
            self.check('rotation: replacing the files does not disturb the connection', undisturbed)
            self.check('rotation: after a drop the new certificate is used, without a restart',
                       again and "u'gw-old'" in log and "u'gw-new'" in log, log[-400:])

    def expired_own(self):
        board = self.world.pki.board(self.world.ca, stop='2024-01-02')
        with self.pair(board=board) as (_, probe):
            wait_for(lambda: probe.count('refused') >= 2)
            status = probe.status()
            self.check('own certificate expired: the status says so', status['error'].startswith('own certificate expired 2024-01-02; '), status['error'])
            self.check('own certificate expired: the process goes on, and tries', probe.alive() and status['refusals'] >= 2, str(status))
            probe.install(self.world.board)
            self.check('own certificate renewed: it comes in by itself', wait_for(lambda: probe.count('acknowledged') >= 1), str(probe.reports()[-1:]))

    def killed_broker(self):
        with self.pair() as (broker, probe):
            good = wait_for(lambda: probe.count('acknowledged') >= 1)
            for i in range(3):
                broker.kill()
                noticed = wait_for(lambda i=i: probe.count('disconnected') >= i + 1)
                broker.start()
                good = good and noticed and wait_for(lambda i=i: probe.count('acknowledged') >= i + 2)
            self.check('a broker killed and started three times is found again', good, str(probe.reports()[-1:]))

    def stalled_broker(self):
        with self.pair(keepalive='5') as (broker, probe):
            wait_for(lambda: probe.count('acknowledged') >= 1)
            broker.kill(signal.SIGSTOP)
            began = time.monotonic()
            noticed = wait_for(lambda: probe.count('disconnected') >= 1, 60)
            took = time.monotonic() - began
            self.check('a broker that stops answering is noticed by keepalive', noticed, f'{took:.1f} s')
            print(f'a stalled broker was noticed after {took:.1f} s at a keepalive of 5 s')
            refused = wait_for(lambda: any('did not finish the handshake' in r['error'] for r in probe.reports('refused')), 30)
            self.check('... and its silence is in the words', refused, str(probe.reports()[-1:]))
            broker.kill(signal.SIGCONT)
            self.check('... and it is used again when it answers', wait_for(lambda: probe.count('acknowledged') >= 2), str(probe.reports()[-1:]))

    def revoked_broker(self):
        """A broker's certificate stolen: the list that arrives while connected counts from the next connection."""
        with self.pair() as (_, probe):
            wait_for(lambda: probe.count('acknowledged') >= 1)
            shutil.copy(self.world.pki.revocations(self.world.ca, [self.world.good]), probe.crl)
            probe.drop()
            refused = wait_for(lambda: probe.count('refused') >= 1)
            error = probe.reports('refused')[-1]['error'] if refused else ''
            self.check('a revoked broker is refused from the next connection on', error == 'certificate of broker.example is revoked', error)

    def revoked_board(self):
        revoked = self.world.pki.board(self.world.ca, subject='gw-lost')
        crl = self.world.pki.revocations(self.world.ca, [revoked])
        with self.pair(crl=crl, board=revoked) as (broker, probe):
            refused = wait_for(lambda: probe.count('refused') >= 1)
            error = probe.reports('refused')[-1]['error'] if refused else ''
            self.check('a revoked board gets no broker', refused and 'New client connected' not in broker.log(), broker.log()[-300:])
            self.check('a revoked board knows it', error == 'peer refused the handshake: alert certificate_revoked (44)', error)
            other = Probe(self.program, self.world, broker.port)
            self.check('... and its neighbour is let in', wait_for(lambda: other.count('acknowledged') >= 1), str(other.reports()[-1:]))
            other.close()

    def clock(self):
        """The board's clock alone is false; the broker's is right."""
        with self.pair(clock='60', floor='1767225600') as (_, probe):
            self.check('a board booted at 1970 connects', wait_for(lambda: probe.count('acknowledged') >= 1), str(probe.reports()[-1:]))
        old = self.world.pki.server(self.world.ca, stop='2024-01-02')
        with self.pair(certificate=old, clock='1685577600', floor='1767225600') as (_, probe):
            wait_for(lambda: probe.count('refused') >= 1)
            error = probe.reports('refused')[-1]['error'] if probe.count('refused') else ''
            self.check('a clock set back opens nothing', probe.count('connected') == 0 and error == 'certificate of broker.example expired 2024-01-02', error)

    def takeover(self):
        with self.pair(id='twin') as (broker, first):
            wait_for(lambda: first.count('acknowledged') >= 1)
            second = Probe(self.program, self.world, broker.port, id='twin')
            both = wait_for(lambda: second.count('acknowledged') >= 1 and first.count('disconnected') >= 1)
            time.sleep(2)
            fights = first.count('connected') + second.count('connected')
            self.check('two boards of one name do not fight as fast as they can', both and fights <= 14, f'{fights} connections')
            second.close()

    def one_command(self):
        """A site made by `wardgate pki`; then one board of it is cut off by one command while it is connected."""
        if not (self.wardgate and os.path.exists(self.wardgate)):
            print('skip: broker: revocation by one command: no wardgate in this build')
            return
        site = os.path.join(tempfile.mkdtemp(dir=self.world.pki.folder), 'site')
        port = free_port()

        def pki(command, *arguments):
            subprocess.run([self.wardgate, 'pki', command, site, *arguments], check=True, capture_output=True, timeout=60)
        pki('init', '--site', 'ward')
        pki('broker', 'localhost')
        for board in ('bay-1', 'bay-2'):
            pki('board', board)
        pki('broker-config', '--port', str(port), '--listen', '127.0.0.1', '--user', pwd.getpwuid(os.getuid()).pw_name)
        log_path = os.path.join(site, 'log')
        with open(log_path, 'w', encoding='utf-8') as log:
            broker = subprocess.Popen(['mosquitto', '-c', os.path.join(site, 'broker', 'mosquitto.conf')], stdout=log, stderr=log)
        boards = []
        try:
            for board in ('bay-1', 'bay-2'):
                folder = os.path.join(site, 'boards', board)
                files = {name: os.path.join(folder, name + '.pem') for name in ('ca', 'cert', 'key', 'crl')}
                boards.append(Probe(self.program, self.world, port, id=board, topic=f'wardgate/1/ward/{board}/up', **files))
            both = wait_for(lambda: all(b.count('acknowledged') >= 1 for b in boards))
            self.check('boards of a site made by wardgate pki connect', both, str([b.reports()[-1:] for b in boards]))
            pki('revoke', 'bay-1', '--broker-pid', str(broker.pid))
            acknowledged = boards[0].count('acknowledged')
            for board in boards:
                board.drop()
            cut = wait_for(lambda: any('certificate_revoked' in r['error'] for r in boards[0].reports('refused')))
            self.check('a revoked board is cut off by one command', cut and boards[0].count('acknowledged') == acknowledged,
                       str(boards[0].reports()[-1:]))
            self.check('... and its neighbour is not', wait_for(lambda: boards[1].count('acknowledged') >= 2), str(boards[1].reports()[-1:]))
        finally:
            for board in boards:
                board.close()
            broker.kill()
            broker.wait()

    def mad_brokers(self):
        """Brokers with a good certificate that say what ends libmosquitto 2.0.11 (an assert), and other nonsense."""
        fault = 'peer sent what is no MQTT 5: '
        for name, words, answer in (
                ('an unknown property', 'a property that does not belong there', b'\x20\x09\x00\x00\x06\xcf\x22\x00\x0a\x21\x00'),
                ('a SUBACK without a code', 'a packet ends too early', b'\x20\x03\x00\x00\x00\x90\x03\x00\x01\x00'),
                ('HTTP', 'a packet with wrong flags', b'HTTP/1.1 400 Bad Request\r\n\r\n'),
                ('a message of 256 MiB', 'a packet larger than 1 MiB', b'\x20\x03\x00\x00\x00\x30\xff\xff\xff\x7f\x00')):
            broker = Mad(self.world, answer)
            probe = Probe(self.program, self.world, broker.port)
            # Each new attempt clears the words, so the look that found them is the one that counts.
            errors = []
            wait_for(lambda: errors.append(probe.status()['error']) or errors[-1].startswith(fault))
            error = errors[-1]
            self.check(f'a broker that says {name} is named', error == fault + words and probe.alive(), error)
            broker.answer = None
            self.check('... and used again when it has come to its senses', wait_for(lambda: probe.count('acknowledged') >= 1), str(probe.reports()[-1:]))
            self.check('... by the same process', probe.close() == 0)
            broker.close()

    def last_words(self):
        with self.pair() as (broker, probe):
            wait_for(lambda: probe.count('acknowledged') >= 1)
            probe.process.terminate()
            said = wait_for(lambda: 'Client probe disconnected.' in broker.log())
            self.check('the DISCONNECT of a program that ends arrives', said, broker.log()[-200:])

    def all(self):
        for test in (self.refused_without_certificate, self.plaintext_broker, self.stranger_board, self.rotation, self.expired_own, self.killed_broker, self.last_words, self.one_command, self.mad_brokers,
                     self.revoked_broker, self.revoked_board, self.clock, self.takeover, self.stalled_broker):
            test()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--probe', required=True)
    parser.add_argument('--wardgate', help='the tool, for the site that it makes')
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='wardgate-broker.')
    try:
        suite = Suite(arguments.probe, arguments.wardgate, World(Pki(folder)))
        suite.all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{suite.passed} passed, {suite.failed} failed with a real broker')
    return 1 if suite.failed else 0


if __name__ == '__main__':
    sys.exit(main())
