#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program is made of, from the program itself: every library that its ELF header needs, and theirs, with the Debian package and
version each comes from; and the archives that were linked in. CycloneDX 1.5, the same bytes for the same inputs.

    sbom.py --name wardgated --version 0.1.0 [--root SYSROOT] [--static ARCHIVE]... --out FILE PROGRAM
    sbom.py --files [--root SYSROOT] PROGRAM        the libraries' paths, for a root that shall run it
    sbom.py --depends [--root SYSROOT] PROGRAM      prints a Depends: line for a cross build, where dpkg-shlibdeps has no database"""
import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess


def dynamic(path):
    """The names in NEEDED, and the machine's multiarch folder."""
    text = subprocess.run(['readelf', '-dhW', path], capture_output=True, text=True, check=True).stdout
    machine = re.search(r'Machine:\s+(.*)', text).group(1)
    triplet = {'Advanced Micro Devices X86-64': 'x86_64-linux-gnu', 'AArch64': 'aarch64-linux-gnu',
               'ARM': 'arm-linux-gnueabihf'}[machine.strip()]
    return re.findall(r'\(NEEDED\).*\[(.*)\]', text), triplet


class Libraries:
    def __init__(self, root):
        self.root, self.owners = root.rstrip('/'), {}
        self.admin = ['--admindir', self.root + '/var/lib/dpkg'] if self.root else []
        self.env = dict(os.environ, LC_ALL='C')

    def find(self, name, triplet):
        for folder in (f'/usr/lib/{triplet}', f'/lib/{triplet}', '/usr/lib', '/lib'):
            if os.path.exists(f'{self.root}{folder}/{name}'):
                return f'{folder}/{name}'
        raise SystemExit(f'sbom: {name} is nowhere under {self.root or "/"}')

    def package(self, path):
        """(name, version, architecture) of the package that brought a file; before /usr was merged it may be listed without."""
        real = path
        if os.path.islink(self.root + path):
            real = os.path.join(os.path.dirname(path), os.readlink(self.root + path))
        for candidate in (path, real, path.replace('/usr/lib/', '/lib/', 1), real.replace('/usr/lib/', '/lib/', 1)):
            found = subprocess.run(['dpkg-query', *self.admin, '-S', candidate], capture_output=True, text=True, env=self.env).stdout
            if found:
                name = found.split(': ')[0].split(',')[0]
                row = subprocess.run(['dpkg-query', *self.admin, '-W', '-f', '${Package} ${Version} ${Architecture}', name],
                                     capture_output=True, text=True, check=True, env=self.env).stdout
                return tuple(row.split())
        raise SystemExit(f'sbom: no package owns {path}')

    def closure(self, program):
        """{library: [libraries it needs]}, the program itself under ''."""
        needs, triplet = dynamic(program)
        graph, queue = {'': needs}, list(needs)
        while queue:
            name = queue.pop(0)
            if name not in graph:
                graph[name] = dynamic(self.root + self.find(name, triplet))[0]
                queue += graph[name]
        return graph, triplet


def component(libraries, path, kind):
    name, version, architecture = libraries.package(path)
    with open(libraries.root + path, 'rb') as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {'type': 'library', 'bom-ref': os.path.basename(path), 'name': name, 'version': version,
            'purl': f'pkg:deb/debian/{name}@{version}?arch={architecture}'.replace('+', '%2B'),
            'hashes': [{'alg': 'SHA-256', 'content': digest}],
            'properties': [{'name': 'wardgate:file', 'value': os.path.basename(path)}, {'name': 'wardgate:linked', 'value': kind}]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--name')
    parser.add_argument('--version')
    parser.add_argument('--root', default='')
    parser.add_argument('--static', action='append', default=[])
    parser.add_argument('--depends', action='store_true')
    parser.add_argument('--files', action='store_true')
    parser.add_argument('--out')
    parser.add_argument('program')
    options = parser.parse_args()
    libraries = Libraries(options.root)
    graph, triplet = libraries.closure(options.program)
    if options.files:
        for name in graph:
            if name:
                print(libraries.find(name, triplet))
        return
    if options.depends:
        rows = {libraries.package(libraries.find(name, triplet)) for name in graph['']}
        print(', '.join(sorted(f'{name} (>= {re.sub("-[^-]*$", "", version)})' for name, version, _ in rows)))
        return
    parts = [component(libraries, libraries.find(name, triplet), 'shared') for name in sorted(graph) if name]
    parts += [component(libraries, path[len(libraries.root):] if libraries.root and path.startswith(libraries.root) else path, 'static')
              for path in sorted(options.static)]
    when = datetime.datetime.fromtimestamp(int(os.environ.get('SOURCE_DATE_EPOCH', '0')), datetime.timezone.utc)
    bom = {'bomFormat': 'CycloneDX', 'specVersion': '1.5', 'version': 1,
           'metadata': {'timestamp': when.strftime('%Y-%m-%dT%H:%M:%SZ'),
                        'component': {'type': 'application', 'bom-ref': options.name, 'name': options.name, 'version': options.version,
                                      'licenses': [{'license': {'id': 'Apache-2.0'}}]}},
           'components': parts,
           'dependencies': [{'ref': options.name, 'dependsOn': sorted(graph['']) + [os.path.basename(p) for p in sorted(options.static)]}] +
                           [{'ref': name, 'dependsOn': sorted(graph[name])} for name in sorted(graph) if name]}
    with open(options.out, 'w', encoding='utf-8') as file:
        json.dump(bom, file, indent=1)
        file.write('\n')


main()
