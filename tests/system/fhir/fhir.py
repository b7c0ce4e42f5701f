#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The chart service and a third-party FHIR server: TLS broker, ADT over MLLP, Medplum's router over HTTPS with certificates both ways.

Each scenario is a function; `fhir.py NAME...` plays only those. Prints pass: and fail: lines and what was counted."""
import datetime
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'chart'))
from world import PER_MINUTE, RATE, UTC, Gateway, World, free_port, wait  # noqa: E402

LONG = os.environ.get('WARDGATE_SIZE') == 'long'
SYSTEM, NUMBERS = 'https://trust.example/wardgate', 'https://trust.example/mrn'
MMHG, PERCENT, CELSIUS, BREATHS = 266016, 262688, 268192, 264928
counted = {}


def count(**figures):
    for name, n in figures.items():
        counted[name] = counted.get(name, 0) + n


def ago(seconds):
    return datetime.datetime.now(UTC) - datetime.timedelta(seconds=seconds)


def same(got, expected, what=''):
    assert got == expected, f'{what}: {got!r} is not {expected!r}'


class Server:
    """server.js: may be killed and started again; what it took it still has."""

    def __init__(self, world):
        self.world, self.port, self.process = world, free_port(), None
        self.log, self.journal = world.path('fhir.log'), world.path('fhir.journal')

    def start(self):
        path = self.world.path
        command = ['node', os.path.join(HERE, 'server.js'), '--port', str(self.port), '--cert', path('broker.pem'), '--key',
                   path('broker.key'), '--ca', path('ca.pem'), '--log', self.log, '--journal', self.journal]
        with open(path('server.err'), 'ab') as err:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
        same(self.process.stdout.readline(), 'ready\n', 'the FHIR server')

    def tell(self, script):
        self.process.stdin.write(json.dumps(script) + '\n')
        self.process.stdin.flush()
        same(self.process.stdout.readline(), 'told\n')

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def ended(self):
        return self.process.poll() is not None

    def ask(self, method, path, body=None):
        context = ssl.create_default_context(cafile=self.world.path('ca.pem'))
        context.load_cert_chain(self.world.path('gateway.pem'), self.world.path('gateway.key'))
        line = http.client.HTTPSConnection('localhost', self.port, context=context, timeout=20)
        try:
            line.request(method, '/fhir/' + path, json.dumps(body) if body else None, {'content-type': 'application/fhir+json'})
            return json.loads(line.getresponse().read())
        finally:
            line.close()

    def patient(self, mrn):
        return self.ask('POST', 'Patient', {'resourceType': 'Patient', 'identifier': [{'system': NUMBERS, 'value': mrn}]})['id']

    def observations(self, patient=None):
        found = [entry['resource'] for entry in self.ask('GET', 'Observation?_count=1000').get('entry', [])]
        return [o for o in found if patient is None or o['subject']['reference'] == f'Patient/{patient}']

    def requests(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]


class FhirWorld(World):
    answer, more, known = '2s', '', {}

    def write_config(self, extra=''):
        self.destinations = []
        self.server = getattr(self, 'server', None) or Server(self)
        super().write_config(f'''  - name: epr
    kind: fhir
    url: https://localhost:{self.server.port}/fhir
    ca: {self.path("ca.pem")}
    certificate: {self.path("chart.pem")}
    key: {self.path("chart.key")}
    identifier_system: {SYSTEM}
    number_system: {NUMBERS}
    answer: {self.answer}
    retry_min: 100ms
    retry_max: 500ms
    retries: {self.retries}
{self.more}{extra}''')

    def make_certificates(self):
        """Beside the usual ones: another CA with a server and a client of its own, and a server of another name."""
        super().make_certificates()
        for name in ('foreign', 'elsewhere'):
            if name == 'foreign':
                self.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                         'foreign.key', '-out', 'foreign.pem', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
                         '-days', '2')
                continue
            with open(self.path('elsewhere.ext'), 'w', encoding='ascii') as f:
                f.write('extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\nsubjectAltName=DNS:epr.example\n')
            self.run('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'elsewhere.key',
                     '-out', 'elsewhere.csr', '-subj', '/CN=localhost')
            self.run('openssl', 'x509', '-req', '-in', 'elsewhere.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
                     '-out', 'elsewhere.pem', '-days', '2', '-extfile', 'elsewhere.ext')

    def link(self):
        status = self.ask('status')
        return status['destinations'][0] if status else {}

    def log_text(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def close(self):
        self.server.kill()
        super().close()


def once(w, expected=None):
    """Every identifier is on the server once; what was sent of one name was always the same bytes, and right."""
    numbers = [i['value'] for o in w.server.observations() for i in o['identifier']]
    same(len(numbers), len(set(numbers)), 'an Observation twice')
    bytes_of = {}
    for r in w.server.requests():
        same(r['type'], 'application/fhir+json')
        name = json.loads(r['text'])['identifier']['value']
        same(bytes_of.setdefault(name, r['text']), r['text'], 'other bytes under the same name')
    if expected is not None:
        same(len(numbers), expected, 'observations on the server')
    counted['transactions'] = len(w.server.requests())
    return numbers


def settle(w, n, seconds=30):
    """Waits until n more readings are decided; says what of the books has changed."""
    old = w.known
    w.known = w.settled(old.get('decoded', 0) + n, seconds)
    return {key: w.known[key] - old.get(key, 0) for key in ('charted', 'held', 'rejected', 'kept') if w.known[key] != old.get(key, 0)}


VITALS = [(RATE, PER_MINUTE, '72'), (150456, PERCENT, '97'), (150344, CELSIUS, '37.10'), (151562, BREATHS, '16'), (150021, MMHG, '120'),
          (150022, MMHG, '80'), (150023, MMHG, '93.0')]


def charting(w):
    """One set of everything: the server's Observations are those of the reading, on that patient, digit for digit."""
    patient = w.server.patient('100')
    w.pas.send('A01', '100', 'BED1', ago(3600))
    when = ago(5).replace(microsecond=250000)
    g = Gateway(w, 'gw-1')
    more = [(188736, 263875, '81.50'), (188740, 263441, '178'), (149530, PER_MINUTE, '71'), (150037, MMHG, '-5'), (150038, MMHG, '61'),
            (151980, 263762, '480'), (160184, 266866, '5.40'), (150388, CELSIUS, '33.0'), (150448, PERCENT, '1.250'), (157784, 265266, '0.0'),
            (150368, CELSIUS, None)]
    g.send(7, 'bed-1', when, VITALS + more)
    same(settle(w, 1), {'charted': 1})
    request = w.server.requests()[-1]
    same((request['peer'], request['protocol'], request['agent'][:9]), ('chart', 'TLSv1.3', 'wardgate/'))
    with open(w.path('bundle.json'), 'w', encoding='utf-8') as file:
        file.write(request['text'])
    found = w.server.observations(patient)
    same(len(found), 14)
    stamp = f'{when:%Y-%m-%dT%H:%M:%S}.250Z'
    values = {}
    for o in found:
        same((o['status'], o['effectiveDateTime'], o['subject']['reference']), ('preliminary', stamp, f'Patient/{patient}'))
        for p in o.get('component', [o]):
            mdc, = [c['code'] for c in p['code']['coding'] if c['system'].startswith('urn:')]
            values[int(mdc)] = p['valueQuantity']['value']
    expected = {code: float(value) for code, _, value in VITALS + more if value is not None}
    same(values, expected)
    for code, _, value in VITALS + more:
        if value is not None:
            assert f'"value":{value},' in request['text'], f'{code}: {value} was not sent digit for digit'
    assert '150368' not in request['text'], 'a value that the device did not have'
    bp = [o for o in found if any(c['code'] == '85354-9' for c in o['code']['coding'])]
    same(sorted(len(o['component']) for o in bp), [2, 3])
    count(observations=len(found), values=len(values))


def validity(w):
    """What was sent, as third parties judge it; and changed in ways that are wrong: they refuse each."""
    done = subprocess.run(['node', os.path.join(HERE, 'check.js'), w.server.log, w.path('bundle.json')], capture_output=True, text=True,
                          check=False)
    print('  ' + done.stdout.strip().replace('\n', '\n  '))
    same(done.returncode, 0, done.stderr)


def bad_answers(w):
    """Whatever the server does, before or after it took a Bundle: charted once, always the same bytes."""
    w.server.patient('101')
    w.pas.send('A01', '101', 'BED2', ago(3600))
    before = len(w.server.observations())
    g = Gateway(w, 'gw-2')
    kinds = ['500', 'took close', '503 0', 'stall', 'close', 'took page', 'page', 'took half', 'took huge', 'no http', 'redirect', '409',
             '412', '429 1', '401', '403 page', '404 page', '502', '504', 'other resource', 'no entries', 'took stall', '408']
    chance = random.Random(4)
    n = 200 if LONG else 30
    script = list(kinds)
    while len(script) < n:
        script.append(chance.choice(kinds + [''] * 60))
    chance.shuffle(script)
    script = [''] + script  # something was charted before: else no refusal counts
    w.server.tell(script)
    for seq in range(1, n + 1):
        g.reading(seq, 'bed-2', ago(900 - seq), [(RATE, PER_MINUTE, str(50 + seq))])
    g.offer()
    same(settle(w, n, 120), {'charted': n})
    same(len(w.server.observations()) - before, n)
    once(w)
    count(faults=len([s for s in script if s]))


def withdrawal(w):
    """A transfer whose A02 comes late: entered in error on the old patient, new on the right one, linked."""
    old, new = w.server.patient('102'), w.server.patient('103')
    w.pas.send('A01', '102', 'BED3', ago(7200))
    w.pas.send('A01', '103', 'BED4', ago(7200))
    g = Gateway(w, 'gw-3')
    for seq in range(1, 11):
        g.reading(seq, 'bed-3', ago(600 - seq * 10), VITALS)
    g.offer()
    same(settle(w, 10), {'charted': 10})
    same(len(w.server.observations(old)), 50)
    w.server.tell(['took close', '', '', 'took stall', '', '500', '', 'took page'])  # nor do these lose or double anything
    moved = ago(600 - 55)
    w.pas.send('A03', '102', 'BED3', moved - datetime.timedelta(seconds=1))
    w.pas.send('A02', '103', 'BED3', moved, before='BED4')
    wait('the correction', lambda: len(w.server.observations(new)) == 25, 30)
    same(settle(w, 0), {})
    there = w.server.observations(old)
    wrong = {o['identifier'][0]['value']: o for o in there if o['status'] == 'entered-in-error'}
    same((len(there), len(wrong)), (50, 25))
    for o in w.server.observations(new):
        same(o['status'], 'preliminary')
        link, = [e for e in o['extension'] if e['url'].endswith('/observation-replaces')]
        replaced = wrong.pop(link['valueReference']['identifier']['value'])
        same(o['effectiveDateTime'], replaced['effectiveDateTime'])
        same(o.get('valueQuantity'), replaced.get('valueQuantity'))
        same(o.get('component'), replaced.get('component'))
        same(int(replaced['meta'].get('versionId', '2') != '1'), 1)
    same(wrong, {})
    once(w)
    count(withdrawn=25)


def killed(w):
    """The server is killed before and after it took something, and the service in the middle: nothing lost, nothing twice."""
    w.server.patient('104')
    w.pas.send('A01', '104', 'BED5', ago(3600))
    before = len(w.server.observations())
    g = Gateway(w, 'gw-4')
    for kind, first in (('took die', 1), ('die', 11)) if LONG else (('took die', 1),):
        w.server.tell(['', '', kind])
        for seq in range(first, first + 10):
            g.reading(seq, 'bed-5', ago(900 - seq), [(RATE, PER_MINUTE, str(50 + seq))])
        g.offer()
        wait('the server to die', w.server.ended, 60)
        w.server.kill()
        w.server.start()
    before_stall = len([r for r in w.server.requests() if r['kind'] == 'took stall'])
    w.server.tell(['took stall'] * 4)
    for seq in range(21, 31):
        g.reading(seq, 'bed-5', ago(900 - seq), [(RATE, PER_MINUTE, str(50 + seq))])
    g.offer()
    wait('four under way', lambda: len([r for r in w.server.requests() if r['kind'] == 'took stall']) >= before_stall + 4, 60)
    w.kill()
    w.start()
    n = len(g.records)
    same(settle(w, n, 60), {'charted': n})
    same(len(w.server.observations()) - before, n)
    once(w)
    count(kills=3 if LONG else 2)


def refusals(w):
    """422 is for a person, at once; after an attempt without an answer it may stand; a patient whom the EPR does not know yet is
    waited for; a server that says when to come again is left alone till then."""
    w.pas.send('A01', '105', 'BED6', ago(3600))
    g = Gateway(w, 'gw-5')
    g.send(1, 'bed-6', ago(20), [(RATE, PER_MINUTE, '61')])
    wait('a refusal', lambda: [r for r in w.server.requests() if r['status'] == 412])
    w.server.patient('105')
    same(settle(w, 1), {'charted': 1})

    w.server.tell(['422'])
    g.send(2, 'bed-6', ago(19), [(RATE, PER_MINUTE, '62')])
    same(settle(w, 1), {'rejected': 1})
    dead = [line for line in w.lines('dead') if 'destination' in line]
    same([(d['seq'], d['detail']) for d in dead], [(2, 'AR after 1 attempts')])
    w.ask('resend', destination='epr', who='nurse')
    same(settle(w, 0), {'charted': 1, 'rejected': -1})

    w.server.tell(['stall', '422'])
    g.send(3, 'bed-6', ago(18), [(RATE, PER_MINUTE, '63')])
    same(settle(w, 1), {'held': 1})
    same([(h['reason'], h['readings']) for h in w.lines('held') if 'reason' in h], [('may-stand', 1)])
    w.ask('discard', place='bed-6', reason='may-stand', who='nurse')
    settle(w, 0)

    w.server.tell(['503 2'])
    started = time.time() * 1000
    g.send(4, 'bed-6', ago(17), [(RATE, PER_MINUTE, '64')])
    same(settle(w, 1).get('charted'), 1)
    attempts = [r['at'] for r in w.server.requests() if r['at'] >= started]
    same(len(attempts), 2)
    assert attempts[1] - attempts[0] >= 2000, attempts
    assert 'HTTP status 503' in w.log_text()
    once(w)


class Impostor:
    """Shakes hands like the server, if the other side lets it, and keeps what it is told."""

    def __init__(self, world, port, cert, ca, newest=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(world.path(cert + '.pem'), world.path(cert + '.key'))
        self.context.load_verify_locations(world.path(ca + '.pem'))
        self.context.verify_mode = ssl.CERT_REQUIRED
        if newest:
            warnings.simplefilter('ignore', DeprecationWarning)  # that it is deprecated is the point
            self.context.set_ciphers('DEFAULT@SECLEVEL=0')
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
        self.told, self.met = b'', 0
        self.line = socket.create_server(('127.0.0.1', port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.line.accept()
            except OSError:
                return
            self.met += 1
            peer.settimeout(5)
            secure = self.context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            try:
                secure.do_handshake()
                self.told += secure.recv(65536)
            except OSError:
                pass
            self.hang_up(secure)

    @staticmethod
    def hang_up(secure):
        """Reads the rest first: a socket that is closed on unread bytes is reset, and a reset may overtake the alert that was sent."""
        with socket.socket(fileno=secure.detach()) as raw:
            raw.settimeout(2)
            try:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                pass

    def close(self):
        self.line.shutdown(socket.SHUT_RDWR)
        self.line.close()


def trust(w):
    """A server of another CA, of another name, of an old TLS, and one that takes another CA's clients only, are told nothing; the
    reading waits for the right one."""
    w.server.patient('106')
    w.pas.send('A01', '106', 'BED7', ago(3600))
    g = Gateway(w, 'gw-6')
    cases = [('foreign', 'ca', None, 'certificate'), ('elsewhere', 'ca', None, 'no alternative certificate'),
             ('broker', 'ca', ssl.TLSVersion.TLSv1_1, 'protocol'), ('broker', 'foreign', None, 'alert')]
    w.server.kill()
    g.send(1, 'bed-7', ago(100), [(RATE, PER_MINUTE, '61')])
    for cert, ca, newest, words in cases:
        heard = len(w.log_text())
        impostor = Impostor(w, w.server.port, cert, ca, newest)
        try:
            wait(f'{words} in the log', lambda at=heard, text=words: text in w.log_text()[at:], 60)
            assert impostor.met > 0
            same(impostor.told, b'', f'{cert} {ca} {newest}: something was sent')
        finally:
            impostor.close()
    w.server.start()
    same(settle(w, 1, 60), {'charted': 1})
    once(w)
    count(bad_peers=len(cases))


SCENARIOS = [charting, bad_answers, withdrawal, killed, refusals, trust, validity]


def main():
    names, failed = sys.argv[1:], 0
    w = FhirWorld(retries=1000)
    began = time.monotonic()
    try:
        w.server.start()
        w.start()
        for scenario in SCENARIOS:
            if names and scenario.__name__ not in names:
                continue
            at = time.monotonic()
            try:
                scenario(w)
                print(f'pass: FHIR: {scenario.__name__} ({time.monotonic() - at:.1f} s)', flush=True)
            except Exception:  # each scenario is told apart
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f'fail: FHIR: {scenario.__name__}', flush=True)
                print(w.log_text()[-2500:])
                with open(w.path('server.err'), encoding='utf-8', errors='replace') as file:
                    print(file.read()[-2500:])
                break  # the books of the next ones would be wrong
        print(f'  {counted}, {time.monotonic() - began:.1f} s')
    finally:
        w.close()
    return 1 if failed else 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
