# SPDX-License-Identifier: Apache-2.0
"""What the scenarios of the chart service are played with: a broker with TLS, the service itself, gateways, a PAS, and an
EPR whose framing and parsing are python3-hl7's."""
import asyncio
import datetime
import glob
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import hl7
import hl7.mllp

ROOT = os.environ.get('WARDGATE_ROOT') or os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
BUILD = os.environ.get('WARDGATE_DEV') or os.path.join(ROOT, 'build', 'dev')
UTC = datetime.timezone.utc
RATE, PER_MINUTE, TEMPERATURE, CELSIUS, SATURATION, PERCENT = 147842, 264864, 150364, 268192, 150456, 262688


def wait(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f'waited {seconds} s for: {what}')
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Epr:
    """Answers as `script` says, message by message; when that is empty, CA. Keeps what it got, in order.
    AA AE AR CA CE CR: that code; None: nothing; 'late': after 1.5 s; 'close': hangs up; 'garbage': no HL7;
    'other': another message's id; 'split': the answer in pieces."""

    def __init__(self):
        self.script, self.got, self.rule = [], [], None
        self.port = free_port()
        self.loop = asyncio.new_event_loop()
        self.server = None
        self.writers = set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.listen()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def listen(self):
        async def start():
            self.server = await hl7.mllp.start_hl7_server(self.serve, '127.0.0.1', self.port, limit=1 << 20)
        self.call(start())

    def stop(self):
        async def end():
            if self.server:
                self.server.close()
                self.server = None
            for writer in list(self.writers):
                writer.close()
        self.call(end())

    def close(self):
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while True:
                message = await reader.readmessage()
                self.got.append(Message(message))
                answer = self.rule(self.got[-1]) if self.rule else self.script.pop(0) if self.script else 'CA'
                self.got[-1].answer = answer
                if await self.answer(message, answer, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, hl7.mllp.InvalidBlockError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    @staticmethod
    async def answer(message, answer, writer):
        if answer is None:
            return False
        if answer == 'close':
            return True
        if answer == 'garbage':
            writer.write(b'\x0bI am not HL7\x1c\x0d')
        elif answer == 'late':
            await asyncio.sleep(1.5)
            writer.writemessage(message.create_ack('CA'))
        elif answer == 'other':
            ack = message.create_ack('AA')
            ack.segment('MSA')[2] = 'ANOTHER'
            writer.writemessage(ack)
        elif answer == 'split':
            text = b'\x0b' + str(message.create_ack('AA')).encode() + b'\x1c\x0d'
            for byte in text:
                writer.write(bytes([byte]))
                await writer.drain()
        else:
            writer.writemessage(message.create_ack(answer))
        await writer.drain()
        return False


class Message:
    """One ORU as python3-hl7 reads it."""

    def __init__(self, message):
        self.hl7 = message
        self.text = str(message)
        self.control = str(message.segment('MSH')[10])
        self.patient = str(message.segment('PID')[3][0][0]) if isinstance(message.segment('PID')[3][0], hl7.Repetition) \
            else str(message.segment('PID')[3]).split('^')[0]
        self.filler = str(message.segment('OBR')[3]).split('^')[0]
        self.seq = int(self.filler.split('.')[2])
        self.values = [(int(str(row[3]).split('^')[0]), str(row[5]), str(row[11]), str(row[14]))
                       for row in message.segments('OBX') if len(row) > 14 and str(row[4]).startswith('1.0.0.') and str(row[5])]
        self.status = self.values[0][2] if self.values else '?'
        self.answer = None

    def field(self, segment, number, nth=0):
        row = message_segments(self.hl7, segment)[nth]
        return str(row[number]) if len(row) > number else ''


def message_segments(message, name):
    return [row for row in message if str(row[0]) == name]


class Pas:
    def __init__(self, world):
        self.world, self.number = world, 0

    def send(self, event, mrn, bed, occurred, before='', visit=None):
        self.number += 1
        now = datetime.datetime.now(UTC)
        text = '\r'.join([
            f'MSH|^~\\&|PAS|HOMERTON|TIE|WG|{now:%Y%m%d%H%M%S}+0000||ADT^{event}|Q{self.number}|P|2.3.1',
            f'EVN|{event}|{now:%Y%m%d%H%M%S}+0000||||{occurred:%Y%m%d%H%M%S}+0000',
            f'PID||{mrn}|{mrn}^^^HOMERTON^CNN||SURNAME{mrn}^Given{mrn}||19700101|Female|||||||||||9434765919',
            f'PV1||Inpatient|{location(bed)}|||{location(before)}|||||||||||||{visit or "V" + mrn}']) + '\r'
        return self.raw(text)

    def raw(self, text, timeout=15):
        """Sends over MLLP, again when there is no answer, as an engine does."""
        for _ in range(50):
            try:
                with socket.create_connection(('127.0.0.1', self.world.adt_port), timeout) as line:
                    line.sendall(b'\x0b' + text.encode() + b'\x1c\x0d')
                    answer = b''
                    while not answer.endswith(b'\x1c\x0d'):
                        chunk = line.recv(65536)
                        if not chunk:
                            raise ConnectionError
                        answer += chunk
                return str(hl7.parse(answer.strip(b'\x0b\x1c\r').decode()).segment('MSA')[1])
            except OSError:
                time.sleep(0.1)
        raise AssertionError('the ADT listener never answered')


def location(bed):
    return f'4A^BAY1^{bed}^HOMERTON' if bed else ''


def encode(name, epoch, records):
    pb = protobuf()
    envelope, body = pb.Envelope(), pb.Body()
    body.gateway, body.epoch = name, epoch
    body.records.extend(records)
    envelope.body = body.SerializeToString()
    return envelope.SerializeToString()


def protobuf():
    return sys.modules['observation_pb2']


class Gateway:
    """Publishes records and keeps offering them until they are receipted, as a board does."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.epoch = hashlib.sha256(name.encode()).digest()[:16]
        self.records, self.receipted = {}, set()

    def reading(self, seq, place, when, values):
        r = protobuf().Record()
        r.seq, r.kind = seq, 1
        r.device.id, r.device.identity, r.place = 'mon-' + place, 'Acme M1', place
        r.time.boot, r.time.sync, r.time.uncertainty_ms = 99, 1, 20
        r.time.utc_us = int(when.timestamp() * 1000) * 1000
        r.time.monotonic_us = r.time.utc_us - 1_700_000_000_000_000
        for code, unit, value in values:
            o = r.observations.add()
            o.code, o.unit = code, unit
            if value is not None:
                digits = value.split('.')
                o.mantissa, o.exponent = int(value.replace('.', '')), -len(digits[1]) if len(digits) > 1 else 0
        self.records[seq] = r
        return r

    def publish(self, seqs):
        payload = encode(self.name, self.epoch, [self.records[s] for s in seqs])
        self.world.publish(f'wardgate/1/t/{self.name}/up', payload)

    def offer(self):
        """Everything without a receipt, in envelopes of 50."""
        open_ = [s for s in sorted(self.records) if s not in self.world.receipts(self.name)]
        for i in range(0, len(open_), 50):
            self.publish(open_[i:i + 50])
        return not open_

    def send(self, seq, place, when, values):
        self.reading(seq, place, when, values)
        self.publish([seq])


class World:
    def __init__(self, interval='0s', destinations=None, retries=3):
        self.folder = tempfile.mkdtemp(prefix='wardgate-chart-')
        os.chmod(self.folder, 0o700)
        self.children, self.chart = [], None
        self.receipt_lines = os.path.join(self.folder, 'receipts')
        self.log = os.path.join(self.folder, 'chart.log')
        self.broker_port, self.adt_port = free_port(), free_port()
        self.epr = Epr()
        self.interval, self.retries = interval, retries
        self.file = os.path.join(self.folder, 'charted.ndjson')
        self.destinations = destinations or ['hl7']
        self.make_protobuf()
        self.make_certificates()
        self.start_broker()
        self.write_config()
        self.pas = Pas(self)
        self.started = time.monotonic()

    # --- parts ---

    def run(self, *command):
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_protobuf(self):
        if 'observation_pb2' not in sys.modules:
            self.run('protoc', f'--python_out={self.folder}', f'-I{ROOT}/gateway/wire', 'observation.proto')
            sys.path.insert(0, self.folder)
            __import__('observation_pb2')

    def make_certificates(self):
        self.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key',
                 '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2')
        for name, usage in (('broker', 'serverAuth'), ('chart', 'clientAuth'), ('gateway', 'clientAuth')):
            with open(self.path(name + '.ext'), 'w', encoding='ascii') as f:
                f.write(f'extendedKeyUsage={usage}\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n'
                        'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
            self.run('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', name + '.key',
                     '-out', name + '.csr', '-subj', '/CN=' + name)
            self.run('openssl', 'x509', '-req', '-in', name + '.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
                     '-out', name + '.pem', '-days', '2', '-extfile', name + '.ext')
            os.chmod(self.path(name + '.key'), 0o600)

    def start_broker(self):
        with open(self.path('mosquitto.conf'), 'w', encoding='ascii') as f:
            f.write(f'listener {self.broker_port} 127.0.0.1\ncafile {self.path("ca.pem")}\ncertfile {self.path("broker.pem")}\n'
                    f'keyfile {self.path("broker.key")}\nrequire_certificate true\nallow_anonymous true\n'
                    'max_queued_messages 0\nmax_inflight_messages 100\n' + ('user root\n' if os.geteuid() == 0 else ''))
        self.broker = self.spawn(['mosquitto', '-c', self.path('mosquitto.conf')], 'broker.log')
        wait('the broker', lambda: self.listening(self.broker_port))
        self.spawn(['mosquitto_sub', *self.tls(), '-t', 'wardgate/1/t/+/down/receipt', '-q', '1', '-F', '%t %x'],
                   'receipts')

    def tls(self):
        return ['-V', '5', '-h', 'localhost', '-p', str(self.broker_port), '--cafile', self.path('ca.pem'), '--cert',
                self.path('gateway.pem'), '--key', self.path('gateway.key')]

    def publish_raw(self, topic, payload):
        """As a client that does not care for limits: the packet size that CONNACK states, and the reason of the broker's DISCONNECT."""
        context = ssl.create_default_context(cafile=self.path('ca.pem'))
        context.load_cert_chain(self.path('gateway.pem'), self.path('gateway.key'))
        with socket.create_connection(('127.0.0.1', self.broker_port), 10) as plain, \
                context.wrap_socket(plain, server_hostname='localhost') as line:
            line.sendall(bytes.fromhex('10100004') + b'MQTT' + bytes.fromhex('0502003c0000') + b'\x03raw')
            answer = line.recv(256)
            at, stated = answer.find(b'\x27', 4), 0
            if answer[0] == 0x20 and at > 0:
                stated = int.from_bytes(answer[at + 1:at + 5], 'big')
            body = len(topic).to_bytes(2, 'big') + topic.encode() + b'\x00\x01\x00' + payload
            n, head = len(body), b'\x32'
            while n > 0:
                head, n = head + bytes([n % 128 + (128 if n > 127 else 0)]), n // 128
            try:
                line.sendall(head + body)
            except OSError:
                pass
            try:
                end = line.recv(256)
            except OSError:
                end = b''
            return stated, end[2] if len(end) > 2 and end[0] == 0xe0 else None

    def spawn(self, command, log, **more):
        child = subprocess.Popen(command, cwd=self.folder, stdout=open(self.path(log), 'ab'), stderr=subprocess.STDOUT, **more)
        self.children.append(child)
        return child

    @staticmethod
    def listening(port):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0

    def write_config(self, extra=''):
        outlets = {'hl7': f'  - name: epr\n    kind: hl7\n    host: 127.0.0.1\n    port: {self.epr.port}\n    processing: T\n'
                          f'    answer: 1s\n    retry_min: 100ms\n    retry_max: 1s\n    retries: {self.retries}\n    sending_facility: RQX\n',
                   'file': f'  - name: file\n    kind: file\n    path: {self.file}\n'}
        with open(self.path('chart.yaml'), 'w', encoding='ascii') as f:
            f.write(f'''site: t
control: {self.path("control")}
ledger:
  folder: {self.path("ledger")}
  key: {self.path("ledger.key")}
  size_max: 1GiB
  free_min: 1MiB
broker:
  host: localhost
  port: {self.broker_port}
  ca: ca.pem
  certificate: chart.pem
  key: chart.key
  socket: link/mqtt.sock
  reconnect_min: 100ms
  reconnect_max: 1s
adt:
  port: {self.adt_port}
  places: places.yaml
charting:
  interval: {self.interval}
  grace: 1s
destinations:
{"".join(outlets[d] for d in self.destinations)}{extra}''')
        with open(self.path('places.yaml'), 'w', encoding='ascii') as f:
            f.write('places:\n' + ''.join(f'  - location: "4A^BAY1^BED{n}"\n    place: bed-{n}\n' for n in range(1, 9)))
        os.makedirs(self.path('link'), 0o700, exist_ok=True)

    # --- the service ---

    def start(self, clock=None):
        """clock: where its wall clock begins ("1995-01-01 00:00:00"); its other clocks are true."""
        environment = dict(os.environ)
        if clock:  # preloaded and not by `faketime`, which would start it as a child that nobody could end
            environment.update(LD_PRELOAD=glob.glob('/usr/lib/*/faketime/libfaketime.so.1')[0], FAKETIME='@' + clock,
                               FAKETIME_DONT_FAKE_MONOTONIC='1')
        self.chart = subprocess.Popen([os.path.join(BUILD, 'bin', 'wardgate-chart'), '-c', self.path('chart.yaml')],
                                      stdout=open(self.log, 'ab'), stderr=subprocess.STDOUT, env=environment)
        wait('the service to be ready', lambda: self.ask('books') or self.chart.poll() is not None)
        if self.chart.poll() is not None:
            raise AssertionError('the service ended: ' + open(self.log, encoding='utf-8').read()[-2000:])

    def kill(self):
        self.chart.send_signal(signal.SIGKILL)
        self.chart.wait()

    def restart(self):
        self.kill()
        self.start()

    def ask(self, verb, **more):
        """The last line of the answer; lines() has the others."""
        answers = self.lines(verb, **more)
        return answers[-1] if answers else None

    def lines(self, verb, **more):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(self.path('control'))
                s.sendall(json.dumps({'do': verb, **more}).encode() + b'\n')
                s.shutdown(socket.SHUT_WR)
                text = b''
                while chunk := s.recv(65536):
                    text += chunk
            return [json.loads(line) for line in text.decode().splitlines()]
        except OSError:
            return []

    def books(self):
        return self.ask('books') or {}

    def settled(self, decoded, seconds=30):
        """Waits until that many readings are decided, then hands back the books."""
        def done():
            b = self.books()
            return b if b.get('decoded') == decoded and b['pending'] == 0 else None
        try:
            b = wait(f'{decoded} readings to be decided', done, seconds)
        except AssertionError as e:
            raise AssertionError(f'{e}: {self.books()} {self.ask("status")}') from None
        assert b['balanced'], b
        return b

    # --- gateways ---

    def publish(self, topic, payload):
        name = self.path('payload')
        with open(name, 'wb') as f:
            f.write(payload)
        subprocess.run(['mosquitto_pub', *self.tls(), '-q', '1', '-t', topic, '-f', name], check=True, timeout=20)

    def receipts(self, gateway):
        pb, seqs = protobuf(), set()
        with open(self.receipt_lines, encoding='ascii') as f:
            for line in f:
                topic, _, payload = line.strip().partition(' ')
                if f'/{gateway}/' in topic and payload and line.endswith('\n'):
                    receipt = pb.Receipt()
                    receipt.ParseFromString(bytes.fromhex(payload))
                    for r in receipt.ranges:
                        seqs.update(range(r.first, r.last + 1))
        return seqs

    def close(self):
        if self.chart and self.chart.poll() is None:
            self.chart.kill()
            self.chart.wait()
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(10)
        self.epr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
