#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What each board's image takes and leaves, from the build: flash, RAM, the deepest stack, hours of samples.

  sizes.py BUILD            the table of boards/README.md
  sizes.py BUILD --write    puts it there
  sizes.py BUILD --check    fails if README is not true to the build (LIMIT), or a stack could be too small

The stack is the longest way through the compiler's call graph (-fcallgraph-info=su), an interrupt on top. A call through a pointer is
taken to reach every function of the files named in INDIRECT that nobody calls directly; one from another file is an error, so that
the table can't grow old unseen. Functions of the C library have no figure and count LIBRARY bytes."""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
README = os.path.join(ROOT, 'boards', 'README.md')
BEGIN, END = '<!-- sizes: boards/sizes.py --write -->\n', '<!-- end of sizes -->\n'
LIMIT = 0.15            # a figure of README may be off by this much
LIBRARY = 96            # bytes of stack for a function of the C library; the deepest (64-bit division) takes less
FRAME = 2 * 36          # of an interrupt, and of one more that comes with it pending, with alignment
HEADS, SLOT = 32 * 12, 16   # firmware/samples.h: bytes of the shared parts and of an oximeter's sample
INDIRECT = {            # file of the call -> where it may go; '' is the same file
    'firmware/adapter.c': ['drivers/'],
    'drivers/': ['firmware/adapter.c', ''],
    'firmware/modbus_server.c': ['', 'firmware/node_show.c', 'firmware/update.c'],
    'firmware/node_show.c': [''],
    'firmware/update_server.c': ['', '/flash.c'],
    'firmware/slots.c': ['/flash.c'],
    'firmware/image.c': [''],
    'firmware/image_verify.c': ['/flash.c'],
    'firmware/boot_count.c': ['/flash.c'],
}


class Graph:
    """Functions with their file, own bytes and calls; from the .ci files of one image."""

    def __init__(self, image):
        self.own, self.file, self.calls, self.indirect = {}, {}, {}, set()
        for path in glob.glob(image + '-*.ci'):
            with open(path, encoding='utf-8') as file:
                self.read(file.read())
        called = {to for targets in self.calls.values() for to in targets}
        self.free = [f for f in self.own if f not in called]
        self.depth, self.reached = {}, {}

    def read(self, text):
        for title, label in re.findall(r'node: { title: "([^"]+)" label: "([^"]+)"', text):
            size = re.search(r'(\d+) bytes \((\w+)', label)
            if size:
                self.own[title] = int(size.group(1))
                self.file[title] = label.split('\\n')[1].split(':')[0]
        for source, target in re.findall(r'edge: { sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            if target == '__indirect_call':
                self.indirect.add(source)
            else:
                self.calls.setdefault(source, set()).add(target)

    def targets(self, function):
        """Of calls through pointers."""
        if function not in self.indirect:
            return set()
        file = self.file[function].replace(ROOT + '/', '')
        rule = next((to for at, to in INDIRECT.items() if file.startswith(at) or file == at), None)
        if rule is None:
            raise SystemExit(f'fail: sizes: {file}: {function} calls through a pointer: name its targets in INDIRECT')
        return {f for f in self.free for part in rule if f != function and
                (part in self.file[f] if part else self.file[f] == self.file[function])}

    def below(self, function):
        return sorted(f for f in self.calls.get(function, set()) | self.targets(function) if f in self.own)

    def reach(self, function):
        """Everything that can run from here on, itself included only if a call leads back."""
        if function not in self.reached:
            found, left = set(), self.below(function)
            while left:
                f = left.pop()
                if f not in found:
                    found.add(f)
                    left += self.below(f)
            self.reached[function] = found
        return self.reached[function]

    def circle(self, function):
        """The functions that can call each other round: this one alone, mostly. Where pointers are taken to lead to more than they do,
        circles appear that no program has; each of their functions is counted once, whatever the order they are looked at in."""
        return {f for f in self.reach(function) if function in self.reach(f)} | {function}

    def stack(self, function):
        """Bytes at most from here down."""
        if function not in self.own:
            return LIBRARY
        circle = self.circle(function)
        key = min(circle)
        if key not in self.depth:
            out = {f for g in circle for f in self.calls.get(g, set()) | self.targets(g)} - circle
            self.depth[key] = sum(self.own[f] for f in circle) + max(map(self.stack, out), default=0)
        return self.depth[key]

    def interrupts(self):
        """Handlers stand in the vectors: free functions of the board's folder, or the tick."""
        return [f for f in self.free if '/boards/' in self.file[f] and not self.file[f].endswith('/flash.c') or f == 'cortex_tick']


def symbols(image):
    lines = subprocess.run(['arm-none-eabi-nm', image], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[2]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


def value(board, key):
    with open(os.path.join(ROOT, 'boards', board, 'board.yaml'), encoding='utf-8') as file:
        found = re.search(rf'^{key}: *(.*)$', file.read(), re.M)
    return found.group(1) if found else None


def hours(spare, ports):
    share = spare // ports // 8 * 8
    return max(0, share - HEADS) // SLOT / 3600


def measure(build, board):
    """The row: the slot's image where there is one, since that is what a site installs."""
    name = 'node_a' if value(board, 'slot_a') else 'node'
    image = os.path.join(build, 'boards', board, name + '.elf')
    at, graph = symbols(image), Graph(image)
    spare, ports = at['link_stack_low'] - at['link_spare'], int(value(board, 'device_ports'))
    deepest = graph.stack('main') + max(graph.stack(f) for f in graph.interrupts()) + FRAME
    return {'board': board, 'image': name, 'flash': os.path.getsize(image[:-3] + 'bin'),
            'flash of': int(value(board, 'slot_size') or value(board, 'flash_size'), 16),
            'RAM': at['link_spare'] - int(value(board, 'ram_base'), 16), 'RAM of': int(value(board, 'ram_size'), 16),
            'stack': deepest, 'stack of': at['link_stack_top'] - at['link_stack_low'],
            'hours': hours(spare, 1), 'all': hours(spare, ports), 'ports': ports}


def row(m):
    return (f"| {m['board']} | {m['flash']:,} of {m['flash of']:,} | {m['RAM']:,} of {m['RAM of']:,} | {m['stack']:,} of {m['stack of']:,} | "
            f"{m['hours']:.1f} h | {m['all']:.1f} h ({m['ports']}) |\n")


def table(rows):
    head = ('| board | flash of the image, bytes | RAM used, bytes | deepest stack, bytes | samples, one device | a device on each port |\n'
            '|---|---|---|---|---|---|\n')
    return BEGIN + head + ''.join(map(row, rows)) + END


def check(rows, said):
    """README's figures against the build's."""
    failed = 0
    for m in rows:
        line = next((x for x in said.splitlines() if x.startswith(f"| {m['board']} |")), None)
        numbers = [float(n.replace(',', '')) for n in re.findall(r'[\d,]+(?:\.\d+)?', line.split('|', 2)[2])] if line else []
        built = [m['flash'], m['flash of'], m['RAM'], m['RAM of'], m['stack'], m['stack of'], m['hours'], m['all'], m['ports']]
        off = [f'{n:g} is {b:.6g}' for n, b in zip(numbers, built) if abs(n - b) > LIMIT * b + 0.05]
        if len(numbers) != len(built) or off:
            print(f"fail: sizes of {m['board']}: README is not true to the build: {', '.join(off) or 'no row'}; run boards/sizes.py --write")
            failed = 1
        elif m['stack'] > m['stack of'] or m['flash'] > m['flash of']:
            print(f"fail: sizes of {m['board']}: stack {m['stack']} of {m['stack of']}, flash {m['flash']} of {m['flash of']}")
            failed = 1
        else:
            print('pass: sizes: ' + row(m).strip('| \n').replace(' | ', ', '))
    return failed


def main():
    build, what = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ''
    names = sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(os.path.join(ROOT, 'boards', '*', 'link.ld')))
    rows = [measure(build, board) for board in names]
    with open(README, encoding='utf-8') as file:
        text = file.read()
    begin, end = text.find(BEGIN), text.find(END)
    if what == '--check':
        return check(rows, text[begin:end])
    if what == '--write':
        with open(README, 'w', encoding='utf-8') as file:
            file.write(text[:begin] + table(rows) + text[end + len(END):])
    else:
        print(table(rows), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
