#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every Linux board's folder: board.yaml says what it must, its ports are those of the udev rules, the service may open lines of that
kind, the watchdog's time is within what the part can count. folders.py BOARDS"""
import glob
import os
import re
import sys

STATUS = ('run on hardware', 'run under emulation', 'compiled only')
KEYS = ('name', 'title', 'status', 'soc', 'arch', 'kernel', 'console', 'watchdog', 'rtc', 'led', 'ports', 'flash_steps')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def problems(folder):
    text = read(os.path.join(folder, 'board.yaml'))
    said = dict(re.findall(r'^(\w+): *(.*)$', text, re.M))
    name = os.path.basename(folder)
    yield from (f'no {key}' for key in KEYS if key not in said)
    if said.get('name') != name:
        yield f'its name is {said.get("name")}'
    if said.get('status') not in STATUS:
        yield f'status is {said.get("status")}'
    if said.get('status') == 'run under emulation' and 'emulate' not in said:
        yield 'runs under emulation and does not say how'
    listed = set(re.findall(r'device: (/dev/bedside/port\d+)', text))
    rules = read(os.path.join(folder, '60-wardgate-ports.rules'))
    made = {'/dev/' + link for link in re.findall(r'SYMLINK\+="(bedside/port\d+)"', rules)}
    if listed != made or not listed:
        yield f'board.yaml has {sorted(listed)}, the rules make {sorted(made)}'
    for at in re.findall(r'at: "?(?:usb (?:of )?)?([\w.:-]+)', text):
        if f'"{at}' not in rules:
            yield f'no rule for {at}'
    allowed = set(re.findall(r'DeviceAllow=char-(\w+) rw', read(os.path.join(folder, 'unit.conf'))))
    service = set(re.findall(r'DeviceAllow=char-(\w+) rw', read(os.path.join(folder, '../../gateway/package/systemd/wardgated.service'))))
    if not allowed or not allowed <= service:
        yield f'unit.conf allows {sorted(allowed)}'
    seconds = int(re.search(r'RuntimeWatchdogSec=(\d+)s', read(os.path.join(folder, 'watchdog.conf'))).group(1))
    most = re.search(r'(\d+) s at most', said.get('watchdog', ''))
    if most and seconds >= int(most.group(1)):
        yield f'a watchdog of {seconds} s'
    lights = re.findall(r'^LED=(\S+)$', read(os.path.join(folder, 'led.conf')), re.M) if os.path.exists(os.path.join(folder, 'led.conf')) else ['none']
    if lights != [said.get('led')]:
        yield f'led.conf has {lights}, board.yaml {said.get("led")}'
    readme = read(os.path.join(folder, 'README.md'))
    yield from (f'README.md does not name {port}' for port in listed if port.rsplit('/', 1)[1] not in readme)


def main():
    found, names = 0, []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], '*', 'board.yaml'))):
        if not re.search(r'^kind: gateway$', read(path), re.M):
            continue
        names.append(os.path.basename(os.path.dirname(path)))
        for problem in problems(os.path.dirname(path)):
            found += 1
            print(f'   {names[-1]}: {problem}')
    print(', '.join(names))
    return found != 0 or len(names) < 4


if __name__ == '__main__':
    sys.exit(main())
