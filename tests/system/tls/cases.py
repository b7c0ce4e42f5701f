# SPDX-License-Identifier: Apache-2.0
"""The bad peers: a name, how the peer is made, and the exact words that the gateway must find for it (a final '...' leaves the rest
open, where a library's own words follow)."""
import os
import socket
import ssl
import time

from peers import Between, Peer, Script, Tls, record, reset, say, server_hello, silence
from pki import Certificate, dns, email, extension, ip, oid, seq, tlv

NOT_TLS = 'peer does not speak TLS: its first bytes are '
HANDSHAKE_FAILURE = 'peer refused the handshake: alert handshake_failure (40)'
MISMATCH = 'name mismatch: certificate is for '
TEXT = {'http': b'HTTP/1.1 400 Bad Request\r\n\r\n', 'ssh': b'SSH-2.0-OpenSSH_9.2\r\n', 'connack': b'\x20\x03\x00\x00\x00'}


def words(data):
    return NOT_TLS + ' '.join(f'{b:02x}' for b in data[:8])


class World:
    """What all peers share: our CA, our board, a good certificate for the broker."""

    def __init__(self, pki):
        self.pki = pki
        self.ca = pki.authority('Test CA')
        self.rsa_ca = pki.authority('Test RSA CA', key='rsa2048')
        self.stranger = pki.authority('Other CA')
        self.namesake = pki.authority('Test CA', label='namesake')
        self.board = pki.board(self.ca)
        self.good = pki.server(self.ca)
        self.trusted = self.file(self.ca, self.rsa_ca)

    def file(self, *certificates):
        return certificates[0].chain(*certificates[1:])

    def tls(self, certificate, *above, **options):
        return Tls(certificate.chain(*above), certificate.key.path, self.trusted, **options)

    def served(self, *above, **options):
        """A TLS server with a certificate of our CA that differs from a good one in these options."""
        issuer = options.pop('issuer', self.ca)
        return self.tls(self.pki.server(issuer, **options), *above)

    def below(self, issuer=None, **options):
        """An intermediate CA."""
        return self.pki.authority(options.pop('subject', 'Issuing CA'), issuer=issuer or self.ca, **options)


def certificates(w):
    """Faults of the certificate itself: (name, peer, words, options of the probe)."""
    end = 'certificate of broker.example '
    unsigned = end + 'is not properly signed by Test CA, or too deep below it'
    mismatch = lambda what, host='localhost': f'{MISMATCH}{what}, not {host}'
    address = {'host': '127.0.0.1'}
    return [
        ('expired', w.served(stop='2024-01-02'), end + 'expired 2024-01-02', {}),
        ('not yet valid', w.served(start='2079-01-02'), end + 'is not valid before 2079-01-02', {}),
        ('wrong host', w.served(names=[dns('other.example')]), mismatch('other.example'), {}),
        ('two wrong hosts', w.served(names=[dns('a.example'), ip(10, 0, 0, 1)]), mismatch('a.example, 10.0.0.1'), {}),
        ('wildcard alone', w.served(names=[dns('*')]), mismatch('*'), {}),
        ('wildcard label', w.served(names=[dns('*.0.0.1')]), mismatch('*.0.0.1', '127.0.0.1'), address),
        ('partial wildcard', w.served(names=[dns('local*')]), mismatch('local*'), {}),
        ('common name alone', w.served(subject='localhost', names=None), mismatch('no host at all'), {}),
        ('e-mail name alone', w.served(subject='localhost', names=[email('a@localhost')]), mismatch('no host at all'), {}),
        ('NUL in the name', w.served(names=[dns(b'localhost\0.evil.example')]), mismatch('localhost?.evil.example'), {}),
        ('trailing dot', w.served(names=[dns('localhost.')]), mismatch('localhost.'), {}),
        ('trailing space', w.served(names=[dns('localhost ')]), mismatch('localhost '), {}),
        ('look-alike letter', w.served(names=[dns('l\u043ecalhost'.encode())]), mismatch('l??calhost'), {}),
        ('longer name', w.served(names=[dns('localhost.example')]), mismatch('localhost.example'), {}),
        ('shorter name', w.served(names=[dns('localhos')]), mismatch('localhos'), {}),
        ('wrong address', w.served(names=[ip(127, 0, 0, 2)]), mismatch('127.0.0.2', '127.0.0.1'), address),
        ('address as a name', w.served(names=[dns('127.0.0.1')]), mismatch('127.0.0.1', '127.0.0.1'), address),
        ('address of 5 bytes', w.served(names=[ip(127, 0, 0, 1, 0)]), mismatch('...', '127.0.0.1')[:34] + '...', address),
        ('mapped address', w.served(names=[ip(*[0] * 10, 255, 255, 127, 0, 0, 1)]),
         mismatch('::ffff:127.0.0.1', '127.0.0.1'), address),
        ('no extended key usage', w.served(purposes=None), end + 'is not for a server (extended key usage)', {}),
        ('client certificate', w.served(purposes=['clientAuth']), end + 'is not for a server (extended key usage)', {}),
        ('any key usage', w.served(purposes=['any']), end + 'is not for a server (extended key usage)', {}),
        ("a board's certificate", w.tls(w.board), 'certificate of gw-1 is not for a server (extended key usage)', {}),
        ('key usage without signing', w.served(usage=['keyEncipherment']), HANDSHAKE_FAILURE, {}),
        ('RSA 1024', w.served(key='rsa1024'), 'key of broker.example is too weak: RSA with 1024 bits, 2048 is the least', {}),
        ('P-521', w.served(key='P-521'), HANDSHAKE_FAILURE, {}),
        ('P-224', w.served(key='P-224'), HANDSHAKE_FAILURE, {}),
        ('secp256k1', w.served(key='secp256k1'), HANDSHAKE_FAILURE, {}),
        ('Ed25519', w.served(key='ed25519'), HANDSHAKE_FAILURE, {}),
        ('SHA-1', w.served(digest='sha1'), end + 'is signed with SHA1, SHA-256 is the least', {}),
        ('SHA-1 with RSA', w.served(issuer=w.rsa_ca, digest='sha1'), end + 'is signed with SHA1, SHA-256 is the least', {}),
        ('MD5 with RSA', w.served(issuer=w.rsa_ca, digest='md5'), end + 'is signed with MD5, SHA-256 is the least', {}),
        ('SHA-224', w.served(digest='sha224'), end + 'is signed with SHA224, SHA-256 is the least', {}),
        ('spoilt signature', w.served(spoil=True), unsigned, {}),
        ('version 1', w.served(version=1), end + 'is not for a server (extended key usage)', {}),
        ('unknown critical extension', w.served(extra=[extension('1.2.3.4.5', True, tlv(5))]), "peer's certificate can't be read...", {}),
        ('expired, and a clock set back', w.served(stop='2024-01-02'), end + 'expired 2024-01-02', {'clock': '2023-06-01 00:00:00', 'floor': '2026-01-01'}),
        ('expired, and a board at 1970', w.served(stop='2024-01-02'), end + 'expired 2024-01-02', {'clock': '1970-01-01 00:01:00', 'floor': '2026-01-01'}),
    ]


def chains(w):
    """Faults of what stands above the certificate."""
    end = 'certificate of broker.example '
    issuing = w.below()
    no_ca = w.pki.server(w.ca, subject='No CA', usage=['keyCertSign'])
    no_sign = w.below(subject='Silent CA', usage=['cRLSign'])
    old = w.below(subject='Old CA', stop='2024-01-02')
    new = w.below(subject='New CA', start='2079-01-02')
    weak = w.below(subject='Weak CA', key='rsa1024')
    sha1 = w.below(subject='SHA-1 CA', digest='sha1')
    short = w.pki.authority('Short CA', pathlen=0)
    below_short = w.below(issuer=short, subject='Too deep CA')
    constraint = seq(tlv(0xa0, seq(seq(dns('example')))))
    strict = w.below(subject='Strict CA', extra=[extension('2.5.29.30', True, constraint)])
    lax = w.below(subject='Lax CA', extra=[extension('2.5.29.30', False, constraint)])
    revoked = w.served(issuer=issuing)
    revoked.close()
    deep = [w.ca]
    for i in range(12):
        deep.insert(0, w.below(issuer=deep[0], subject=f'CA {i}'))
    bad = w.pki.server(w.ca)
    gone = w.below(subject='Gone CA')
    lists = w.pki
    return [
        ('other CA', w.served(issuer=w.stranger), end + 'is not signed by our CA (its issuer: Other CA)', {}),
        ('other CA, sent along', w.served(w.stranger, issuer=w.stranger), 'certificate of Other CA is self-signed, not signed by our CA', {}),
        ('other CA of the same name', w.served(issuer=w.namesake), end + 'is not properly signed by Test CA, or too deep below it', {}),
        ('self-signed', w.tls(Certificate(w.pki, 'broker.example', None, names=[dns('localhost')], purposes=['serverAuth'])),
         end + 'is self-signed, not signed by our CA', {}),
        ('self-signed CA', w.tls(Certificate(w.pki, 'localhost', None, ca=True, usage=['digitalSignature', 'keyCertSign'], names=[dns('localhost')], purposes=['serverAuth'])),
         'certificate of localhost is self-signed, not signed by our CA', {}),
        ('intermediate missing', w.served(issuer=issuing), end + 'is not signed by our CA (its issuer: Issuing CA)', {}),
        ('intermediate is no CA', w.served(no_ca, issuer=no_ca), end + 'is signed by No CA, which is no CA', {}),
        ('intermediate may not sign', w.served(no_sign, issuer=no_sign), end + 'is signed by Silent CA, which may not sign', {}),
        ('intermediate expired', w.served(old, issuer=old), 'certificate of Old CA expired 2024-01-02', {}),
        ('intermediate not yet valid', w.served(new, issuer=new), 'certificate of New CA is not valid before 2079-01-02', {}),
        ('intermediate RSA 1024', w.served(weak, issuer=weak), 'key of Weak CA is too weak: RSA with 1024 bits, 2048 is the least', {}),
        ('intermediate SHA-1', w.served(sha1, issuer=sha1), 'certificate of SHA-1 CA is signed with SHA1, SHA-256 is the least', {}),
        ('path length exceeded', w.served(below_short, short, issuer=below_short), 'certificate of Too deep CA is not properly signed by Short CA, or too deep below it', {'ca': w.file(short)}),
        ('name constraints', w.served(strict, issuer=strict), "peer's certificate can't be read...", {}),
        ('name constraints, not critical', w.served(lax, issuer=lax), 'CA Lax CA has name constraints, which are not supported', {}),
        ('chain of 7', w.served(*deep[7:-1], issuer=deep[7]), 'chain of certificates is longer than 5', {}),
        ('chain of 14', w.served(*deep[:-1], issuer=deep[0]), 'chain of certificates is longer than 5', {}),
        ('revoked', w.tls(bad), end + 'is revoked', {'crl': lists.revocations(w.ca, [bad])}),
        ('revoked, board at 1970', w.tls(bad), end + 'is revoked',
         {'crl': lists.revocations(w.ca, [bad]), 'clock': '1970-01-01 00:01:00', 'floor': '2026-01-01'}),
        ('revoked by a list out of date', w.tls(bad), end + 'is revoked', {'crl': lists.revocations(w.ca, [bad], stop='2024-01-02')}),
        ('intermediate revoked', w.served(gone, issuer=gone), 'certificate of Gone CA is revoked',
         {'crl': w.pki.write('two.pem', open(lists.revocations(w.ca, [gone])).read() + open(lists.revocations(gone, [])).read())}),
        ('revocation list of a stranger', w.served(), 'revocation list for broker.example is not properly signed',
         {'crl': lists.revocations(w.ca, [], sign_with=w.stranger.key)}),
        ('revocation list of another CA alone', w.served(), 'no revocation list of Test CA, the issuer of broker.example',
         {'crl': lists.revocations(w.stranger, [])}),
        ('revocation list of garbage', w.served(), 'revocation list ...', {'crl': w.pki.write('garbage.crl', 'not a list\n')}),
    ]


def protocols(w):
    """Faults of the protocol: old versions, weak suites, no mutual authentication."""
    v = ssl.TLSVersion
    tls = lambda **options: w.tls(w.good, **options)
    rsa = w.pki.server(w.ca, key='rsa2048')
    suite = lambda number: Script(say(server_hello(number)))
    refused = 'handshake failed: ...'
    return [
        ('TLS 1.0 alone', tls(lowest=v.TLSv1, highest=v.TLSv1), 'peer refused the handshake: alert ...', {}),
        ('TLS 1.1 alone', tls(lowest=v.TLSv1_1, highest=v.TLSv1_1), 'peer refused the handshake: alert ...', {}),
        ('answers with TLS 1.0', Script(say(server_hello(0xc02b, b'\x03\x01'))), 'peer speaks TLS 1.0; TLS 1.2 is the least', {}),
        ('answers with TLS 1.1', Script(say(server_hello(0xc02b, b'\x03\x02'))), 'peer speaks TLS 1.1; TLS 1.2 is the least', {}),
        ('answers with SSL 3.0', Script(say(server_hello(0xc02b, b'\x03\x00'))), 'peer speaks SSL 3.0; TLS 1.2 is the least', {}),
        ('SSL 2.0', Script(say(b'\x80\x1c\x04\x00\x01\x00\x02' + bytes(30))), words(b'\x80\x1c\x04\x00\x01\x00\x02\x00'), {}),
        ('null cipher alone', w.tls(rsa, ciphers='eNULL', highest=v.TLSv1_2), HANDSHAKE_FAILURE, {}),
        ('anonymous alone', w.tls(rsa, ciphers='aNULL', highest=v.TLSv1_2), HANDSHAKE_FAILURE, {}),
        ('static RSA alone', w.tls(rsa, ciphers='kRSA', highest=v.TLSv1_2), HANDSHAKE_FAILURE, {}),
        ('finite-field DH alone', w.tls(rsa, ciphers='kDHE', highest=v.TLSv1_2), HANDSHAKE_FAILURE, {}),
        ('CBC alone', tls(ciphers='ECDHE-ECDSA-AES128-SHA256', highest=v.TLSv1_2), HANDSHAKE_FAILURE, {}),
        ('picks NULL', suite(0x0001), refused, {}),
        ('picks RC4', suite(0x0005), refused, {}),
        ('picks 3DES', suite(0x000a), refused, {}),
        ('picks anonymous DH', suite(0x0034), refused, {}),
        ('picks static RSA', suite(0x009c), refused, {}),
        ('picks export DES', suite(0x0008), refused, {}),
        ('picks compression', Script(say(server_hello(0xc02b, compression=1))), refused, {}),
        ('asks for no certificate', tls(ask=False), 'peer did not ask for our certificate (broker: require_certificate true)', {}),
        ('does not accept our certificate', Tls(w.good.path, w.good.key.path, w.stranger.path, highest=v.TLSv1_2),
         'peer refused the handshake: alert unknown_ca (48)', {}),
    ]


def strangers():
    """Peers that are no TLS servers, or stop being one."""
    stalled = 'peer did not finish the handshake in 400 ms: '
    hello = server_hello(0xc02b)
    short = {'handshake': '400'}
    closed = 'peer closed the connection during the handshake: '

    def drip(connection):
        for byte in hello:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    def warn(connection):
        for _ in range(60):
            connection.sendall(record(21, b'\x01\x5a'))
            time.sleep(0.02)

    return [
        ('HTTP server', Script(say(TEXT['http'])), words(TEXT['http']), {}),
        ('SSH server', Script(say(TEXT['ssh']), wait_hello=False), words(TEXT['ssh']), {}),
        ('MQTT in clear, eager', Script(say(TEXT['connack'])), 'peer does not speak TLS: ...', {}),
        ('garbage', Script(say(bytes(range(64, 128)))), words(bytes(range(64, 72))), {}),
        ('garbage in a TLS record', Script(say(record(22, bytes(range(200))))), 'handshake failed: ...', {}),
        ('random megabyte', Script(say(b'\x00' + os.urandom(1 << 20))), 'peer does not speak TLS: ...', {}),
        ('record of 65535 bytes', Script(say(b'\x16\x03\x03\xff\xff' + bytes(1000))), 'handshake failed: ...', {}),
        ('message of 16 MiB', Script(say(record(22, b'\x02\xff\xff\xff' + bytes(100)))), 'handshake failed: ...', {}),
        ('data before the handshake', Script(say(record(23, b'\x20\x03\x00\x00\x00'))), 'handshake failed: ...', {}),
        ('fatal alert', Script(say(record(21, b'\x02\x28'))), HANDSHAKE_FAILURE, {}),
        ('warnings without end', Script(warn), stalled + 'after ...', short),
        ('closes at once', Script(lambda connection: None, wait_hello=False), 'peer ...', {}),
        ('closes after ClientHello', Script(lambda connection: connection.shutdown(1)), closed + 'it said nothing', {}),
        ('resets', Script(reset), 'peer reset the connection during the handshake: it said nothing', {}),
        ('says nothing', Script(silence()), stalled + 'it said nothing', short),
        ('half a ServerHello, then silence', Script(say(hello[:30], pause=3)), stalled + 'after 30 bytes', short),
        ('half a ServerHello, then the end', Script(lambda c: (c.sendall(hello[:30]), c.shutdown(1))), closed + 'after 30 bytes', {}),
        ('one byte in 50 ms', Script(drip), stalled + 'after ...', short),
        ('nobody listens', Deaf(), "can't connect: Connection refused", {}),
    ]


class Deaf(Peer):
    """A port that is taken, so that nobody else gets it, and on which nobody listens."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.told = b''


def meddlers(w, good):
    """A man in the middle of a good handshake: cuts, holds or flips one bit at places of the peer's flight."""
    cut = 'peer closed the connection during the handshake: ...'
    out = []
    for at in (1, 5, 50, 300, 600):
        out.append((f'cut after {at} bytes', Between(good, at, 'cut'), cut, {}))
    out.append(('held after 300 bytes', Between(good, 300, 'hold'), 'peer did not finish the handshake in 400 ms: after 300 bytes', {'handshake': '400'}))
    out.append(('reset after 300 bytes', Between(good, 300, 'reset'), 'peer reset the connection during the handshake: after 300 bytes', {}))
    for at in (3, 9, 20, 44, 120, 250, 400, 520, 600):
        out.append((f'bit flipped at byte {at}', Between(good, at, 'spoil'), '...', {}))
    return out


def own(w):
    """Faults of our own files: no connection is made at all."""
    board, pki = w.board, w.pki
    loose = pki.write('loose.pem', open(board.key.path).read())
    os.chmod(loose, 0o644)
    return [
        ('own certificate missing', w.tls(w.good), 'own certificate /nowhere: No such file or directory', {'cert': '/nowhere'}),
        ('own certificate garbage', w.tls(w.good), 'own certificate ...', {'cert': pki.write('g1.pem', 'garbage\n')}),
        ('own key missing', w.tls(w.good), 'own key /nowhere: No such file or directory', {'key': '/nowhere'}),
        ('own key readable by others', w.tls(w.good), f'own key {loose}: others may read or change it; chmod 600', {'key': loose}),
        ('own key of somebody else', w.tls(w.good), f'own key {w.good.key.path} does not belong to the certificate', {'key': w.good.key.path}),
        ('CA missing', w.tls(w.good), 'CA /nowhere: No such file or directory', {'ca': '/nowhere'}),
        ('CA file half garbage', w.tls(w.good), 'CA ...', {'ca': pki.write('half.pem', open(w.ca.path).read() + open(w.ca.path).read().replace('MII', 'AAA'))}),
        ('own certificate expired, and refused', w.tls(w.good), 'own certificate expired 2024-01-02; peer refused the handshake: alert certificate_expired (45)',
         {'cert': pki.board(w.ca, stop='2024-01-02').path}),
        ('own certificate of another CA', w.tls(w.good), 'peer refused the handshake: alert unknown_ca (48)', {'cert': pki.board(w.stranger).path}),
    ]


def good_peers(w):
    """Peers that must be let in: (name, peer, options)."""
    issuing = w.below()
    pki = w.pki
    plain = w.tls(w.good)
    return [
        ('plain', plain, {}),
        ('with an intermediate', w.served(issuing, issuer=issuing), {}),
        ('with two intermediates and the CA', (lambda second: w.served(second, issuing, w.ca, issuer=second))(w.below(issuer=issuing, subject='Second CA')), {}),
        ('RSA 2048', w.served(issuer=w.rsa_ca, key='rsa2048'), {}),
        ('P-384, SHA-384', w.served(key='P-384', digest='sha384'), {}),
        ('several names', w.served(names=[dns('other.example'), ip(10, 0, 0, 1), dns('localhost')]), {}),
        ('name in capitals', w.served(names=[dns('LocalHost')]), {}),
        ('by its address', w.served(names=[ip(127, 0, 0, 1)]), {'host': '127.0.0.1'}),
        ('with an empty revocation list', w.tls(w.good), {'crl': pki.revocations(w.ca, [])}),
        ('with another revoked', w.tls(w.good), {'crl': pki.revocations(w.ca, [w.stranger])}),
        ('with a revocation list out of date', w.tls(w.good), {'crl': pki.revocations(w.ca, [], stop='2024-01-02')}),
        ('with a missing revocation list', w.tls(w.good), {'crl': '/nowhere/crl.pem'}),
        ('board at 1970', w.tls(w.good), {'clock': '1970-01-01 00:01:00', 'floor': '2026-01-01'}),
        ('board at 1970, certificate newer than the floor', w.served(start='2026-06-01'), {'clock': '1970-01-01 00:01:00', 'floor': '2026-01-01'}),
        ('undisturbed through the man in the middle', Between(plain, 1 << 30, 'cut'), {}),
    ]
