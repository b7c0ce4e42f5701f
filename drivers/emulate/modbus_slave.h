/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Modbus slave, or several on one line: register images behind functions 1-4,
 * what it says of itself by 17 and 43/14, RTU, TCP and ASCII framing, and a script of
 * faults. It never takes a write: every request that would write, and every function it
 * does not know, is refused with exception 1 and counted, so that a test can assert that
 * nobody tried.
 *
 * Use: modbus_unit_init() for each unit, modbus_unit_set() for each value by field name,
 * modbus_slave_init() once, then modbus_slave_feed() with what arrives.
 */
#ifndef DRIVERS_EMULATE_MODBUS_SLAVE_H
#define DRIVERS_EMULATE_MODBUS_SLAVE_H

#include "drivers/emulate/emulate.h"
#include "drivers/regmap.h"

#define MODBUS_UNIT_CELLS_MAX 256 /* registers or bits that one unit holds */

enum modbus_framing { MODBUS_RTU, MODBUS_TCP, MODBUS_ASCII };

/* One register, or one bit for functions 1 and 2. */
struct modbus_cell {
    uint16_t address, value;
    uint8_t function; /* 1-4 */
};

/* One slave: an address, a map, and registers. unit, map and cells are set by
 * modbus_unit_init(); turnaround_us, dead and strict are the caller's to change at any
 * time. */
struct modbus_unit {
    uint8_t unit;             /* slave address, 1-247 (TCP: 0-255) */
    const struct regmap *map; /* borrowed; must outlive the unit */
    uint32_t turnaround_us;   /* from the request's last byte to the reply's first */
    bool dead;                /* never answers */
    bool strict;              /* a request that spans an unused register gets exception 2;
                               * otherwise unused registers between used ones read 0 */
    uint64_t requests;        /* good requests addressed to this unit */
    const char *report;       /* text of function 17, at most 200; NULL: refused */
    const char *identity[3];  /* 43/14: maker, product, revision, at most 60 each; the
                               * first NULL: refused */
    uint16_t cell_count;
    struct modbus_cell cells[MODBUS_UNIT_CELLS_MAX]; /* sorted by function, address */
};

/* What may happen to a reply. */
enum modbus_fault_kind {
    MODBUS_FAULT_LATE,    /* reply `value` microseconds later than usual */
    MODBUS_FAULT_TWICE,   /* the same reply again, `value` microseconds after the first */
    MODBUS_FAULT_SHORT,   /* only the first `value` bytes of the reply */
    MODBUS_FAULT_FOREIGN, /* a good reply, but from unit `value` */
    MODBUS_FAULT_FLIP,    /* bit `value` (modulo the length) of the reply inverted */
    MODBUS_FAULT_SILENT,  /* no reply */
    MODBUS_FAULT_EXCEPTION,   /* exception `value` instead of the reply */
    MODBUS_FAULT_ECHO,        /* the request's own bytes before the reply */
    MODBUS_FAULT_GARBAGE,     /* `value` bytes of noise (at most 64) before the reply */
    MODBUS_FAULT_BURST,       /* the low 16 bits of `value`, inverted from the bit on that
                               * its high 16 bits name (modulo the length) */
    MODBUS_FAULT_TRANSACTION, /* TCP: transaction id + `value` */
};

/* One line of the fault script. */
struct modbus_fault {
    uint64_t request; /* the how-manieth request of the slave, from 1; 0 = every one */
    uint8_t unit;     /* only if it is for this unit; 0 = any */
    uint8_t kind;     /* enum modbus_fault_kind; several faults may meet in one request */
    uint32_t value;
};

/* A line's slaves. The counters are for reading; faults, fault_count and frame_gap_us are
 * the caller's to change at any time, the rest belongs to modbus_slave_feed(). */
struct modbus_slave {
    enum modbus_framing framing;
    struct modbus_unit *units; /* borrowed */
    size_t unit_count;
    const struct modbus_fault *faults; /* borrowed; NULL: none */
    size_t fault_count;
    uint32_t frame_gap_us; /* RTU: silence that ends a frame. The wire's 3.5 characters
                            * are far less, but a pty hands a frame over in pieces */
    uint64_t requests;     /* good requests to any of the units */
    uint64_t writes;       /* requests with a function that is not 1-4, 17 or 43/14 */
    uint64_t unknown;      /* requests of 17 and 43/14 that were refused */
    uint64_t bad_frames;   /* wrong CRC, impossible length, wrong protocol id */
    /* Called before a good request of functions 1-4 is answered, also of a unit that is
     * not here; NULL: nobody. */
    void (*asked)(void *context, uint8_t unit, uint8_t function, uint16_t address,
                  uint16_t count, uint64_t now_us);
    void *asked_context;
    uint64_t last_us;
    size_t have;
    uint8_t buffer[EMULATE_BURST_MAX];
};

/* Makes a unit whose image has every register of the map, all "no value" where the field
 * can say so, otherwise 0; self-test registers read as expected. map is borrowed. Returns
 * EMULATE_FULL if the map needs more than MODBUS_UNIT_CELLS_MAX cells. */
int modbus_unit_init(struct modbus_unit *unit, uint8_t address, const struct regmap *map);

/* Sets the field of that name. text is a decimal number in the field's unit ("36.8"), a
 * label or number of an enumeration, or a text; NULL or "" means "no value": NaN, or the
 * field's first sentinel. Every digit is kept or the call fails (enum emulate_error) and
 * changes nothing: EMULATE_INEXACT if the field has fewer digits. IEEE floats take the
 * nearest. */
int modbus_unit_set(struct modbus_unit *unit, const char *field, const char *text);

/* Sets one register or bit as it is on the wire, adding it if the image has none. */
int modbus_unit_set_raw(struct modbus_unit *unit, uint8_t function, uint16_t address,
                        uint16_t value);

/* Reads one register or bit of the image; false if there is none. */
bool modbus_unit_get_raw(const struct modbus_unit *unit, uint8_t function,
                         uint16_t address, uint16_t *value);

/* Makes a slave of unit_count units; units is borrowed. No faults; frame gap 20 ms. */
void modbus_slave_init(struct modbus_slave *slave, enum modbus_framing framing,
                       struct modbus_unit *units, size_t unit_count);

/* Bytes from the master; see struct emulator. Reply due = now_us + the unit's turnaround.
 * What does not fit into out (EMULATE_BURSTS_MAX) is lost: empty it between calls. */
void modbus_slave_feed(void *slave, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out);

/* The same function as an emulator: the state's framing decides, the names are for
 * people. */
extern const struct emulator modbus_rtu_emulator, modbus_tcp_emulator,
    modbus_ascii_emulator;

#endif
