#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""certify.py BUILD: `wardgate certify` and `wardgate bundle` against wardgated, broker and chart as they run."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import ward  # noqa: E402

SHOWN = {'HR': '71.5', 'PULSE': '72', 'SpO2': '97.0', 'TEMP': '36.8'}
failed = 0


def check(good, what, seen=''):
    global failed
    print(f"{'pass' if good else 'fail'}: {what}" + (f': {seen}' if seen and not good else ''))
    failed += not good


def main():
    with ward.Ward(sys.argv[1]) as place:
        csv, run = place.path('rows.csv'), place.path('run', 'control.sock')
        with open(csv, 'w', encoding='utf-8') as file:
            file.write(','.join(SHOWN) + '\n' + ','.join(SHOWN.values()) + '\n')
        place.make_pki()
        place.start_broker()
        place.write_chart_config({'W^B^1': 'bed-1'}, destinations=f'\n  - name: file\n    kind: file\n    path: {place.path("out.ndjson")}\n')
        place.start_chart()
        port = place.emulate('emulator', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--replay', csv, '--loop')
        place.write_gateway_config(f'''  - name: line-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
      - id: monitor-1
        address: 1
        profile: wardgate-monitor
        place: bed-1
        every: 1s
''')
        place.start_gateway()

        def receipted():
            try:
                return place.ask_gateway('status')[-1]['broker']['receipted'] > 3
            except OSError:
                return False
        ward.wait_for('receipts', receipted)

        def certify(*words, asset='<BME>&"1"', out='record', device='monitor-1'):
            done = place.tool('certify', device, '--asset', asset, '--socket', run, '--seconds', '3', '--by', 'J. Smith', '--out',
                              place.path(out), '--json', *words, check=False)
            return done, json.loads(done.stdout) if done.stdout else {}

        def verdicts(record):
            return {row['name']: row['passed'] for row in record.get('checks', [])}

        done, record = certify('PULS_OXIM_PULS_RATE=72.0', 'sat_o2=97', 'MDC_ECG_HEART_RATE=71.5')
        check(done.returncode == 0 and record['passed'], 'a device whose screen agrees is passed', done.stdout + done.stderr)
        check(set(verdicts(record)) == {'answers', 'identity', 'bed', 'line', 'readings', 'clock', 'store', 'chart', 'screen'} and
              [row['passed'] for row in record['screen']] == [True] * 3, 'each check is told', record)
        with open(place.path('record.json'), encoding='utf-8') as file:
            check(json.load(file) == record, 'the file says what is printed')
        with open(place.path('record.html'), encoding='utf-8') as file:
            page = file.read()
        check('&lt;BME&gt;&amp;&quot;1&quot;' in page and '<BME>' not in page and 'NOT PASSED' not in page and 'http' not in page and
              'no monitor' in page,
              'the page escapes what people type and asks nothing of the network')
        done, record = certify('PULS_OXIM_PULS_RATE=73')
        check(done.returncode == 1 and not record['passed'] and verdicts(record)['screen'] is False,
              'a screen that shows another value is not passed', done.stdout)
        done, record = certify('SAT_O2=0.97')
        check(done.returncode == 1, 'nor one that shows another scale', done.stdout)
        done, record = certify()
        check(done.returncode == 1 and 'not confirmed' in next(r['words'] for r in record['checks'] if r['name'] == 'screen'),
              'without a look at the screen nothing is passed', done.stdout)
        done, record = certify('PULS_OXIM_PULS_RATE=72', '--bed', 'bed-2')
        check(done.returncode == 1 and verdicts(record)['bed'] is False, 'the wrong bed is not passed', done.stdout)
        done, _ = certify('RATE=72')
        check(done.returncode == 64 and 'RATE=72' in done.stderr, 'a word that could be several quantities is refused', done.stderr)
        done, _ = certify(device='monitor-9')
        check(done.returncode == 64 and "no device 'monitor-9'" in done.stderr, 'an unknown device is named', done.stderr)
        done, _ = certify('SAT_O2=97', out='none/record')
        check(done.returncode == 74 and 'none/record.json' in done.stderr, 'a file that can\'t be written is named', done.stderr)

        bundle = place.path('bundle.json')
        done = place.tool('bundle', '--socket', run, '--config', place.path('gateway.yaml'), '--log', place.path('logs', 'gateway'),
                          '--out', bundle, check=False)
        with open(bundle, encoding='utf-8') as file:
            text = file.read()
        parts = json.loads(text)
        check(done.returncode == 0 and {'status', 'devices', 'queue', 'records', 'config', 'log', 'machine'} <= set(parts) and
              parts['records'], 'the support file has its parts', done.stdout + done.stderr)
        check('"value"' not in text and 'observations' not in text and 'PRIVATE KEY' not in text and os.stat(bundle).st_mode & 0o77 == 0,
              'and no value, no key, for nobody else to read')
        done = place.tool('bundle', '--socket', place.path('nobody'), '--config', place.path('nothing'), '--out', bundle, check=False)
        with open(bundle, encoding='utf-8') as file:
            check(done.returncode == 1 and json.load(file)['status'] == 'no answer', 'a daemon that is not there is said so', done.stderr)

        place.stop('emulator')
        ward.wait_for('silence', lambda: place.ask_gateway('status')[-1]['devices_present'] == 0)
        done, record = certify('SAT_O2=97')
        check(done.returncode != 0, 'a device that fell silent is not passed', done.stdout)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
