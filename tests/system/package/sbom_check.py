#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether an SBOM names what a program is linked with, found out another way than sbom.py does: the dynamic loader says which
libraries it would load, the build says which archives it linked. sbom_check.py BUILD PROGRAM SBOM"""
import json
import os
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ, LC_ALL='C')).stdout


def owner(path):
    for name in (path, os.path.realpath(path), os.path.realpath(path).replace('/usr/lib/', '/lib/', 1)):
        found = subprocess.run(['dpkg-query', '-S', name], capture_output=True, text=True).stdout
        if found:
            package = found.split(': ')[0]
            return tuple(output('dpkg-query', '-W', '-f', '${Package} ${Version}', package).split())
    raise SystemExit(f'no package owns {path}')


build, program, sbom = sys.argv[1:]
path = os.path.join(build, 'bin', program)
linked = set()
for line in output('ldd', path).splitlines():
    found = re.search(r'(/\S+)', line)
    if found:
        linked.add((os.path.basename(found.group(1)), *owner(found.group(1)), 'shared'))
for archive in set(re.findall(r'(/usr/\S+\.a)\b', output('ninja', '-C', build, '-t', 'commands', program))):
    linked.add((os.path.basename(archive), *owner(archive), 'static'))
with open(sbom, encoding='utf-8') as file:
    bom = json.load(file)
named = {(part['bom-ref'], part['name'], part['version'], part['properties'][1]['value']) for part in bom['components']}
for row in sorted(linked - named):
    print('   linked, not in the SBOM:', *row)
for row in sorted(named - linked):
    print('   in the SBOM, not linked:', *row)
print(f'   {program}: {len(named)} components')
sys.exit(linked != named or not linked)
