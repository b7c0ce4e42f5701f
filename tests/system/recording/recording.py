#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A recording goes the whole way: Modbus emulator (TCP and an RTU bus) -> wardgated -> TLS broker -> wardgate-chart -> a third-party HL7
receiver. Every value must arrive digit for digit with its measurement time, nothing where the recording has nothing, and on
the right patient although the patient is moved to another bed half way and the A02 comes late.

  recording.py BUILD CSV [--every MS]"""
import csv
import datetime
import decimal
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
from adt import Feed                 # noqa: E402
from ward import Ward, wait_for      # noqa: E402

UTC = datetime.timezone.utc
CODES = {'HR': 147842, 'PULSE': 149530, 'RESP': 151562, 'SpO2': 150456, 'NBPSys': 150021, 'NBPDias': 150022, 'NBPMean': 150023,
         'TEMP': 150344, 'ABPSys': 150037, 'ABPDias': 150038, 'ABPMean': 150039, 'CVP': 150087, 'etCO2': 151708, 'ICP': 153608, 'PI': 150448,
         'FiO2': 152196, 'PEEP': 151976}
# What the device's profile says it can measure: beyond that it is no value, and not charted.
LIMITS = {'HR': (0, 350), 'PULSE': (0, 350), 'RESP': (0, 150), 'SpO2': (0, 100), 'NBPSys': (0, 300), 'NBPDias': (0, 250), 'NBPMean': (0, 275),
          'TEMP': (10, 45), 'ABPSys': (-50, 350), 'ABPDias': (-50, 350), 'ABPMean': (-50, 350), 'CVP': (-30, 60), 'etCO2': (0, 150),
          'ICP': (-30, 150), 'PI': (0, 25), 'FiO2': (15, 105), 'PEEP': (0, 60)}


def rows_of(path):
    with open(path, newline='', encoding='utf-8') as file:
        return [{k: v for k, v in row.items() if k in CODES} for row in csv.DictReader(file)]


def due(row):
    """{code: digits} of what a row has to bring into the chart."""
    return {CODES[k]: v for k, v in row.items() if v and LIMITS[k][0] <= decimal.Decimal(v) <= LIMITS[k][1]}


def moment(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))


def run(ward, path, every):
    """Returns (served rows by (unit, sample), messages, instant of the move)."""
    ward.make_pki()
    ward.start_broker()
    ward.start_epr()
    ward.write_chart_config({f'GSU^GSU^Bed {n}': f'bed-{n}' for n in (1, 2, 3)})
    ward.start_chart()
    feed = Feed(ward.adt_port)
    begin = datetime.datetime.now(UTC).replace(microsecond=0) - datetime.timedelta(minutes=5)
    for patient, bed in (('CN00001', 'Bed 1'), ('CN00002', 'Bed 2')):
        assert feed.send(feed.message('A01', patient, bed, begin)) == 'AA'
    replay = ('--replay', path, '--every', f'{every}ms', '--each-row-once-read')
    port = ward.emulate('tcp', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--served', ward.path('served-tcp'),
                        '--unit', '1', *replay, '--unit', '3', *replay)
    ward.emulate('rtu', 'modbus', '--pty', ward.path('bus'), '--baud', '115200', '--profile', 'wardgate-monitor', '--served',
                 ward.path('served-rtu'), '--unit', '2', *replay)
    poll = max(20, every // 3)

    def device(n):
        return f'      - {{id: monitor-{n}, address: {n}, profile: wardgate-monitor, place: bed-{n}, every: {poll}ms, silence: 10s}}\n'
    ward.write_gateway_config(f'''  - name: tcp-1
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
{device(1)}{device(3)}  - name: rtu-1
    kind: rtu
    port: {ward.path('bus')}
    baud: 115200
    parity: none
    devices:
{device(2)}''')
    ward.start_gateway()
    count = len(rows_of(path))

    def shown():
        return {(r['unit'], r['sample']): r for name in ('served-tcp', 'served-rtu') for r in ward.served(name) if not r.get('unread')}
    wait_for('half of the recording', lambda: len(shown()) >= 3 * count // 2, count * every / 1000 * 20 + 60)
    moved = datetime.datetime.now(UTC).replace(microsecond=0)
    time.sleep(5)  # the patient is in bed 3 by now; nobody has told the PAS
    assert feed.send(feed.message('A02', 'CN00001', 'Bed 3', moved, before='Bed 1', told=moved + datetime.timedelta(seconds=4))) == 'AA'
    wait_for('the whole recording', lambda: len(shown()) >= 3 * count, count * every / 1000 * 20 + 60)
    time.sleep(2)
    wait_for('all of it to be decided', ward.drained, 60)
    return shown(), ward.messages(), moved


def standing(messages):
    """{filler: (patient, device, time, uncertainty, {code: value})} of what was not withdrawn."""
    result = {}
    for message in messages:
        values = [o for o in message['observations'] if o['type'] == 'NM' and '^MDC_TIME_SYNC_ACCURACY^' not in o['code']]
        stated = next(int(o['value']) for o in message['observations'] if '^MDC_TIME_SYNC_ACCURACY^' in o['code'])
        filler = values[0]['filler']
        if values[0]['status'] == 'W':
            result.pop(filler)
            continue
        result[filler] = (message['patient'].split('^')[0], values[0]['device'].split('^')[0],
                          datetime.datetime.strptime(values[0]['time'], '%Y%m%d%H%M%S.%f%z'), datetime.timedelta(microseconds=stated),
                          {int(o['code'].split('^')[0]): o['value'] for o in values})
    return result


def whose(device, at, moved):
    if device == 'monitor-2':
        return 'CN00002'
    here = at < moved if device == 'monitor-1' else at >= moved
    return 'CN00001' if here else None


def compare(rows, served, charted, moved):
    """Every row of the recording against what stands, and the other way round."""
    problems, values, absent, used = [], 0, 0, set()
    edge = datetime.timedelta(milliseconds=150)  # readings this near the move are rightly held
    for unit in (1, 2, 3):
        shown = [served[key]['row'] for key in sorted(served) if key[0] == unit]
        if [{k: v or '' for k, v in row.items()} for row in shown] != rows:
            problems.append(f'unit {unit} did not show the recording row by row')
    for filler, (patient, device, at, _, _) in charted.items():
        if whose(device, at, moved) != patient:
            problems.append(f'{filler} of {device} at {at} stands on {patient}')
    for (unit, sample), served_row in sorted(served.items()):
        device, read, row = f'monitor-{unit}', moment(served_row['read']), rows[sample - 1]
        expected = due(row)
        absent += len(row) - len(expected)
        # read: when the emulator answered; charted: when the gateway had asked
        near = [f for f, e in charted.items() if e[1] == device and f not in used and abs(e[2] - read) <= e[3] and e[4] == expected]
        if near:
            used.add(near[0])
            values += len(expected)
        elif whose(device, read, moved) is not None and abs(read - moved) >= edge and expected:
            problems.append(f'{device} sample {sample} read {read}: {expected} is not charted')
    problems += [f'{f} of {charted[f][1]} at {charted[f][2]}: {charted[f][4]} stands, and no row has it' for f in set(charted) - used]
    return problems, values, absent


def main():
    build, path = sys.argv[1:3]
    every = int(sys.argv[sys.argv.index('--every') + 1]) if '--every' in sys.argv else 1000
    with Ward(build, quiet=False) as ward:
        served, messages, moved = run(ward, path, every)
        books = ward.books()
        charted = standing(messages)
        problems, values, absent = compare(rows_of(path), served, charted, moved)
        for problem in problems[:20]:
            print(problem)
        withdrawn = sum(any(o['status'] == 'W' for o in m['observations']) for m in messages)
        given = sum(len(e[4]) for e in charted.values())
        print(f'{len(served)} rows served, {values} values compared, {absent} absent, {given} values stand, '
              f'{len(charted)} messages stand, {withdrawn} withdrawn; books {books}')
        good = not problems and values > 0 and books['balanced'] and books['decoded'] == len(served) and withdrawn > 0
        return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
