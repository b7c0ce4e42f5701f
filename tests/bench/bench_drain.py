# SPDX-License-Identifier: Apache-2.0
"""An outage's backlog drained to the ledger's receipts while live readings come; memory, restart, delay and wear beside it."""
import datetime
import time

import adt
import ward
from bench_ward import BEDS, BenchWard, percentile, private_kib, written


def admit(place, hours):
    """A patient in each bed, since before the outage began."""
    feed = adt.Feed(place.adt_port)
    at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(hours=hours)
    for bed in range(BEDS):
        if feed.send(feed.message('A01', f'HX{1000 + bed}', f'BED{bed}', at), 10) != 'AA':
            raise RuntimeError('an admission was refused')


def restart(place):
    """Seconds from start to the first new reading committed."""
    began = time.monotonic()
    place.start_gateway()
    ward.wait_for('the first reading', lambda: (place.status_soon() or {}).get('readings'), 60, 0.005)
    return time.monotonic() - began


def drain(place, queued, measure):
    """Readings a second to ledger receipts, over the first `measure` of the queue but its ends; ms to receipt of live ones meanwhile."""
    place.start_chart()
    admit(place, 200)
    before = place.status()['store']
    points = [(time.monotonic(), before['next'] - before['unreceipted'])]
    place.start_broker()
    place.end('watch')
    ward.wait_for('receipts', lambda: place.status()['broker']['receipts'], 30, 0.02)
    live = place.status()['store']['next']  # what was committed before the connection is backlog itself

    def look():
        status = place.status()
        points.append((time.monotonic(), status['store']['next'] - status['store']['unreceipted']))
        return points[-1][1] - points[0][1] >= measure * 0.99
    ward.wait_for('the drain', look, 60 + measure / 2000, 0.05)
    begin = next(p for p in points if p[1] - points[0][1] >= measure * 0.05)
    end = next(p for p in points if p[1] - points[0][1] >= measure * 0.95)
    time.sleep(1)
    times = place.receipt_times(live)
    print(f'   {queued} queued: {(end[1] - begin[1]) / (end[0] - begin[0]):.0f}/s, {len(times)} live readings meanwhile', flush=True)
    return (end[1] - begin[1]) / (end[0] - begin[0]), times


def start(place, queued):
    """A gateway with a backlog (0: none), its broker not there. Returns what restart does."""
    mib = 128 + queued * 7 // 10000  # the file is never so full that anything is evicted
    if queued > 0:
        filled = place.fill(queued, mib)
        print(f"   filled {filled['queued']} at {filled['records_per_s']:.0f}/s, {filled['bytes_per_record']:.0f} B each", flush=True)
    place.buses = place.monitors()
    place.size = f'{mib}MiB'
    place.write_gateway_config(place.buses, commit='100ms', size=place.size)
    place.write_chart_config({f'GSU^GSU^BED{n}': f'bed-{n}' for n in range(BEDS)}, interval='1min', destinations=f'''
  - name: record
    kind: file
    path: {place.path('charted.ndjson')}
''')
    return restart(place)


def wear(place, seconds):
    """Bytes a day."""
    time.sleep(3)
    begin, at = written(place.pid('gateway')), time.monotonic()
    time.sleep(seconds)
    return (written(place.pid('gateway')) - begin) / (time.monotonic() - at) * 86400


def turnaround(rows):
    """Milliseconds from each envelope's pass to its receipt's, sorted: the first receipt that names its first seq."""
    ranges = [row for row in rows if 'first' in row]
    times = []
    for up in (row for row in rows if 'up' in row):
        told = next((r['at_us'] for r in ranges if r['first'] <= up['up'] <= r['last'] and r['at_us'] >= up['at_us']), None)
        if told is not None:
            times.append((told - up['at_us']) / 1000)
    return sorted(times)


def steady(bench, place):
    """Nothing queued, thirty devices at 1 Hz. In a store of its own: pages of a backlog that are still cached in larger pieces would
    count as written whole."""
    start(place, 0)
    place.start_broker()
    place.start_chart()
    admit(place, 1)
    place.end('watch')
    place.end('turn', who=('boards', 'bench-1'), name='turn')
    ward.wait_for('all receipted', lambda: place.status()['store']['unreceipted'] < 100, 120)
    time.sleep(2)
    first = place.status()['store']['next']
    fast = wear(place, 30 if bench.quick else 120)
    time.sleep(1)
    times = place.receipt_times(first)
    for name, share, goal in (('p50', 0.5, None), ('p99', 0.99, 250)):
        bench.figures.add(f'receipt_{name}', percentile(times, share), 'ms', f'decode to receipt, commit 100 ms, {len(times)} readings '
                          f'of {BEDS} devices at 1 Hz, TLS broker, wardgate-chart', goal, 'lower', 1)
    turns = turnaround(place.noted('turn'))
    for name, share, goal in (('p50', 0.5, 10), ('p99', 0.99, None)):
        bench.figures.add(f'receipt_turnaround_{name}', percentile(turns, share), 'ms', f'envelope seen at the broker to its receipt there, '
                          f'{len(turns)} envelopes of {BEDS} devices at 1 Hz, two syncs between', goal, 'lower', 1)
    total, own = private_kib(place.pid('gateway'))
    memory(bench, 'steady', total, own)
    place.stop('gateway')
    place.write_gateway_config(place.buses, commit='1s', size=place.size)
    place.start_gateway()
    slow = wear(place, 30 if bench.quick else 120)
    bench.figures.add('written_a_day_commit_100ms', fast / 1e9, 'GB', f'{BEDS} devices at 1 Hz, /proc/PID/io', None, 'lower')
    bench.figures.add('written_a_day_commit_1s', slow / 1e9, 'GB', f'{BEDS} devices at 1 Hz, /proc/PID/io', None, 'lower')
    # Devices of one rate fall due together and share a commit at either interval, so that there is little left to save.
    bench.figures.add('written_commit_1s', slow / fast, 'ratio', 'commit 100 ms, the same devices', 1.0, 'lower')


def memory(bench, when, total, own):
    bench.figures.add(f'private_rss_{when}', own / 1024, 'MiB', 'limit; the store\'s mapped pages (page cache, given back on demand) '
                      f'not counted: with them {total / 1024:.1f} MiB', 8, 'lower', 2)


def run(bench):
    few, many = (200000, 1000000) if bench.quick else (1000000, 10000000)
    with BenchWard(bench.build) as place:
        start(place, few)
        if few == 1000000:
            time.sleep(10)
            memory(bench, 'queued_1000000', *private_kib(place.pid('gateway')))
        rate, times = drain(place, few, few)
        bench.figures.add('drain_rate', rate, 'readings/s', f'{few} readings of 8 observations to ledger receipts, live first', 20000,
                          digits=0)
        bench.figures.add('drain_live_p99', percentile(times, 0.99), 'ms', f'decode to receipt of {len(times)} live readings during '
                          f'that drain, commit 100 ms; p50 {percentile(times, 0.5):.0f} ms', 250, 'lower', 1)
    with BenchWard(bench.build) as place:
        steady(bench, place)
    with BenchWard(bench.build) as place:
        first = start(place, many)
        bench.figures.add('restart', first, 's', f'start to first new reading committed with {many} queued', 2, 'lower')
        time.sleep(10)
        memory(bench, f'queued_{many}', *private_kib(place.pid('gateway')))
        deep, times = drain(place, many, few)
        bench.figures.add('drain_deep', deep / rate, 'ratio', f'the rate with {few} queued; with {many} queued, over its first {few}', 0.9)
        bench.figures.add('drain_deep_live_p99', percentile(times, 0.99), 'ms', f'decode to receipt of {len(times)} live readings with '
                          f'{many} queued', 250, 'lower', 1)
