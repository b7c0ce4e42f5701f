#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A third-party HL7 receiver for tests and the demo: python3-hl7 does the MLLP and the parsing.

Writes one JSON line per message received to --out (control id, patient, filler, observations), in the order of
arrival, and acknowledges with AA. With --faults SEED it also refuses (AE), stalls, closes without an answer and
answers with another control id now and then. A message whose control id was seen before is written with "again": true;
"same" then says whether its bytes were the same. Prints "port N" when it listens."""
import argparse
import asyncio
import hashlib
import json
import random
import signal
import sys

import hl7
import hl7.mllp


def values(message):
    """What the message says, as the library reads it."""
    rows = []
    obr_time = filler = None
    for segment in message:
        name = str(segment[0])
        if name == 'OBR':
            filler, obr_time = str(segment[3]), str(segment[7])
        elif name == 'OBX':
            def field(n, row=segment):
                return str(row[n]) if len(row) > n else ''
            rows.append({'type': field(2), 'code': field(3), 'value': field(5), 'unit': field(6), 'flags': field(8),
                         'status': field(11), 'time': field(14) or obr_time, 'device': field(18), 'filler': filler})
    return rows


class Receiver:
    def __init__(self, out, seed):
        self.out = open(out, 'a', encoding='utf-8')
        self.chance = random.Random(seed) if seed is not None else None
        self.seen = {}

    def note(self, message, raw):
        control = str(message.segment('MSH')[10])
        digest = hashlib.sha256(raw.encode()).hexdigest()
        entry = {'control': control, 'again': control in self.seen, 'same': self.seen.get(control, digest) == digest,
                 'patient': str(message.segment('PID')[3]), 'location': str(message.segment('PV1')[3]),
                 'observations': values(message)}
        self.seen.setdefault(control, digest)
        self.out.write(json.dumps(entry) + '\n')
        self.out.flush()

    async def serve(self, reader, writer):
        try:
            while True:
                message = await reader.readmessage()
                fault = self.chance.random() if self.chance else 1.0
                if fault < 0.03:
                    writer.writemessage(message.create_ack('AE'))
                    await writer.drain()
                    continue
                self.note(message, str(message))
                if fault < 0.05:
                    await asyncio.sleep(self.chance.uniform(0.5, 3))
                elif fault < 0.07:
                    break
                answer = message.create_ack('AA')
                if fault < 0.08:
                    answer.segment('MSA')[2] = 'ANOTHER-MESSAGE'
                writer.writemessage(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, hl7.mllp.InvalidBlockError):
            pass
        finally:
            writer.close()


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('--port', type=int, default=0)
    arguments.add_argument('--out', required=True)
    arguments.add_argument('--faults', type=int)
    given = arguments.parse_args()
    receiver = Receiver(given.out, given.faults)
    server = await hl7.mllp.start_hl7_server(receiver.serve, '127.0.0.1', given.port, limit=1 << 20)
    print('port', server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stop.done() or stop.set_result(None))
    await stop


if __name__ == '__main__':
    asyncio.run(main())
    sys.exit(0)
