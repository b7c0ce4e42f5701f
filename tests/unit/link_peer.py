# SPDX-License-Identifier: Apache-2.0
"""The TLS peers of link_tls_test, in one process: writes ca.pem, cert.pem and key.pem into the folder, then prints the ports of
  echo     sends back all that it gets, and ends its side when the other has
  giver    sends 1 MiB of a known pattern and closes
  hoarder  reads nothing for a second, then everything; sends back how much it was
  stranger like echo, with a certificate for another host
and serves until it is killed."""
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system', 'tls'))
from cases import World  # noqa: E402
from peers import Tls  # noqa: E402
from pki import Pki, dns  # noqa: E402

PATTERN = bytes(i * 7 % 251 for i in range(1 << 20))


class Session(Tls):
    def serve(self, connection):
        connection.settimeout(30)
        with self.context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as session:
            self.act(session)


class Echo(Session):
    def act(self, session):
        while got := session.recv(65536):
            session.sendall(got)


class Giver(Session):
    def act(self, session):
        session.sendall(PATTERN)
        session.unwrap()


class Hoarder(Session):
    def act(self, session):
        time.sleep(1)
        total = 0
        while got := session.recv(65536):
            total += len(got)
        session.sendall(str(total).encode())


def main():
    folder = sys.argv[1]
    world = World(Pki(folder))
    for path, name in ((world.trusted, 'ca.pem'), (world.board.path, 'cert.pem'), (world.board.key.path, 'key.pem')):
        shutil.copy(path, os.path.join(folder, name))
    stranger = world.pki.server(world.ca, names=[dns('other.example')])
    made = [kind(c.path, c.key.path, world.trusted) for kind, c in
            ((Echo, world.good), (Giver, world.good), (Hoarder, world.good), (Echo, stranger))]
    print(*[peer.port for peer in made], flush=True)
    threading.Event().wait()


main()
