#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bed node keeps its samples while its gateway can't open its store: started on a folder that is not private, wardgated does not drain
the node; once the folder is as it must be, every sample is stored once. Usage: shut.py BUILD"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', '..', 'lib')]
from ward import Ward, wait_for      # noqa: E402


def main():
    with Ward(sys.argv[1], quiet=False) as ward:
        ward.make_pki()
        ward.start('node', [os.path.join(ward.bin, 'wardgate-node'), '--bus', ward.path('bus'), '--device', ward.path('port')])
        wait_for('the node', lambda: os.path.exists(ward.path('port')))
        ward.emulate('oximeter', 'nonin', '--rtu', ward.path('port'), '--format', 'df2', '--seed', '2')
        ward.write_gateway_config(f'''  - name: bay
    kind: rtu
    port: {ward.path('bus')}
    baud: 19200
    parity: none
    devices:
      - {{id: node-1, address: 1, profile: wardgate-node, place: bed-1, silence: 30s}}
''')
        os.chmod(ward.path('store'), 0o755)
        ward.start_gateway()
        wait_for('the node to answer', lambda: os.path.exists(ward.path('run', 'control.sock'))
                 and ward.ask_gateway('devices')[-1]['devices'][0]['present'])
        time.sleep(5)                   # samples that the node keeps; the wait for a held node has no other sign
        assert not ward.ask_gateway('status')[-1]['store']['open']
        line = ward.ask_gateway('devices')[-1]['devices'][0]['line']
        os.chmod(ward.path('store'), 0o700)
        wait_for('the readings', lambda: ward.ask_gateway('status')[-1]['readings'] >= 7)
        found = ward.ask_gateway('tail', **{'from': 1, 'count': 1000})[:-1]
        numbers = [r['sample'] & 0xFFFFFFFF for r in found if r['kind'] == 'reading']
        lost = [r['gap'] for r in found if r['kind'] == 'gap' and r['gap']['count']]
        holds = numbers == list(range(1, len(numbers) + 1)) and not lost and line['samples'] == 0
        more = f'{len(numbers)} readings from number {numbers[0]} on, {line["samples"]} drained while shut, lost: {lost}'
        print(f"{'pass' if holds else 'fail'}: a node keeps its samples while the store is shut{' (' if holds else ': '}{more}{')' if holds else ''}")
        return 0 if holds else 1


if __name__ == '__main__':
    sys.exit(main())
