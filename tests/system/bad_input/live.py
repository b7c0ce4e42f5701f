# SPDX-License-Identifier: Apache-2.0
"""Bad messages to running programs: ADT over MLLP, and MQTT with the certificates of a gateway and of the chart service."""
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))


def exchange(port, text, timeout=10):
    """Sends one frame; returns the answer's segments from MSA on, or what happened instead."""
    with socket.create_connection(('127.0.0.1', port), timeout) as line:
        line.sendall(b'\x0b' + text.encode('utf-8', 'surrogateescape') + b'\x1c\x0d')
        answer = b''
        while not answer.endswith(b'\x1c\x0d'):
            chunk = line.recv(65536)
            if not chunk:
                return 'closed'
            answer += chunk
    segments = answer.strip(b'\x0b\x1c\r').decode().split('\r')
    return '\r'.join(s for s in segments if s[:3] in ('MSA', 'ERR'))


# --- protobuf, as far as the contract needs it ---

def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def signed(field, n):
    return number(field, n * 2 if n >= 0 else -n * 2 - 1)


def fixed(field, n):
    return varint(field << 3 | 1) + struct.pack('<Q', n)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def reading(seq, rate=72, utc_us=1_790_000_000_000_000, **other):
    """One heart rate of bed-1; other: kind, code, sync, extra (bytes in addition)."""
    time = fixed(1, 77) + number(2, 1000 + seq) + signed(3, utc_us) + number(4, other.get('sync', 1)) + number(5, 50)
    value = number(1, other.get('code', 147842)) + number(2, 264864) + signed(3, rate)
    return (number(1, seq) + number(2, other.get('kind', 1)) + data(3, data(1, 'monitor-1')) + data(4, 'bed-1') + data(6, time)
            + data(8, value) * other.get('values', 1) + other.get('extra', b''))


def envelope(gateway, epoch, *records, more=b''):
    return data(1, data(1, gateway) + data(2, epoch) + b''.join(data(3, r) for r in records)) + more


def receipt(gateway, epoch, *ranges, resend=None):
    out = data(1, gateway) + data(2, epoch) + b''.join(data(3, number(1, a) + number(2, b)) for a, b in ranges)
    return out if resend is None else out + number(4, resend) + number(5, 1)


def state(gateway, epoch, first, following, online=1, boot=77):
    return number(1, online) + data(2, gateway) + data(3, epoch) + number(4, first) + number(5, following) + fixed(6, boot)


class Publisher:
    """mosquitto_pub with somebody's certificate."""

    def __init__(self, ward, folder, name):
        self.ward, self.keys, self.name = ward, ward.path('pki', folder, name), name

    def send(self, topic, payload, retain=False):
        return subprocess.run(['mosquitto_pub', '-V', '5', '-h', 'localhost', '-p', str(self.ward.broker_port), '-q', '1', '-i', f'bad-{self.name}',
                               '--cafile', f'{self.keys}/ca.pem', '--cert', f'{self.keys}/cert.pem', '--key', f'{self.keys}/key.pem',
                               '-t', f'wardgate/1/{self.ward.site}/{topic}', '-s', *(['-r'] if retain else [])],
                              input=payload, capture_output=True, timeout=20, check=False)
