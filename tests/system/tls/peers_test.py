# SPDX-License-Identifier: Apache-2.0
"""Runs the product's own path (link_probe: mqtt over tls_link) against every bad peer: not one byte of MQTT may be told to it, and the
status must say why in the exact words. Then against every good peer. Prints a line a case and the counts."""
import argparse
import concurrent.futures
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile

import cases
from pki import Pki


def seconds(text):
    """A UTC date and time as seconds since 1970."""
    return str(int(datetime.datetime.fromisoformat(text + '+00:00' if ':' in text else text + ' 00:00:00+00:00').timestamp()))


class Bench:
    def __init__(self, probe, folder, world):
        self.probe, self.folder, self.world = probe, folder, world

    def run(self, peer, options):
        """One run of the probe; returns its last report."""
        settings = {'host': 'localhost', 'port': str(peer.port), 'ca': self.world.trusted, 'cert': self.world.board.path,
                    'key': self.world.board.key.path, 'handshake': '3000', 'limit': '8000'}
        settings.update({k: seconds(v) if k in ('clock', 'floor') else v for k, v in options.items()})
        settings['socket'] = os.path.join(tempfile.mkdtemp(dir=self.folder), 's')
        command = [self.probe] + [part for k, v in settings.items() for part in ('--' + k, v)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        lines = done.stdout.strip().split('\n')
        try:
            return json.loads(lines[-1]), done
        except ValueError:
            return {'event': f'exit {done.returncode}: {done.stderr[-300:]}'}, done

    def bad(self, case):
        name, peer, words, options = case
        report, done = self.run(peer, options)
        peer.close()
        faults = []
        if report['event'] != 'refused':
            faults.append(f'not refused: {report}')
        if done.returncode != 0:
            faults.append(f'exit {done.returncode}: {done.stderr[-300:]}')
        if peer.told:
            faults.append(f'the peer was told {len(peer.told)} bytes: {peer.told[:40]!r}')
        if report.get('bytes_up', 1) != 0 or report.get('handshakes', 1) != 0:
            faults.append('the link counts bytes or handshakes')
        found = report.get('error', '')
        matches = found.startswith(words[:-3]) if words.endswith('...') else found == words
        if not matches or not found:
            faults.append(f'words: expected "{words}", found "{found}"')
        return name, faults

    def good(self, case):
        name, peer, options = case
        report, done = self.run(peer, options)
        faults = []
        if report['event'] != 'acknowledged' or done.returncode != 0:
            faults.append(f'not let in: {report} {done.stderr[-200:]}')
        if isinstance(peer, cases.Tls) and b'MQTT' not in peer.told:
            faults.append('the peer saw no CONNECT')
        return name, faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--probe', required=True)
    parser.add_argument('--label', default='', help='added to the names')
    parser.add_argument('--only', help='cases whose name contains this')
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='wardgate-tls.')
    try:
        return run_all(arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_all(arguments, folder):
    world = cases.World(Pki(folder))
    bench = Bench(arguments.probe, folder, world)
    chosen = lambda table: [c for c in table if not arguments.only or arguments.only in c[0]]
    between = world.tls(world.good)
    bad = chosen(cases.certificates(world) + cases.chains(world) + cases.protocols(world) + cases.strangers() +
                 cases.meddlers(world, between) + cases.own(world))
    good = chosen(cases.good_peers(world))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for kind, results in (('bad', pool.map(bench.bad, bad)), ('good', pool.map(bench.good, good))):
            for name, faults in results:
                name = f'{kind} peer{arguments.label}: {name}'
                print(f'fail: {name}: ' + '; '.join(faults) if faults else f'pass: {name}', flush=True)
                failed += bool(faults)
    told = sum(len(c[1].told) for c in bad)
    print(f'{len(bad)} bad peers were told {told} bytes of MQTT; {len(good)} good peers; {failed} failed')
    return 1 if failed or told else 0


if __name__ == '__main__':
    sys.exit(main())
