# SPDX-License-Identifier: Apache-2.0
"""What boards/BOARD/board.yaml says, and the board in QEMU as it says."""
import os
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLASH = 16 << 20


def boards():
    """Boards that an image is built for."""
    folder = os.path.join(ROOT, 'boards')
    return sorted(b for b in os.listdir(folder) if os.path.exists(os.path.join(folder, b, 'link.ld')))


def facts(board):
    """The scalars of board.yaml; a folded one (>-) in one line."""
    found, key = {}, None
    with open(os.path.join(ROOT, 'boards', board, 'board.yaml'), encoding='utf-8') as file:
        for line in file:
            line = line.rstrip()
            if line.startswith('#') or not line:
                continue
            if not line[0].isspace():
                key, _, value = line.partition(':')
                found[key] = '' if value.strip() == '>-' else value.strip()
            elif not line.strip().startswith('-  ') and key is not None:
                found[key] = (found[key] + ' ' + line.strip()).strip()
    return found


def new_flash(path):
    """An erased flash, with no switches set where mps2 has them (its PSRAM's last 16 bytes)."""
    with open(path, 'wb') as file:
        file.write(b'\xff' * (FLASH - 16) + bytes(16))


def command(board, image, bus, flash=None, device=None, more=()):
    """QEMU's words for a board. bus: path of a socket to be made; device: a line that is there, or the path of a socket to be made;
    flash: a file that outlives the process."""
    said = facts(board)
    words = shlex.split(said['emulate'].split(' -chardev')[0].format(image=image))
    if flash:
        extra = shlex.split(said.get('emulate_flash', '').format(flash=flash))
        if extra[:1] == ['-M']:
            words[words.index('-M') + 1] = extra[1]
            extra = extra[2:]
        words += extra
    words += ['-chardev', f'socket,id=bus,path={bus},server=on,wait=off', '-serial', 'chardev:bus']
    if device is None:
        words += ['-serial', 'null']
    else:
        kind = f'serial,id=device,path={device}' if os.path.exists(device) else f'socket,id=device,path={device},server=on,wait=off'
        words += ['-chardev', kind, '-serial', 'chardev:device']
    return [*words, *more]


def symbols(image):
    """Addresses by name."""
    lines = subprocess.run(['arm-none-eabi-nm', image], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[2]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


def spare(build, board, image='node'):
    """Bytes that a board's image leaves for samples."""
    found = symbols(os.path.join(build, 'boards', board, image + '.elf'))
    return found['link_stack_low'] - found['link_spare']
