#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The benches of run.sh: real programs on loopback, each figure against something in the same run.

    bench.py --build DIR [--json FILE] [--quick] [--only store|forward|drain|cpu|bus]...
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
import bench_cpu      # noqa: E402
import bench_drain    # noqa: E402
import bench_forward  # noqa: E402


class Figures:
    """What was measured, in the order of measuring."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, against, goal, better='higher', digits=3):
        """goal None: only reported. A value None was not measured and holds nothing."""
        holds = value is not None and (goal is None or (value >= goal if better == 'higher' else value <= goal))
        if value is not None:
            value = round(value, digits)
        self.rows.append({'name': name, 'value': value, 'unit': unit, 'against': against, 'goal': goal, 'better': better, 'holds': holds})
        print('-- ' + self.line(self.rows[-1]), flush=True)

    def missing(self, name, why):
        self.rows.append({'name': name, 'value': None, 'unit': '', 'against': f'not measured: {why}', 'goal': None, 'better': 'higher',
                          'holds': False})
        print('-- ' + self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row):
        value = 'not measured' if row['value'] is None else f"{row['value']:g} {row['unit']}"
        sign = '>=' if row['better'] == 'higher' else '<='
        goal = '' if row['goal'] is None else f"{sign} {row['goal']:g}"
        holds = 'holds' if row['holds'] and row['goal'] is not None else 'reported' if row['holds'] else 'NO'
        return f"{row['name']:<38} {value:>24}  {goal:<10} {holds:<9} {row['against']}"


def machine():
    """Enough to tell runs apart; figures are ratios because machines differ."""
    model = ''
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for row in file:
            if row.startswith('model name'):
                model = row.split(':', 1)[1].strip()
                break
    with open('/proc/meminfo', encoding='utf-8') as file:
        memory = int(file.readline().split()[1]) // 1024
    return {'cpu': model or platform.machine(), 'cores': os.cpu_count(), 'memory_mib': memory, 'kernel': platform.release(),
            'load_at_start': round(os.getloadavg()[0], 2)}


def store(bench):
    """The store against a bare LMDB loop."""
    command = [os.path.join(bench.build, 'bench', 'store_bench'), '100', '50', '9' if bench.quick else '15']
    rows = [json.loads(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()]
    for row in rows[1:]:
        name = 'store_' + ('encoded' if 'pre-encoded' in row['name'] else 'encode_and_seal')
        bench.figures.add(name, row['ratio'], 'ratio', f"bare LMDB loop, batches of {row['batch']}, {row['bytes']} B a record", row['goal'])


def bus(bench):
    """The lines, with the time that a wire takes."""
    program = os.path.join(bench.build, 'bench', 'bus_bench')
    if not os.path.exists(program):
        bench.figures.missing('bus_wire_use', 'bus_bench is not built')
        return
    found = subprocess.run([program, '--quick' if bench.quick else '--long'], capture_output=True, text=True, check=False)
    for line in found.stdout.splitlines():
        if line.startswith('{'):
            row = json.loads(line)
            bench.figures.add(row['name'], row['value'], row['unit'], row['against'], row['goal'], row['better'])
    if found.returncode != 0:
        bench.figures.missing('bus_bench', f'ended with {found.returncode}')


PARTS = {'store': store, 'forward': bench_forward.run, 'drain': bench_drain.run, 'cpu': bench_cpu.run, 'bus': bus}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--build', required=True)
    arguments.add_argument('--json')
    arguments.add_argument('--quick', action='store_true')
    arguments.add_argument('--only', action='append', choices=sorted(PARTS))
    bench = arguments.parse_args()
    bench.build = os.path.abspath(bench.build)
    bench.figures = Figures()
    bench.median = statistics.median
    told = {'machine': machine(), 'quick': bench.quick, 'figures': bench.figures.rows}
    for name, part in PARTS.items():
        if bench.only and name not in bench.only:
            continue
        print(f'== {name}', flush=True)
        try:
            part(bench)
        except Exception as problem:  # one part that fails must not hide the others
            traceback.print_exc()
            bench.figures.missing(name, f'{type(problem).__name__}: {problem}')
        if bench.json:
            with open(bench.json, 'w', encoding='utf-8') as file:
                json.dump(told, file, indent=1)
    print(f"\n{told['machine']}")
    for row in bench.figures.rows:
        print(Figures.line(row))
    measured = [row for row in bench.figures.rows if row['goal'] is not None]
    print(f"{sum(row['holds'] for row in measured)} of {len(measured)} goals hold, "
          f"{sum(row['value'] is None for row in bench.figures.rows)} not measured")
    return 0


if __name__ == '__main__':
    sys.exit(main())
