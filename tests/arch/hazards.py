#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every hazard of gateway/chart/HAZARDS.md has a test that exists. A row is open only where it says so."""
import os
import re
import sys

root = sys.argv[1]


def problem_of(reference):
    path, _, name = reference.partition(':')
    path = os.path.join(root, 'tests', path)
    if not os.path.exists(path):
        return f'no file tests/{reference}'
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if name and not re.search(rf'(?<![\w-]){re.escape(name)}(?![\w-])', text):
        return f'no {name} in {path}'
    return None


def main():
    with open(os.path.join(root, 'gateway', 'chart', 'HAZARDS.md'), encoding='utf-8') as file:
        rows = [[cell.strip() for cell in line.strip().strip('|').split('|')] for line in file if re.match(r'\| [A-Z]\d+ \|', line)]
    problems, tests, is_open = [], 0, []
    for row in rows:
        if len(row) != 5 or not all(row):
            problems.append(f'{row[0]}: expected five cells')
            continue
        references = [one.strip() for one in row[4].split(',')]
        tests += len(references)
        problems += [f'{row[0]}: {found}' for found in map(problem_of, references) if found]
        if '**open**' in row[3]:
            is_open.append(row[0])
    names = [row[0] for row in rows]
    problems += [f'{name}: twice' for name in set(names) if names.count(name) > 1]
    for problem in problems:
        print('   ' + problem)
    print(f"{'fail' if problems or len(rows) < 25 else 'pass'}: {len(rows)} hazards have {tests} live tests; open in part: "
          f"{', '.join(is_open) or 'none'}")
    return 1 if problems or len(rows) < 25 else 0


if __name__ == '__main__':
    sys.exit(main())
