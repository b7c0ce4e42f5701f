#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the light says of a real wardgated: on when all is well, blinking when the broker is gone, a heartbeat when wardgated is. The
light is a folder with the files that the kernel's LED class has. led.py BUILD SCRIPT"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
from ward import Ward, wait_for      # noqa: E402


def main():
    build, script = sys.argv[1:3]
    with Ward(build, quiet=False) as ward:
        light = ward.path('leds', 'ACT')
        os.makedirs(light)
        for name, text in (('trigger', '[none] timer heartbeat'), ('brightness', '0'), ('max_brightness', '255'), ('delay_on', ''), ('delay_off', '')):
            with open(os.path.join(light, name), 'w', encoding='ascii') as file:
                file.write(text + '\n')

        def says():
            values = {}
            for name in ('trigger', 'brightness'):
                with open(os.path.join(light, name), encoding='ascii') as file:
                    values[name] = file.read().strip()
            return f'{values["trigger"]} {values["brightness"]}' if values['trigger'] == 'none' else values['trigger']

        ward.make_pki()
        ward.start_broker()
        port = ward.emulate('monitor', 'modbus', '--tcp', '127.0.0.1:0', '--profile', 'wardgate-monitor', '--unit', '1', '--seed', '1')
        ward.write_gateway_config(f'''  - name: bay
    kind: tcp
    host: 127.0.0.1
    tcp_port: {port}
    devices:
      - {{id: monitor-1, address: 1, profile: wardgate-monitor, place: bed-1, every: 250ms}}
''')
        more = dict(os.environ, WARDGATE_LEDS=ward.path('leds'), WARDGATE_STATUS='--socket ' + ward.path('run', 'control.sock'))
        more['PATH'] = ward.bin + ':' + more['PATH']
        shown = []

        def expect(what):
            wait_for(f'the light to be {what}', lambda: says() == what, 60)
            shown.append(what)

        ward.start('light', ['sh', script, 'ACT', '0.2'], env=more)
        expect('heartbeat')             # wardgated isn't there yet
        ward.start_gateway()
        expect('none 255')
        ward.stop('broker')
        expect('timer')
        ward.again('broker')
        expect('none 255')
        ward.stop('gateway')
        expect('heartbeat')
        ward.stop('light')
        print(', '.join(shown))
        assert ward.start('nobody', ['sh', script, 'NO', '0.2'], env=more).wait(30) == 78
    return 0


if __name__ == '__main__':
    sys.exit(main())
