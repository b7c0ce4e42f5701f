# SPDX-License-Identifier: Apache-2.0
"""Readings forwarded, store to receipt, against libmosquitto alone with one reading a message."""
import json
import os
import subprocess
import time

import ward
from bench_ward import BenchWard, watch_rate


def bare(place, size, messages, inflight):
    command = [os.path.join(place.bench, 'bare_mqtt'), 'localhost', str(place.broker_port), *place.certificate('boards', 'bench-1'),
               'bench/up', str(size), str(messages), str(inflight)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)['messages_per_s']


def ours(place, buses, readings):
    """One drain through the broker to a light answerer. The store is made anew each time."""
    for name in os.listdir(place.path('store')):
        os.unlink(place.path('store', name))
    filled = place.fill(readings, 64 + readings // 2048)
    place.end('answer', who=('charts', 'chart-1'))
    place.start_gateway()
    ward.wait_for('the drain', lambda: place.noted()[-1].get('readings', 0) >= readings, 120)
    place.stop('gateway')
    place.stop('end')
    return watch_rate(place.noted(), readings // 20, readings * 19 // 20), filled['bytes_per_record']


def run(bench):
    readings = 500000 if bench.quick else 1000000
    rates, alone = [], {1: [], 20: []}
    with BenchWard(bench.build) as place:
        place.start_broker()
        buses = place.monitors(count=1)
        place.write_gateway_config(buses, commit='100ms', size=f'{64 + readings // 2048}MiB')
        for _ in range(3 if bench.quick else 5):
            rate, size = ours(place, buses, readings)
            rates.append(rate)
            for inflight, messages in ((1, 10000), (20, 100000)):
                alone[inflight].append(bare(place, round(size), messages, inflight))
            print(f'   ours {rate:.0f}/s, bare {alone[1][-1]:.0f}/s at inflight 1, {alone[20][-1]:.0f}/s at 20', flush=True)
            time.sleep(0.5)
    for inflight, goal in ((1, 8), (20, 0.75)):
        bench.figures.add(f'forward_inflight_{inflight}', bench.median(rates) / bench.median(alone[inflight]), 'ratio',
                          f'libmosquitto alone over TLS, one reading ({size:.0f} B) a message, inflight {inflight}, nobody subscribed; '
                          'ours: store to receipt of a light answerer', goal)
