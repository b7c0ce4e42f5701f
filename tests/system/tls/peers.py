# SPDX-License-Identifier: Apache-2.0
"""Peers that a gateway may meet in place of its broker. Each listens on a free loopback port, serves connections until it is
closed, and keeps every byte of MQTT that it was told: what came out of a finished TLS session, or what came in clear."""
import contextlib
import select
import socket
import ssl
import struct
import threading
import time


class Peer:
    """Listens, and gives each connection to serve(). A connection that fails is the point of the exercise."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.told = b''
        self.connections = 0
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.guarded, args=(connection,), daemon=True).start()

    def guarded(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(4)
            self.serve(connection)

    def serve(self, connection):
        raise NotImplementedError

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Tls(Peer):
    """A real TLS server that speaks just enough MQTT to let a client be content."""

    def __init__(self, chain, key, client_ca, lowest=None, highest=None, ciphers=None, ask=True, level=0):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers(f'{ciphers or "ALL"}:@SECLEVEL={level}')
        self.context.load_cert_chain(chain, key)
        if lowest is not None:
            self.context.minimum_version = lowest
        if highest is not None:
            self.context.maximum_version = highest
        if ask:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)
        super().__init__()

    def serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as session:
            while True:
                got = session.recv(4096)
                if not got:
                    return
                self.told += got
                if got[0] == 0x10:
                    session.sendall(b'\x20\x03\x00\x00\x00')
                elif got[0] == 0x32:
                    n = got[3]
                    session.sendall(b'\x40\x02' + got[4 + n:6 + n])


class Script(Peer):
    """Reads the ClientHello, then does what it is given. MQTT that it receives was told in clear."""

    def __init__(self, act, wait_hello=True):
        self.act, self.wait_hello = act, wait_hello
        super().__init__()

    def hear(self, got):
        # CONNECT begins with 0x10 and names the protocol. A stranger may have found this port, too: that is not ours.
        if got[:1] == b'\x10' or b'MQTT' in got:
            self.told += got
        return got

    def serve(self, connection):
        if self.wait_hello:
            self.hear(connection.recv(65536))
        self.act(connection)
        connection.settimeout(0.5)
        while self.hear(connection.recv(65536)):
            pass


class Between(Peer):
    """Stands between the gateway and a good peer, and treats the good peer's bytes: cut, hold or spoil at one place."""

    def __init__(self, good, at, how):
        self.good, self.at, self.how = good, at, how
        super().__init__()

    def serve(self, connection):
        with socket.create_connection(('127.0.0.1', self.good.port), timeout=4) as onward:
            passed = 0
            while True:
                ready, _, _ = select.select([connection, onward], [], [], 4)
                if not ready:
                    return
                if connection in ready:
                    got = connection.recv(65536)
                    if not got:
                        return
                    onward.sendall(got)
                if onward in ready:
                    got = onward.recv(65536)
                    if not got:
                        return
                    i = self.at - passed
                    if 0 <= i < len(got):
                        if self.how != 'spoil':
                            self.stop(connection, got[:i])
                            return
                        got = got[:i] + bytes([got[i] ^ 0x01]) + got[i + 1:]
                    passed += len(got)
                    connection.sendall(got)

    def stop(self, connection, last):
        connection.sendall(last)
        time.sleep({'hold': 3, 'reset': 0.2}.get(self.how, 0))
        if self.how == 'reset':
            reset(connection)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


def record(kind, body, version=b'\x03\x03'):
    return bytes([kind]) + version + struct.pack('>H', len(body)) + body


def server_hello(suite, version=b'\x03\x03', compression=0):
    body = version + bytes(32) + b'\0' + struct.pack('>H', suite) + bytes([compression])
    return record(22, b'\x02' + len(body).to_bytes(3, 'big') + body, version)


def say(*pieces, pause=0.0):
    """A script that sends the pieces."""
    def act(connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
    return act


def silence(seconds=3):
    return lambda connection: time.sleep(seconds)
