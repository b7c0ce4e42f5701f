/* SPDX-License-Identifier: Apache-2.0
 *
 * See adapter.h.
 */
#include "firmware/adapter.h"

#include <string.h>

#define SILENCE_MS 10000 /* where the driver knows none */

/* Called by the driver while it is fed: the set is kept first, then shown. */
static void on_set(void *context, const struct observation_set *set)
{
    struct adapter *adapter = context;
    size_t count = set->count < ADAPTER_CHANNELS ? set->count : ADAPTER_CHANNELS;

    if (set->count == 0)
        return;
    adapter->sample = adapter->samples->next;
    (void)samples_add(adapter->samples, set, adapter->now_ms); /* counted there */
    adapter->count.sets++;
    adapter->has_set = true;
    adapter->set_ms = adapter->now_ms;
    adapter->state = ADAPTER_PRESENT;
    for (size_t i = 0; i < count; i++) {
        const struct observation *o = &set->items[i];
        adapter->channels[i] = (struct adapter_channel){
            .code = o->code,
            .unit = o->unit,
            .mantissa = o->kind == OBSERVATION_CODED ? (int64_t)o->coded : o->mantissa,
            .kind = o->kind,
            .exponent = o->exponent,
            .quality = (uint8_t)o->quality,
        };
    }
    adapter->channel_count = count;
}

/* Counted by kind. */
static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct adapter *adapter = context;

    if (fault < DRIVER_FAULTS)
        adapter->count.faults[fault] += bytes > 0 ? (uint32_t)bytes : 1;
}

bool adapter_init(struct adapter *adapter, const char *driver, struct samples *samples,
                  uint64_t now_ms)
{
    memset(adapter, 0, sizeof *adapter);
    adapter->samples = samples;
    adapter->poll_ms = UINT64_MAX;
    if (driver[0] == '\0')
        return true;
    adapter->state = ADAPTER_REFUSED;
    adapter->driver = driver_by_name(driver);
    if (adapter->driver != NULL && adapter->driver->state_size > ADAPTER_STATE_MAX)
        adapter->driver = NULL;
    if (adapter->driver == NULL)
        return false;
    adapter->driver->init(adapter->memory);
    adapter->state = ADAPTER_WAITING;
    adapter->set_ms = now_ms;
    if (adapter->driver->poll != NULL)
        adapter->poll_ms = now_ms;
    return true;
}

void adapter_feed(struct adapter *adapter, const uint8_t *bytes, size_t n,
                  uint64_t now_ms)
{
    const struct driver_sink sink = {.context = adapter,
                                     .set = on_set,
                                     .fault = on_fault};

    if (adapter->driver == NULL)
        return;
    adapter->now_ms = now_ms;
    adapter->count.bytes += (uint32_t)n;
    adapter->driver->feed(adapter->memory, bytes, n, &sink);
}

static uint32_t silence_ms(const struct adapter *adapter)
{
    return adapter->driver->silence_ms != 0 ? adapter->driver->silence_ms : SILENCE_MS;
}

/* A device that was away may have been switched off: its driver begins anew, and asks
 * again for what it asked at the start. */
static void judge_silence(struct adapter *adapter, uint64_t now_ms)
{
    if (adapter->state != ADAPTER_PRESENT ||
        now_ms - adapter->set_ms < silence_ms(adapter))
        return;
    adapter->state = ADAPTER_SILENT;
    adapter->channel_count = 0;
    adapter->driver->init(adapter->memory);
    if (adapter->driver->poll != NULL)
        adapter->poll_ms = now_ms;
}

size_t adapter_poll(struct adapter *adapter, uint64_t now_ms, uint8_t *out)
{
    const struct driver *driver = adapter->driver;
    uint64_t again_ms = UINT64_MAX;
    size_t n;

    if (driver == NULL)
        return 0;
    judge_silence(adapter, now_ms);
    if (now_ms < adapter->poll_ms)
        return 0;
    n = driver->poll(adapter->memory, now_ms, out, &again_ms);
    adapter->poll_ms = again_ms > now_ms ? again_ms : now_ms + 1;
    if (n == 0)
        return 0;
    if (n > DRIVER_SEND_MAX || driver->may_send == NULL || !driver->may_send(out, n)) {
        adapter->count.refused++;
        return 0;
    }
    adapter->count.sent++;
    return n;
}

uint64_t adapter_due_ms(const struct adapter *adapter)
{
    uint64_t due = adapter->poll_ms;

    if (adapter->state == ADAPTER_PRESENT && adapter->set_ms + silence_ms(adapter) < due)
        due = adapter->set_ms + silence_ms(adapter);
    return due;
}
