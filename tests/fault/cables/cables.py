#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sixteen devices of many kinds on four bad lines, and one on a good line beside them.

5 % of the exchanges go wrong in the cable (relay.py says how), and each line is pulled out and put back about once a minute.
What the gateway's store has is then compared with what the emulators say they showed:
  - no value that the device did not show, at that sample (where it counts them) or at that time;
  - every sample or second that is missing lies inside a gap record of its device;
  - the good line never noticed.

    cables.py --build DIR [--seconds N] [--seed S]
"""
import argparse
import datetime
import decimal
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import relay  # noqa: E402
import ward   # noqa: E402

TIME_S = 1.6      # a value may be so old or young beside the row that it shows: rows last 1 s, lines take their time
MONITORS = 6      # on each of the two buses, with another device beside them
GOOD_SHARE = 0.98
NAMES = {'MDC_PULS_OXIM_PULS_RATE': 'PULSE', 'MDC_PULS_OXIM_SAT_O2': 'SpO2', 'MDC_ECG_HEART_RATE': 'HR', 'MDC_RESP_RATE': 'RESP',
         'MDC_VENT_RESP_RATE': 'RESP', 'MDC_TEMP_ROOM': 'temperature'}


def instant(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()


class Device:
    """counts: its samples are numbered; else silent_s: a pause between two readings that is none yet."""

    def __init__(self, name, served, unit, counts, names, silent_s=2.6):
        self.name, self.served, self.unit, self.counts, self.names, self.silent_s = name, served, unit, counts, names, silent_s
        self.readings, self.gaps = [], []


class Test:
    def __init__(self, given):
        self.given, self.chance = given, random.Random(given.seed)
        self.place = ward.Ward(given.build, quiet=False)
        self.devices, self.cables, self.buses, self.problems = [], [], '', []
        self.compared = self.pulls = 0

    # --- the ward ---

    def monitor_names(self):
        with open(os.path.join(ward.ROOT, 'drivers', 'profiles', 'wardgate-monitor.yaml'), encoding='utf-8') as file:
            return {code: name for name, code in re.findall(r'name: (\w+)\n.*?code: (\w+)', file.read(), re.S)}

    def line(self, name, share, talks=False):
        inner, outer = self.place.path(f'{name}.device'), self.place.path(f'{name}.port')
        cable = relay.Cable(inner, outer, share, self.given.seed + len(self.cables))
        cable.talks = talks
        self.cables.append(cable)
        cable.start()
        return outer

    def bus(self, name, units, share):
        """Monitors and, where it has room, a probe on one RS-485 pair."""
        served = f'{name}.served'
        command = ['modbus', '--pty', self.place.path(f'{name}.device'), '--baud', '19200', '--served', self.place.path(served)]
        rows = ''
        for n in range(1, units + 1):
            monitor = n <= MONITORS
            profile = 'wardgate-monitor' if monitor else 'vaisala-hmp110'
            shows = ['--seed', str(self.given.seed + 10 * len(self.devices))] if monitor else ['--replay', self.room(), '--loop']
            command += ['--unit', str(n), '--profile', profile, *shows]
            rows += (f'      - id: {name}-{n}\n        address: {n}\n        profile: {profile}\n        place: {name}-bed-{n}\n'
                     '        every: 1s\n')
            self.devices.append(Device(f'{name}-{n}', served, n, monitor, self.monitor_names() if monitor else NAMES))
        self.place.emulate(f'emulator-{name}', *command)
        port = self.line(name, share)
        self.buses += f'  - name: {name}\n    kind: rtu\n    port: {port}\n    baud: 19200\n    parity: none\n    devices:\n{rows}'

    def room(self):
        """What a temperature probe shows: up and down, so that an old value is seen to be one."""
        path = self.place.path('room.csv')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('minute,temperature\n' + ''.join(f'{n},{-20 + 0.7 * n:.1f}\n' for n in range(90)))
        return path

    def stream(self, name, driver, talks, share, silent_s):
        served = f'{name}.served'
        self.place.emulate(f'emulator-{name}', driver, '--pty', self.place.path(f'{name}.device'), '--served', self.place.path(served),
                           '--seed', str(self.given.seed), '--fit')
        port = self.line(name, share, talks)
        self.buses += (f'  - name: {name}\n    kind: serial\n    port: {port}\n    parity: none\n    devices:\n      - id: {name}\n'
                       f'        driver: {driver}\n        place: {name}-bed\n')
        self.devices.append(Device(name, served, 0, False, NAMES, silent_s))

    def start(self):
        self.place.make_pki()
        self.bus('bay-1', MONITORS + 1, 0.05)
        self.bus('bay-2', MONITORS + 1, 0.05)
        self.stream('pulse-1', 'nonin-df8', True, 0.05, 6)
        self.stream('vent-1', 'medibus-8n1', False, 0.05, 21)
        self.bus('good', 1, 0.0)
        self.place.write_gateway_config(self.buses)
        self.place.start_gateway()
        ward.wait_for('every device', self.all_present, 40, 0.2)

    def status(self, verb):
        try:
            return self.place.ask_gateway(verb)[-1]
        except (OSError, ValueError, IndexError):
            return {}

    def all_present(self):
        return self.status('status').get('devices_present') == len(self.devices)

    def storm(self):
        """Plugs out and in, each line about once a minute."""
        bad = self.cables[:4]
        end = time.monotonic() + self.given.seconds
        due = [(time.monotonic() + self.chance.uniform(3, 50), cable, True) for cable in bad]
        while time.monotonic() < end:
            time.sleep(0.05)
            for item in [item for item in due if item[0] <= time.monotonic()]:
                due.remove(item)
                _, cable, pull = item
                if pull:
                    cable.pull()
                    self.pulls += 1
                    due.append((time.monotonic() + self.chance.uniform(1, 6), cable, False))
                else:
                    cable.plug()
                    due.append((time.monotonic() + self.chance.uniform(40, 70), cable, True))
        for _, cable, pull in due:
            if not pull:
                cable.plug()
            cable.share = 0.0
        ward.wait_for('every device comes back', self.all_present, 60, 0.2)
        time.sleep(4)  # and closes its last gap

    # --- looking ---

    def read_store(self):
        by_name, at = {device.name: device for device in self.devices}, 1
        while True:
            *rows, end = ward.ask(self.place.path('run', 'control.sock'), {'do': 'tail', 'from': at, 'count': 1000}, 30)
            for row in rows:
                device = by_name.get(row.get('device'))
                if device is not None and row['kind'] == 'reading':
                    device.readings.append(row)
                elif device is not None and row['kind'] == 'gap':
                    device.gaps.append(row['gap'])
            if end['next'] >= end['head']:
                return
            at = end['next']

    def problem(self, device, what):
        self.problems.append(f'{device.name}: {what}')

    @staticmethod
    def agrees(shown, row, names):
        for observation in shown:
            value = row['row'].get(names[observation['name']])
            if observation['value'] is None:
                continue
            if value is None or decimal.Decimal(value) != decimal.Decimal(observation['value']):
                return False
        return True

    def check_values(self, device, rows):
        by_sample = {row['sample']: row for row in rows}
        for reading in device.readings:
            unknown = [o['name'] for o in reading['observations'] if o['name'] not in device.names]
            if unknown:
                self.problem(device, f'observation {unknown} is not compared')
                continue
            if device.counts:
                row = by_sample.get(reading['sample'])
                good = row is None or self.agrees(reading['observations'], row, device.names)  # None: still shown at the end
            else:
                at = instant(reading['time']['utc'])
                near = [row for row in rows if -TIME_S < at - instant(row['made']) < 1 + TIME_S]
                # Each value by itself: a driver may put two instants' values into one set.
                good = all(o['value'] is None or any(self.agrees([o], row, device.names) for row in near) for o in reading['observations'])
            if not good:
                self.problem(device, f'was never shown: {reading}')
            self.compared += sum(o['value'] is not None for o in reading['observations'])

    def check_gaps(self, device):
        """Between two readings: the next sample, the next second, or a gap that says so."""
        closed = [(gap['from']['monotonic_us'], gap['to']['monotonic_us'], gap['count']) for gap in device.gaps
                  if gap['from'] and gap['to']]
        missing = 0
        for a, b in zip(device.readings, device.readings[1:]):
            begin, end = a['time']['monotonic_us'], b['time']['monotonic_us']
            hole = b['sample'] - a['sample'] - 1 if device.counts else (end - begin) // 1000000 - 1 if end - begin > device.silent_s * 1e6 else 0
            if hole <= 0:
                continue
            missing += hole
            inside = [count for first, last, count in closed if first < end and last > begin]
            if not inside:
                self.problem(device, f'{hole} missing before {b["time"]["utc"]} and no gap says so')
            elif device.counts and None not in inside and sum(inside) != hole:
                self.problem(device, f'{hole} missing before {b["time"]["utc"]}, gaps say {inside}')
        return missing

    def check(self):
        self.read_store()
        total = missing = 0
        for device in self.devices:
            rows = [row for row in self.place.served(device.served) if row['unit'] == device.unit]
            if not device.readings:
                self.problem(device, 'gave no reading')
                continue
            self.check_values(device, rows)
            missing += self.check_gaps(device)
            total += len(device.readings)
        return total, missing, self.good_line()

    def good_line(self):
        """Asked in time, and never in vain. Samples are no measure: rows and questions each have a clock of their own."""
        good = self.devices[-1]
        found = next(row for row in self.status('devices')['devices'] if row['id'] == good.name)['line']
        span = (good.readings[-1]['time']['monotonic_us'] - good.readings[0]['time']['monotonic_us']) / 1e6
        share = found['answered'] / (span + 1)
        if share < GOOD_SHARE or found['requests'] != found['answered']:
            self.problem(good, f'the good line was asked {share:.3f} times a second: {found}')
        return share

    def run(self):
        try:
            self.start()
            self.storm()
            total, missing, share = self.check()
            for name in [n for n in self.place.processes if n.startswith('emulator')]:
                self.place.stop(name)
        finally:
            for cable in self.cables:
                cable.end()
            self.place.close(keep=bool(self.problems) and self.given.keep)
        exchanges = sum(cable.exchanges for cable in self.cables)
        faults = {kind: sum(cable.faults[kind] for cable in self.cables) for kind in relay.KINDS}
        print(f'faults: {faults}')
        print(f'{len(self.devices)} devices, {exchanges} exchanges, {sum(faults.values())} faulted, {self.pulls} plugs pulled: {total} readings, '
              f'{self.compared} values compared, {missing} missing and said so, good line {share:.3f}')
        for text in self.problems[:20]:
            print('PROBLEM', text)
        return 1 if self.problems else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seconds', type=int, default=90)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--keep', action='store_true')
    return Test(parser.parse_args()).run()


if __name__ == '__main__':
    sys.exit(main())
