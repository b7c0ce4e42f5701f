#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Would the simulator notice? Each mutant takes one control out of the product's source, builds the simulator with that one file changed,
and must make it fail. A mutant whose text is no longer in the source is a failure too: the list follows the code.

  mutants.py ROOT BUILD [--days N] [NAME ...]"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from mutant_list import MUTANTS

SEED, DAYS, LIMIT_S = 1, 40, 120


def commands(build):
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        return {entry['file']: entry for entry in json.load(file)}


def link_command(build):
    lines = subprocess.run(['ninja', '-C', build, '-t', 'commands', 'sim'], capture_output=True, text=True, check=True).stdout.split('\n')
    return next(line for line in reversed(lines) if '-o sim/sim' in line)


def make(root, build, folder, compiles, link, mutant):
    """Returns the mutated simulator's path, or raises ValueError when the source no longer has the text."""
    name, path, old, new = mutant
    source = os.path.join(root, path)
    with open(source, encoding='utf-8') as file:
        text = file.read()
    places = list(re.finditer(r'\s+'.join(re.escape(word) for word in old.split()), text))
    if len(places) != 1:
        raise ValueError(f'{path} has the text {len(places)} times')
    text = text[:places[0].start()] + new + text[places[0].end():]
    changed = os.path.join(folder, name + '.c')
    with open(changed, 'w', encoding='utf-8') as file:
        file.write(text)
    entry = compiles[source]
    words = shlex.split(entry['command'])
    words[words.index('-o') + 1] = changed + '.o'
    words[words.index('-c') + 1] = changed
    words += ['-Wno-error', '-w']
    subprocess.run(words, cwd=entry['directory'], check=True, capture_output=True)
    program = os.path.join(folder, name)
    # The changed object comes before the libraries, whose own member of that name is then never pulled in.
    line = link.replace('-o sim/sim', f'-Wl,--allow-multiple-definition {shlex.quote(changed)}.o -o {shlex.quote(program)}')
    line = line[line.index('&&') + 2:] if line.startswith(': &&') else line
    line = line.removesuffix('&& :')
    subprocess.run(line, shell=True, cwd=build, check=True, capture_output=True)
    return program


def judge(root, build, folder, compiles, link, days, mutant):
    try:
        program = make(root, build, folder, compiles, link, mutant)
    except (ValueError, subprocess.CalledProcessError) as problem:
        detail = getattr(problem, 'stderr', b'') or b''
        return mutant[0], False, f'{problem} {detail.decode()[-300:]}'
    try:
        run = subprocess.run([program, '--days', str(days), '--seed', str(SEED), '--first'], capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return mutant[0], True, 'did not end'
    last = (run.stdout or run.stderr).strip().split('\n')
    return mutant[0], run.returncode != 0, last[0][:160] if run.returncode else 'not noticed: ' + last[-1][:300]


def main():
    root, build = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wanted = sys.argv[3:]
    days = DAYS
    if '--days' in wanted:
        at = wanted.index('--days')
        days = int(wanted[at + 1])
        del wanted[at:at + 2]
    chosen = [m for m in MUTANTS if not wanted or m[0] in wanted]
    compiles, link = commands(build), link_command(build)
    failed = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for name, caught, why in pool.map(lambda m: judge(root, build, folder, compiles, link, days, m), chosen):
            print(f"{'pass' if caught else 'fail'}: mutant {name}: {why}", flush=True)
            failed += not caught
    print(f'{len(chosen)} mutants, {len(chosen) - failed} caught (seeds {SEED} to {SEED + days - 1})')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
