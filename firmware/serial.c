/* SPDX-License-Identifier: Apache-2.0
 *
 * See serial.h. Head and tail run on for ever and are masked at use: full and empty are
 * then different numbers. Each is written on one side only.
 */
#include "firmware/serial.h"

#include <stdatomic.h>
#include <string.h>

struct port {
    atomic_uint in_head, in_tail, out_head, out_tail;
    unsigned put_at; /* in the out ring: the first byte of the last serial_put() */
    uint64_t heard_us, began_us;
    struct serial_count count;
    struct serial_byte in[SERIAL_IN];
    uint8_t out[SERIAL_OUT];
};

static struct port ports[HAL_PORTS_MAX];

void serial_clear(unsigned port)
{
    struct port *p = &ports[port];

    hal_lock();
    atomic_store(&p->in_tail, atomic_load(&p->in_head));
    atomic_store(&p->out_tail, atomic_load(&p->out_head));
    hal_unlock();
}

/* In the interrupt. A byte that finds no room is lost and counted, never one that is
 * there: the frame's check will tell. */
void serial_received(unsigned port, uint8_t byte, bool error)
{
    struct port *p = &ports[port];
    unsigned head = atomic_load_explicit(&p->in_head, memory_order_relaxed);
    uint64_t now = hal_now_us();
    uint64_t gap = (now - p->heard_us) / SERIAL_GAP_US;

    p->heard_us = now;
    p->count.in++;
    p->count.errors += error;
    if (head - atomic_load_explicit(&p->in_tail, memory_order_acquire) == SERIAL_IN) {
        p->count.overruns++;
        return;
    }
    p->in[head % SERIAL_IN] =
        (struct serial_byte){.byte = byte, .gap = gap < 255 ? (uint8_t)gap : 255};
    atomic_store_explicit(&p->in_head, head + 1, memory_order_release);
}

/* In the interrupt. */
int serial_next(unsigned port)
{
    struct port *p = &ports[port];
    unsigned tail = atomic_load_explicit(&p->out_tail, memory_order_relaxed);
    uint8_t byte;

    if (tail == atomic_load_explicit(&p->out_head, memory_order_acquire))
        return -1;
    if (tail == p->put_at)
        p->began_us = hal_now_us();
    byte = p->out[tail % SERIAL_OUT];
    atomic_store_explicit(&p->out_tail, tail + 1, memory_order_release);
    p->count.out++;
    return byte;
}

size_t serial_take(unsigned port, struct serial_byte *bytes, size_t n)
{
    struct port *p = &ports[port];
    unsigned tail = atomic_load_explicit(&p->in_tail, memory_order_relaxed);
    unsigned head = atomic_load_explicit(&p->in_head, memory_order_acquire);
    size_t taken = 0;

    while (taken < n && tail != head)
        bytes[taken++] = p->in[tail++ % SERIAL_IN];
    atomic_store_explicit(&p->in_tail, tail, memory_order_release);
    return taken;
}

/* 64 bits are two loads on these cores: the interrupt must not come between. */
static uint64_t whole(const uint64_t *time_us)
{
    uint64_t at;

    hal_lock();
    at = *time_us;
    hal_unlock();
    return at;
}

uint64_t serial_heard_us(unsigned port)
{
    return whole(&ports[port].heard_us);
}

uint64_t serial_began_us(unsigned port)
{
    return whole(&ports[port].began_us);
}

bool serial_put(unsigned port, const uint8_t *bytes, size_t n)
{
    struct port *p = &ports[port];
    unsigned head = atomic_load_explicit(&p->out_head, memory_order_relaxed);
    unsigned used = head - atomic_load_explicit(&p->out_tail, memory_order_acquire);

    size_t to_end = SERIAL_OUT - head % SERIAL_OUT;

    if (n > SERIAL_OUT - used)
        return false;
    if (to_end > n)
        to_end = n;
    memcpy(p->out + head % SERIAL_OUT, bytes, to_end);
    memcpy(p->out, bytes + to_end, n - to_end);
    p->put_at = head;
    atomic_store_explicit(&p->out_head, head + (unsigned)n, memory_order_release);
    hal_serial_send(port);
    return true;
}

bool serial_sending(unsigned port)
{
    return atomic_load(&ports[port].out_head) != atomic_load(&ports[port].out_tail);
}

bool serial_waiting(unsigned port)
{
    return atomic_load(&ports[port].in_head) != atomic_load(&ports[port].in_tail);
}

void serial_count(unsigned port, struct serial_count *out)
{
    hal_lock();
    *out = ports[port].count;
    hal_unlock();
}
