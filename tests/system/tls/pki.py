# SPDX-License-Identifier: Apache-2.0
"""Certificates good and bad, written byte by byte: openssl makes the keys and signatures, and refuses half of what is
needed here (a NUL in a name, an intermediate that is no CA, MD5). Everything lives in one temporary folder."""
import base64
import datetime
import os
import subprocess
import threading

OIDS = {
    'sha256/rsa': '1.2.840.113549.1.1.11', 'sha1/rsa': '1.2.840.113549.1.1.5', 'md5/rsa': '1.2.840.113549.1.1.4',
    'sha224/rsa': '1.2.840.113549.1.1.14', 'sha256/ec': '1.2.840.10045.4.3.2', 'sha384/ec': '1.2.840.10045.4.3.3',
    'sha1/ec': '1.2.840.10045.4.1', 'sha224/ec': '1.2.840.10045.4.3.1',
    'serverAuth': '1.3.6.1.5.5.7.3.1', 'clientAuth': '1.3.6.1.5.5.7.3.2', 'any': '2.5.29.37.0',
}
USAGE = {'digitalSignature': 0, 'keyEncipherment': 2, 'keyCertSign': 5, 'cRLSign': 6}


def tlv(tag, *parts):
    body = b''.join(parts)
    n = len(body)
    if n < 0x80:
        return bytes([tag, n]) + body
    length = n.to_bytes((n.bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(length)]) + length + body


def seq(*parts):
    return tlv(0x30, *parts)


def oid(dotted):
    numbers = [int(x) for x in dotted.split('.')]
    out = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        digits = [number & 0x7f]
        while number > 0x7f:
            number >>= 7
            digits.insert(0, 0x80 | number & 0x7f)
        out += bytes(digits)
    return tlv(6, out)


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, 'big'))


def bits(body):
    return tlv(3, b'\0', body)


def when(date):
    if date.year < 2050:
        return tlv(0x17, date.strftime('%y%m%d%H%M%SZ').encode())
    return tlv(0x18, date.strftime('%Y%m%d%H%M%SZ').encode())


def name(common):
    common = common if isinstance(common, bytes) else common.encode()
    return seq(tlv(0x31, seq(oid('2.5.4.3'), tlv(0x0c, common))))


def extension(number, critical, body):
    return seq(oid(number), tlv(1, b'\xff') if critical else b'', tlv(4, body))


def day(text):
    return datetime.datetime.strptime(text, '%Y-%m-%d')


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


def ip(*octets):
    return tlv(0x87, bytes(octets))


def email(text):
    return tlv(0x81, text.encode())


def pem(kind, der):
    text = base64.encodebytes(der).decode().replace('\n', '')
    lines = '\n'.join(text[i:i + 64] for i in range(0, len(text), 64))
    return f'-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n'


class Key:
    """One private key; made once a kind and label, because making RSA keys takes time."""
    made = {}
    lock = threading.Lock()

    def __init__(self, folder, kind, label):
        self.kind = kind
        self.path = os.path.join(folder, f'key-{kind}-{label}.pem')
        self.family = 'rsa' if kind.startswith('rsa') else 'ed' if kind == 'ed25519' else 'ec'
        options = {'rsa': ['-algorithm', 'RSA', '-pkeyopt', f'rsa_keygen_bits:{kind[3:]}'],
                   'ed': ['-algorithm', 'ED25519'],
                   'ec': ['-algorithm', 'EC', '-pkeyopt', f'ec_paramgen_curve:{kind}']}[self.family]
        openssl('genpkey', *options, '-out', self.path)
        os.chmod(self.path, 0o600)
        self.public = openssl('pkey', '-in', self.path, '-pubout', '-outform', 'DER')

    @classmethod
    def of(cls, folder, kind, label):
        with cls.lock:
            if (kind, label) not in cls.made:
                cls.made[kind, label] = cls(folder, kind, label)
            return cls.made[kind, label]


def openssl(*arguments, feed=None):
    done = subprocess.run(['openssl', *arguments], input=feed, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError('openssl ' + ' '.join(arguments) + ': ' + done.stderr.decode())
    return done.stdout


class Certificate:
    """One certificate and the chain above it, as far as a server would send it."""
    serial = 1000

    def __init__(self, pki, subject, issuer=None, key='P-256', label=None, digest='sha256', start='2020-01-01',
                 stop='2080-01-01', ca=False, pathlen=None, usage=None, purposes=None, names=None, extra=(), version=3,
                 sign_with=None, spoil=False):
        Certificate.serial += 1
        self.pki, self.subject, self.serial = pki, subject, Certificate.serial
        self.key = Key.of(pki.folder, key, label or str(subject)[:20].replace('/', '_'))
        self.issuer = issuer or self
        signer = sign_with or self.issuer.key
        self.digest = digest
        algorithm = seq(oid(OIDS[f'{digest}/{signer.family}']), tlv(5) if signer.family == 'rsa' else b'') \
            if signer.family != 'ed' else seq(oid('1.3.101.112'))
        extensions = []
        if ca or pathlen is not None:
            extensions.append(extension('2.5.29.19', True, seq(tlv(1, b'\xff') if ca else b'',
                                                             integer(pathlen) if pathlen is not None else b'')))
        if usage is None and ca:
            usage = ['keyCertSign', 'cRLSign']
        if usage is not None:
            word = sum(0x80 >> USAGE[u] for u in usage)
            extensions.append(extension('2.5.29.15', True, tlv(3, b'\0' + bytes([word]))))
        if purposes:
            extensions.append(extension('2.5.29.37', False, seq(*[oid(OIDS[p]) for p in purposes])))
        if names:
            extensions.append(extension('2.5.29.17', False, seq(*names)))
        extensions.extend(extra)
        body = seq(tlv(0xa0, integer(2)) if version == 3 else b'', integer(self.serial), algorithm,
                   name(self.issuer.subject), seq(when(day(start)), when(day(stop))), name(subject), self.key.public,
                   tlv(0xa3, seq(*extensions)) if extensions and version == 3 else b'')
        signature = pki.sign(signer, digest, body)
        if spoil:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        self.der = seq(body, algorithm, bits(signature))
        self.path = pki.write(f'cert-{self.serial}.pem', pem('CERTIFICATE', self.der))

    def chain(self, *above):
        """A file with this certificate and those above it."""
        return self.pki.write(f'chain-{self.serial}.pem',
                              ''.join(pem('CERTIFICATE', c.der) for c in (self, *above)))


class Pki:
    def __init__(self, folder):
        self.folder = folder

    def write(self, file_name, text):
        path = os.path.join(self.folder, file_name)
        with open(path, 'w', encoding='ascii') as out:
            out.write(text)
        return path

    def sign(self, key, digest, body):
        if key.family == 'ed':
            source = os.path.join(self.folder, f'tbs-{threading.get_ident()}')
            with open(source, 'wb') as out:
                out.write(body)
            return openssl('pkeyutl', '-sign', '-inkey', key.path, '-rawin', '-in', source)
        return openssl('dgst', f'-{digest}', '-sign', key.path, feed=body)

    def authority(self, subject, **options):
        return Certificate(self, subject, ca=True, **options)

    def server(self, issuer, **options):
        defaults = {'purposes': ['serverAuth'], 'names': [dns('localhost')], 'subject': 'broker.example'}
        defaults.update(options)
        return Certificate(self, defaults.pop('subject'), issuer, **defaults)

    def board(self, issuer, **options):
        defaults = {'purposes': ['clientAuth'], 'names': [dns('gw-1')], 'subject': 'gw-1'}
        defaults.update(options)
        return Certificate(self, defaults.pop('subject'), issuer, **defaults)

    def revocations(self, issuer, revoked, start='2020-01-01', stop='2080-01-01', sign_with=None, spoil=False):
        """A revocation list; returns its file."""
        signer = sign_with or issuer.key
        algorithm = seq(oid(OIDS[f'sha256/{signer.family}']), tlv(5) if signer.family == 'rsa' else b'')
        entries = [seq(integer(c.serial), when(day('2021-01-01'))) for c in revoked]
        body = seq(integer(1), algorithm, name(issuer.subject), when(day(start)), when(day(stop)),
                   seq(*entries) if entries else b'', tlv(0xa0, seq(extension('2.5.29.20', False, integer(1)))))
        signature = self.sign(signer, 'sha256', body)
        if spoil:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        Certificate.serial += 1
        return self.write(f'crl-{Certificate.serial}.pem', pem('X509 CRL', seq(body, algorithm, bits(signature))))
