#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the man pages and the bash completion from what the programs say of themselves, so that neither can fall behind:

    man.py --bin FOLDER --prose FOLDER --out FOLDER --date "November 24, 2026" [--run=EMULATOR]

A page is the program's --help in mdoc: its usage as SYNOPSIS, its paragraphs, its two-column lines as lists, its examples as they
are, its exit codes. What help has no room for comes from PROSE/<page>.mdoc, put between DESCRIPTION and EXIT STATUS. A verb needs no
file here: its page is made from `wardgate VERB --help`."""
import argparse
import email.utils
import os
import re
import subprocess
import textwrap

PROGRAMS = [('wardgated', 8, 'read bedside devices and send what they say to the chart'),
            ('wardgate-chart', 8, "chart readings on the admitted patient"),
            ('wardgate', 1, 'look after wardgate: check, watch, commission, update')]
VERB_LINE = re.compile(r'^  ([a-z]+) {2,}(\S.*)$')
COLUMNS = re.compile(r'^( {1,8})(\S+(?: \S+)*?)(?: {2,}(\S.*))?$')


def filled(lines):
    """Running text as mdoc likes it: a sentence a line, no line longer than 80 bytes."""
    text = ' '.join(' '.join(line.strip() for line in lines).split())
    out = []
    for sentence in re.split(r'(?<=[A-Za-z0-9)"][.?!]) (?=[^a-z])', text):
        out += [quoted(line) for line in textwrap.wrap(sentence, 76, break_long_words=False, break_on_hyphens=False)]
    return out


def quoted(text):
    """Words as mdoc text: no control line, no escape, no macro name taken for one."""
    text = text.replace('\\', '\\e')
    return '\\&' + text if text[:1] in ".'" else text


def argument(text):
    """The same as arguments of a macro: every word is data."""
    return ' '.join('\\&' + word for word in quoted(text).replace('"', '\\(dq').split(' ') if word)


def is_table(lines):
    """Two columns: an item, two spaces or more, what it means. A line further in goes on with the last one."""
    firsts = [COLUMNS.match(line) for line in lines if re.match(r'^ {1,3}\S', line)]
    return bool(firsts) and any(m and m.group(3) for m in firsts) and \
        not any(line.rstrip().endswith('\\') or len(re.findall(r'\S {2,}(?=\S)', line)) > 1 for line in lines)


def table(lines):
    out, meaning = ['.Bl -tag -width Ds'], []
    for line in lines:
        match = COLUMNS.match(line)
        deep = len(line) - len(line.lstrip()) > 3
        if match and not deep:
            out += filled(meaning) + ['.It ' + argument(match.group(2))]
            meaning = [match.group(3)] if match.group(3) else []
        elif deep and match and match.group(3) and not meaning:
            out[-1] += ' ' + argument(match.group(2))
            meaning = [match.group(3)]
        else:
            meaning.append(line)
    return out + filled(meaning) + ['.El']


def literal(lines):
    return ['.Bd -literal -offset 2n'] + [quoted(line[2:] if line.startswith('  ') else line) for line in lines] + ['.Ed']


def blocks(text):
    """Runs of lines that are set alike: (indented?, lines). An empty line ends a run."""
    run, indented = [], None
    for line in text.split('\n') + ['']:
        now = line.startswith(' ') if line.strip() else None
        if now != indented and run:
            yield indented, run
            run = []
        indented = now
        if now is not None:
            run.append(line)


def take_usage(text):
    """The lines of usage at the beginning, without the word; and the rest."""
    lines = text.strip('\n').split('\n')
    if not re.match(r'[Uu]sage: ', lines[0]):
        return [], text
    n = 1
    while n < len(lines) and re.match(r' {5,}\S', lines[n]):
        n += 1
    return [re.sub(r'^([Uu]sage:| {6}) ?', '', line) for line in lines[:n]], '\n'.join(lines[n:])


def take_exit(text):
    """The sentence on exit codes; and the rest."""
    match = re.search(r'(?:^|(?<=\n)|(?<=\. ))Exit(?: codes)?: (.*?)(?:\n\n|\Z)', text.strip('\n') + '\n\n', re.S)
    if not match:
        return '', text
    body = text.strip('\n') + '\n\n'
    return ' '.join(match.group(1).split()), body[:match.start()] + '\n\n' + body[match.end():]


def describe(text):
    out = []
    for indented, lines in blocks(text):
        if not indented:
            if out:
                out.append('.Pp')
            out += filled(lines)
        else:
            out += table(lines) if is_table(lines) else literal(lines)
    return out


def page(name, section, what, text, also, options):
    usage, rest = take_usage(text)
    codes, rest = take_exit(rest)
    path = os.path.join(options.prose, name + '.mdoc')
    out = ['.\\" Made by man.py from the program\'s own help. SPDX-License-Identifier: Apache-2.0',
           f'.Dd {options.date}', f'.Dt {name.upper()} {section}', '.Os', '.Sh NAME', f'.Nm {name}', f'.Nd {what}']
    if usage:
        out += ['.Sh SYNOPSIS'] + literal(usage)
    out += ['.Sh DESCRIPTION'] + describe(rest)
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            out += [line.rstrip('\n') for line in file if not line.startswith('.\\"')]
    if codes:
        out += ['.Sh EXIT STATUS'] + filled([codes[0].upper() + codes[1:]])
    out.append('.Sh SEE ALSO')
    others = [(n, s) for n, s in sorted(also, key=lambda page: (page[1], page[0])) if n != name]
    out += [f'.Xr {n} {s}' + (' ,' if i + 1 < len(others) else '') for i, (n, s) in enumerate(others)]
    with open(os.path.join(options.out, f'{name}.{section}'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(out) + '\n')


COMPLETION = r'''# bash completion for wardgate, wardgated and wardgate-chart. SPDX-License-Identifier: Apache-2.0
# Made by man.py from what the programs say of themselves.
_wardgate()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    declare -A options=(
@OPTIONS@    )
    declare -A words=(
@WORDS@    )
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "${!options[*]} --help" -- "$cur"))
        return
    fi
    local verb=${COMP_WORDS[1]}
    case $cur in
    -*) COMPREPLY=($(compgen -W "${options[$verb]}" -- "$cur")) ; return ;;
    esac
    case $prev in
    --parity) COMPREPLY=($(compgen -W 'even odd none' -- "$cur")) ; return ;;
    --baud) COMPREPLY=($(compgen -W '9600 19200 38400 57600 115200' -- "$cur")) ; return ;;
    esac
    [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W "${words[$verb]}" -- "$cur"))
    [ ${#COMPREPLY[@]} -gt 0 ] || { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
}
_wardgate_daemon()
{
    local cur=${COMP_WORDS[COMP_CWORD]}
    case $cur in
    -*) COMPREPLY=($(compgen -W "$("$1" --help 2>/dev/null | grep -o -E -- '(^|[ ,[])--?[a-zA-Z]+' | tr -d ' ,[' | sort -u)" -- "$cur")) ;;
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
}
complete -F _wardgate wardgate
complete -F _wardgate_daemon wardgated wardgate-chart
'''


def completion(helps, options):
    flags = words = ''
    for verb, text in sorted(helps.items()):
        known = sorted(set(re.findall(r'(?<![\w-])--[a-z][a-z0-9-]*', text)) | {'--help'})
        usage, _ = take_usage(text)
        subs = sorted({m for line in usage for m in re.findall(rf'^wardgate {verb} ([a-z][a-z-]*)(?: |$)', line)} |
                      {w for line in usage[:1] for m in re.findall(rf'^wardgate {verb} \[([a-z|]+)\]', line) for w in m.split('|')} |
                      set(re.findall(rf'^  wardgate {verb} ([a-z][a-z-]+)(?= |$)', text, re.M)
                          if 'COMMAND' in ''.join(usage) else []))
        flags += f"        [{verb}]='{' '.join(known)}'\n"
        words += f"        [{verb}]='{' '.join(subs)}'\n"
    text = COMPLETION.replace('@OPTIONS@', flags).replace('@WORDS@', words)
    with open(os.path.join(options.out, 'wardgate.bash'), 'w', encoding='utf-8') as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    for name in ('bin', 'prose', 'out', 'changelog'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--run', default='', help='what runs a program of another architecture')
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    with open(options.changelog, encoding='utf-8') as file:  # pages are as old as the release
        when = email.utils.parsedate_to_datetime(re.search(r'^ -- .*>  (.*)$', file.read(), re.M).group(1))
    options.date = f'{when:%B} {when.day}, {when.year}'

    def ask(program, *words):
        command = options.run.split() + [os.path.join(options.bin, program), *words, '--help']
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    programs = {name: ask(name) for name, _, _ in PROGRAMS}
    verbs = dict(m.groups() for m in map(VERB_LINE.match, programs['wardgate'].split('\n')) if m)
    helps = {verb: ask('wardgate', verb) for verb in verbs}
    mains = [(name, section) for name, section, _ in PROGRAMS]
    for name, section, what in PROGRAMS:
        also = mains + [('wardgate-' + verb, 1) for verb in sorted(verbs)] if name == 'wardgate' else mains
        page(name, section, what, programs[name], also, options)
    for verb, what in verbs.items():
        page('wardgate-' + verb, 1, what, helps[verb], mains, options)
    completion(helps, options)


main()
