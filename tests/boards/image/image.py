#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole Debian image of qemu_virt_arm64, booted: systemd starts the packaged wardgated in its sandbox, udev names the port, systemd feeds
the watchdog; a bed node's samples come to the chart, across a power cut. image.py BUILD PACKAGES"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'virt_arm64'))
import board                         # noqa: E402


class Image(board.Board):
    name, port = 'qemu_virt_arm64', 'bedside/port1'
    append = 'root=LABEL=wardgate-root ro systemd.journald.forward_to_console=1'
    patience = 900                   # a whole systemd, emulated on a machine that may be busy
    sign = ': demo/bay-1, 1 buses'

    def write_board(self, packages):
        subprocess.run(['sh', os.path.join(board.ROOT, 'boards/linux_common/image.sh'), self.name, packages, self.path('disk'),
                        self.write_config()], check=True)
        for name, out in (('vmlinuz', 'kernel'), ('initrd.img', 'initramfs')):
            subprocess.run(['mcopy', '-n', '-i', self.path('disk') + '@@8M', '::' + name, self.path(out)], check=True)


def main():
    build, packages = sys.argv[1:3]
    with Image(build, quiet=False) as ward:
        got, cut, books = board.carry(ward, build, packages)
        problems, log = board.wrong(got, books), ward.log('board')
        for what, pattern in (('systemd feeds no watchdog', r'Using hardware watchdog'), ('no boot to the end', r'[Rr]eached target.*[Mm]ulti-[Uu]ser')):
            if len(re.findall(pattern, log)) < 2:
                problems.append(what)
        problems += [f'the log has: {line}' for line in re.findall(r'.*(?:Failed to start|status=2\d\d/).*', log)[:5]]
        for problem in problems[:20]:
            print(problem)
        up = re.findall(r'\[ *([\d.]+)\].*' + re.escape(ward.sign), log)
        print(f'{len(got)} samples charted, {cut} before the power cut; wardgated up at {", ".join(up)} s; charted {books["charted"]}, '
              f'gaps {books["gaps"]}, lost {books["lost"]}, balanced {books["balanced"]}')
        if problems:
            print(log[-6000:])
        return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
