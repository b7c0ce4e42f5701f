#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""P8 on real parts: bands are shown to a scanner on a pty, and wardgated's log, store and memory, all that the broker carries and stores,
and the chart's log and ledger are searched for anything that was on them. What has to be there is looked for in the same way, so that a
search that finds nothing means something: the digest in the topic, the gateway's name in memory.

  wristband.py BUILD [--chart]"""
import hashlib
import hmac
import os
import pty
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
from ward import Ward, wait_for      # noqa: E402

PREFIX = '9521234'
NUMBERS = ('9990000018', '9990000123', '9434765919')
NAME, LOCAL, BORN = 'WINTERBOTTOM', '70613389', '18-Jan-1980'


def band(nhs, prefix=PREFIX):
    digits = prefix + nhs
    check = -sum(int(d) * (3 if (len(digits) - i) % 2 else 1) for i, d in enumerate(digits)) % 10
    return f']d28018{digits}{check}\x1d80191\x1d91RQXM1,{LOCAL}\x1d93{NAME},John,{BORN}'


def memory_of(pid):
    """All that the process may write to: heap, stacks, globals."""
    with open(f'/proc/{pid}/maps', encoding='ascii') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        for line in maps:
            found = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw.. .*?(\S*)$', line)
            if found is None or found.group(3).startswith('[v'):
                continue
            begin, end = (int(found.group(i), 16) for i in (1, 2))
            for at in range(begin, end, 1 << 24):
                try:
                    memory.seek(at)
                    yield memory.read(min(1 << 24, end - at))
                except (OSError, ValueError):
                    break


def files_below(*folders):
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(root, name), 'rb') as file:
                    yield os.path.join(root, name), file.read()


def bindings(ward):
    rows = ward.ask_gateway('tail', **{'from': 1, 'count': 1000})
    return [r for r in rows if r.get('kind') == 'binding']


def main():
    with_chart = '--chart' in sys.argv
    with Ward(sys.argv[1], quiet=False) as ward:
        key = os.urandom(32)
        path = ward.path('digest.key')
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as file:
            file.write(key)
        scanner, slave = pty.openpty()
        ward.make_pki()
        ward.tool('pki', 'chart', ward.path('pki'), 'chart-2')
        ward.tool('pki', 'broker-config', ward.path('pki'), '--port', str(ward.broker_port), '--listen', '127.0.0.1',
                  *(['--user', 'root'] if os.geteuid() == 0 else []))
        ward.start_broker()
        if with_chart:
            ward.start_epr()
            ward.write_chart_config({'GSU^GSU^Bed 1': 'bed-1'})
            ward.start_chart()
        chart = ward.path('pki', 'charts', 'chart-2')
        ward.start('listener', ['mosquitto_sub', '-h', 'localhost', '-p', str(ward.broker_port), '--cafile', f'{chart}/ca.pem', '--cert',
                                f'{chart}/cert.pem', '--key', f'{chart}/key.pem', '-i', 'chart-2', '-t', f'wardgate/1/{ward.site}/+/up', '-q', '1', '-F',
                                '%t %x'])
        ward.write_gateway_config(f'''  - name: scanner
    kind: serial
    port: {os.ttyname(slave)}
    devices:
      - {{id: scanner-1, driver: wristband, place: bed-1}}
''', extra=f'digest_key: {path}\nband_prefix: "{PREFIX}"\n')
        os.close(slave)
        ward.start('gateway', [os.path.join(ward.bin, 'wardgated'), '-v', '-c', ward.path('gateway.yaml')])
        wait_for('the scanner\'s line', lambda: 'scanner: line open' in ward.log('gateway'))
        for number in NUMBERS:
            os.write(scanner, band(number).encode() + b'\r\n')
            time.sleep(0.1)
        for bad in (band(NUMBERS[0], '5012345'), band(NUMBERS[0])[:-30] + '\x02', band(NUMBERS[0]).replace('8018', '8017'),
                    band(NUMBERS[0]) + band(NUMBERS[1])):
            os.write(scanner, bad.encode() + b'\r\n')
            time.sleep(0.1)
        os.write(scanner, band(NUMBERS[0]).encode()[:30])  # half of one stays in the driver until more comes
        os.write(scanner, b'\r')
        wait_for('three bindings', lambda: len(bindings(ward)) == 3)
        assert all(b['place'] == 'bed-1' and b['device'] == 'scanner-1' for b in bindings(ward)), bindings(ward)
        if with_chart:
            wait_for('the chart to have them', ward.drained)
        digests = [hmac.new(key, f'NHS/{n}'.encode(), hashlib.sha256).digest() for n in NUMBERS]
        wait_for('the digests in the topic', lambda: all(d.hex() in ward.log('listener').lower() for d in digests))

        secrets = [s.encode() for s in (*NUMBERS, NAME, LOCAL, BORN)]
        spaces = list(memory_of(ward.processes['gateway'].pid))
        assert any(b'scanner-1' in space for space in spaces), 'the memory could not be read'
        ward.stop('gateway')
        ward.stop('chart')
        ward.stop('broker')
        traffic = b''.join(bytes.fromhex(line.split()[1]) for line in ward.log('listener').splitlines() if len(line.split()) == 2)
        places = [('wardgated\'s memory', b''.join(spaces)), ('the broker\'s messages', traffic)]
        places += list(files_below(ward.path('store'), ward.path('logs'), ward.path('ledger'), ward.path('pki', 'broker'), ward.path('run'),
                                   ward.path('crun')))
        leaks = [f'{secret.decode()} in {place}' for place, content in places for secret in secrets
                 if secret in content or secret.hex().encode() in content.lower()]
        log = ward.log('gateway').lower()
        leaks += [f'a digest in {name}' for name in ('log',) if any(d.hex() in log for d in digests)]
        for leak in leaks:
            print(leak)
        print(f'3 bands bound, 5 refused; {len(secrets)} secrets looked for in {len(places)} places, '
              f'{sum(len(c) for _, c in places) // 1024} KiB: {len(leaks)} found')
        return 1 if leaks else 0


if __name__ == '__main__':
    sys.exit(main())
