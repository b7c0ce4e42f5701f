#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house's rules, as a test: arrows between rooms, pure drivers, one file a library, banned calls, sizes,
no secrets. Prints `pass:` or `fail:` a rule. Rules with a budget name it here; raise one only with a reason."""
import os
import re
import subprocess
import sys

os.chdir(sys.argv[1])
FILES = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], capture_output=True, text=True,
                       check=True).stdout.split('\n')
FILES = [f for f in FILES if f and os.path.isfile(f)]
SOURCES = [f for f in FILES if f.endswith(('.c', '.h'))]
PRODUCT = [f for f in SOURCES if not f.startswith('tests/')]

# Who may include whom (design section 4). tests may include everything.
ARROWS = {
    'drivers': [],
    'gateway/base': [],
    'gateway/wire': ['gateway/base'],
    'gateway/link': ['gateway/base'],
    'gateway/ports': ['drivers', 'gateway/base'],
    'gateway/bedside': ['drivers', 'gateway/ports', 'gateway/link', 'gateway/wire', 'gateway/base'],
    'gateway/chart': ['gateway/link', 'gateway/wire', 'gateway/base'],
    'gateway/tool': ['drivers', 'gateway/ports', 'gateway/link', 'gateway/wire', 'gateway/base',
                     'firmware/image.h'],
    'firmware': ['drivers'],
    'boards': ['firmware/hal.h'],
}
PURE = {'stdint.h', 'stddef.h', 'stdbool.h', 'stdalign.h', 'string.h', 'limits.h', 'inttypes.h', 'assert.h'}
# A library's header and the product files that may include it.
ONE_FILE = {'modbus.h': 1, 'modbus/modbus.h': 1, 'mosquitto.h': 1, 'microhttpd.h': 1, 'curl/curl.h': 1, 'lmdb.h': 2}
BANNED = (r'\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|alloca|mktemp|tmpnam|rand|'
          r'localtime|gmtime|modbus_[gs]et_float\w*)\s*\(')
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
README_LINES_MAX = 110

failures = 0


def text(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def bare(source):
    """The code with comments and strings blanked out, line numbers kept."""
    def blank(match):
        found = match.group(0)
        return found[0] * 2 if found[0] in '"\'' else re.sub(r'[^\n]', ' ', found)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, source, flags=re.S)


def rule(name, problems):
    global failures
    for problem in problems:
        print('   ' + problem)
    print(f"{'fail' if problems else 'pass'}: {name}" + (f' ({len(problems)})' if problems else ''))
    failures += bool(problems)


def room_of(path):
    return next((r for r in sorted(ARROWS, key=len, reverse=True) if path.startswith(r + '/')), None)


def resolve(include):
    """A project include names a path from the root or from gateway/."""
    for candidate in (include, 'gateway/' + include):
        if os.path.exists(candidate) or (candidate.endswith('.pb.h') and candidate.startswith('gateway/')):
            return candidate
    return None


def arrows():
    for path in PRODUCT:
        room = room_of(path)
        for include in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text(path), re.M):
            target = resolve(include)
            if target is None:
                yield f'{path}: includes "{include}", which is no path from the root or gateway/'
            elif room and room_of(target) != room and room_of(target) not in ARROWS[room] \
                    and target not in ARROWS[room]:
                yield f'{path}: includes {include}: {room} may not know it'


def pure_drivers():
    for path in PRODUCT:
        if path.startswith('drivers/'):
            for header in re.findall(r'^\s*#\s*include\s*<([^>]+)>', text(path), re.M):
                if header not in PURE:
                    yield f'{path}: includes <{header}>'
            for number, line in enumerate(bare(text(path)).split('\n'), 1):
                if re.search(r'\b(float|double|malloc|calloc|free)\b', line):
                    yield f'{path}:{number}: float, double or heap'


def one_file_a_library():
    for header, most in ONE_FILE.items():
        users = [p for p in PRODUCT if re.search(r'#\s*include\s*<' + re.escape(header) + '>', text(p))]
        if len(users) > most:
            yield f'<{header}> is included by {", ".join(users)}'
    users = {os.path.dirname(p) for p in PRODUCT if re.search(r'#\s*include\s*[<"]mbedtls/', text(p))}
    for room in users - {'gateway/base', 'gateway/link', 'firmware'}:
        yield f'{room} includes mbedTLS'


def banned_calls():
    for path in PRODUCT:
        code = bare(text(path))
        for number, line in enumerate(code.split('\n'), 1):
            match = re.search(BANNED, line)
            if match:
                yield f'{path}:{number}: {match.group(1)}()'
        for flag in ('MDB_WRITEMAP', 'MDB_NOSYNC', 'MDB_NOMETASYNC', 'MDB_DUPSORT', 'ERROR_RECOVERY_LINK'):
            if flag in code:
                yield f'{path}: {flag}'


def functions(path):
    start = None
    for number, line in enumerate(bare(text(path)).split('\n'), 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start:
            yield start, number - start + 1
            start = None


def sizes():
    for path in PRODUCT:
        lines = text(path).count('\n')
        if path.endswith('.c') and lines > FILE_LINES_MAX:
            yield f'{path}: {lines} lines'
        for start, length in functions(path) if path.endswith('.c') else ():
            if length > FUNCTION_LINES_MAX:
                yield f'{path}:{start}: a function of {length} lines'
    lines = text('README.md').count('\n') if os.path.exists('README.md') else 999
    if lines > README_LINES_MAX:
        yield f'README.md: {lines} lines'


def documents():
    for room in ('drivers', 'gateway/base', 'gateway/wire', 'gateway/ports', 'gateway/link', 'gateway/bedside',
                 'gateway/chart', 'gateway/tool'):
        if not os.path.exists(room + '/DESIGN.md'):
            yield f'{room}/DESIGN.md is missing'
    for path in SOURCES:
        if 'SPDX-License-Identifier: Apache-2.0' not in text(path)[:200]:
            yield f'{path}: no SPDX line'


def secrets():
    for path in FILES:
        if re.search(r'-----BEGIN (?:EC |RSA |ENCRYPTED )?PRIVATE KEY-----\n', text(path)):
            yield f'{path}: a private key'


rule('arrows between rooms', list(arrows()))
rule('drivers are pure', list(pure_drivers()))
rule('one file a library', list(one_file_a_library()))
rule('banned calls and flags', list(banned_calls()))
rule('sizes of functions, files and README', list(sizes()))
rule('documents', list(documents()))
rule('no secrets', list(secrets()))
sys.exit(1 if failures else 0)
