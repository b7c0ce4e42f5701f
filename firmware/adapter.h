/* SPDX-License-Identifier: Apache-2.0
 *
 * One serial line of a node with its device: bytes through a driver of drivers/ into the
 * port's samples. Pure: bytes and time in, bytes to send out.
 */
#ifndef FIRMWARE_ADAPTER_H
#define FIRMWARE_ADAPTER_H

#include <stdalign.h>

#include "drivers/driver.h"
#include "firmware/samples.h"

#define ADAPTER_STATE_MAX 768 /* bytes of a driver's state that fit */
#define ADAPTER_CHANNELS  8   /* newest values that are shown as registers */

enum adapter_state {
    ADAPTER_NONE,    /* no driver on this port */
    ADAPTER_REFUSED, /* there is no such driver, or its state does not fit */
    ADAPTER_WAITING, /* nothing heard of the device yet */
    ADAPTER_PRESENT,
    ADAPTER_SILENT, /* it was heard, but no set for the driver's silence_ms */
};

struct adapter_channel { /* one quantity's newest value; no text */
    uint32_t code, unit;
    int64_t mantissa; /* the code, if the value is coded */
    uint8_t kind;     /* enum observation_kind */
    int8_t exponent;
    uint8_t quality;
};

struct adapter_count {                   /* since the start; they wrap */
    uint32_t bytes, sets, sent, refused; /* sent, refused: requests of the driver */
    uint32_t faults[DRIVER_FAULTS];      /* bytes thrown away, by kind */
};

struct adapter {
    const struct driver *driver; /* NULL: none */
    struct samples *samples;     /* borrowed */
    uint8_t state;               /* enum adapter_state */
    bool has_set;
    uint64_t set_ms;  /* when the newest set came */
    uint64_t poll_ms; /* when the driver is to be asked; UINT64_MAX: never */
    uint64_t now_ms;
    uint32_t sample; /* the newest set's number */
    size_t channel_count;
    struct adapter_channel channels[ADAPTER_CHANNELS];
    struct adapter_count count;
    alignas(max_align_t) uint8_t memory[ADAPTER_STATE_MAX];
};

/* A port with the driver of that name ("" for none), which keeps its sets in samples.
 * Returns false if there is no such driver or it does not fit; the adapter then answers
 * ADAPTER_REFUSED and takes nothing. */
bool adapter_init(struct adapter *adapter, const char *driver, struct samples *samples,
                  uint64_t now_ms);

/* Bytes that came. They were complete at now_ms. */
void adapter_feed(struct adapter *adapter, const uint8_t *bytes, size_t n,
                  uint64_t now_ms);

/* Time passes: judges the silence, and writes what the driver wants sent to out
 * (DRIVER_SEND_MAX bytes) if its allow-list has it (P6). Returns how many bytes. */
size_t adapter_poll(struct adapter *adapter, uint64_t now_ms, uint8_t *out);

/* When adapter_poll() next has something to do. */
uint64_t adapter_due_ms(const struct adapter *adapter);

#endif
