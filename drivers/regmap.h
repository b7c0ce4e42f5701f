/* SPDX-License-Identifier: Apache-2.0
 *
 * A Modbus device described by a table: which registers hold which observation, in which
 * width, word order, scale and unit, and which raw values mean "no value". Profiles
 * (profiles/ *.yaml) compile to these tables; ports/profile.h loads one at run time.
 *
 * Pure: registers in, observations out. The caller owns the line and the time: it plans
 * (which requests read what is due), sends the requests, and decodes what came back.
 *
 * Caveats:
 *  1. A field may decode although it was not due, when it lies in a hole that was read.
 *  2. A value is never read in two requests, but two values may be: what a device changes
 *     between two requests is then of two instants.
 *  3. The table is taken as the profile loader lets it pass: bit + bits up to 16, spans
 *     within 65,536, scale not 0.
 */
#ifndef DRIVERS_REGMAP_H
#define DRIVERS_REGMAP_H

#include "drivers/observation.h"

#define REGMAP_SENTINELS_MAX 6
#define REGMAP_REGISTERS_MAX 125  /* one Modbus read of functions 3 and 4 */
#define REGMAP_BITS_MAX      2000 /* one Modbus read of functions 1 and 2 */
#define REGMAP_BLOCKS_MAX    16

/* How the raw bits become a number. Widths: 16 bits are one register. */
enum regmap_type {
    REGMAP_U16,
    REGMAP_I16,
    REGMAP_U32,
    REGMAP_I32,
    REGMAP_U64,
    REGMAP_I64,
    REGMAP_F32, /* IEEE 754 single; decimals says how many digits the device means */
    REGMAP_F64,
    REGMAP_SFLOAT, /* IEEE 11073-20601 SFLOAT-Type: 4-bit exponent, 12-bit mantissa */
    REGMAP_FLOAT,  /* IEEE 11073-20601 FLOAT-Type: 8-bit exponent, 24-bit mantissa */
    REGMAP_BCD16,
    REGMAP_BCD32,
    REGMAP_SM16, /* sign and magnitude */
    REGMAP_TEXT, /* length registers of two ASCII bytes each */
    REGMAP_BIT,  /* one bit: a coil or input, or bit number `bit` of a register */
    REGMAP_BITS, /* several bits of a register, as an enumeration */
};

/* Order of the bytes on the wire, most significant first = ABCD (Modbus's own order). */
enum regmap_order { REGMAP_ABCD, REGMAP_CDAB, REGMAP_BADC, REGMAP_DCBA };

/* What a field is for. */
enum regmap_role {
    REGMAP_OBSERVE,  /* becomes an observation */
    REGMAP_SAMPLE,   /* sample counter: an unchanged value means nothing new */
    REGMAP_IDENTITY, /* compared with the expected identity */
    REGMAP_SELFTEST, /* must equal `expect`, or the word order is wrong */
};

/* A raw bit pattern that is not a value. */
struct regmap_sentinel {
    uint64_t raw;
    uint16_t quality; /* QUALITY_*, or-ed into the absent observation */
};

/* Raw value of an enumeration or bit -> coded observation. */
struct regmap_enum {
    uint32_t raw;
    uint32_t coded;
    const char *label;
};

/* One value of the device: where it is, how it is coded, what it means. */
struct regmap_field {
    const char *name;                 /* as in the profile, for messages */
    const struct regmap_enum *values; /* bits and enumerated integers */
    int64_t scale;            /* value = (raw * scale + offset) * 10^scale_exponent */
    int64_t offset;           /* in units of 10^scale_exponent */
    int64_t minimum, maximum; /* technical limits, in units of 10^limit_exponent */
    uint64_t expect;          /* REGMAP_SELFTEST */
    struct regmap_sentinel sentinels[REGMAP_SENTINELS_MAX];
    uint32_t code, unit, site, method; /* as in an observation */
    uint32_t every_ms;                 /* own rate; 0 = the device's */
    uint16_t address;                  /* 0-based, as on the wire */
    uint16_t value_count;
    uint8_t role;           /* enum regmap_role */
    uint8_t function;       /* 1-4 */
    uint8_t type;           /* enum regmap_type */
    uint8_t order;          /* enum regmap_order */
    uint8_t length;         /* REGMAP_TEXT: registers */
    uint8_t bit;            /* REGMAP_BIT, REGMAP_BITS: lowest bit */
    uint8_t bits;           /* REGMAP_BITS: width */
    uint8_t sentinel_count; /* how many of sentinels */
    int8_t decimals;        /* floats: digits after the point that the device means */
    int8_t scale_exponent;
    int8_t limit_exponent;
    bool has_minimum, has_maximum;
};

/* A device. Borrows its fields; profiles own theirs, compiled ones are const. */
struct regmap {
    const char *name; /* "vaisala-hmp110" */
    const char *title;
    const char *evidence; /* where its facts come from */
    bool stable;
    uint16_t hole_max;      /* unused registers that a read may span to save a request */
    uint16_t block_max;     /* registers that the device answers at most; 0 = 125 */
    uint16_t response_ms;   /* worst time to a reply */
    uint16_t turnaround_ms; /* silence that the device needs after a reply */
    uint32_t every_ms;      /* how often to read */
    const struct regmap_field *fields;
    uint16_t field_count;
};

/* One request of a plan: a read of function 1-4. */
struct regmap_block {
    uint8_t function;
    uint16_t address;
    uint16_t count; /* registers, or bits for functions 1 and 2 */
};

/* All requests of a plan, by function and address. */
struct regmap_plan {
    struct regmap_block blocks[REGMAP_BLOCKS_MAX];
    size_t count;
};

/* What the functions below return; negative is failure. */
enum regmap_error {
    REGMAP_OK = 0,
    REGMAP_TOO_MANY_BLOCKS = -1, /* more than REGMAP_BLOCKS_MAX requests */
    REGMAP_SHORT = -2,           /* a block's data is not there or too short */
    REGMAP_SELFTEST_FAILED = -3, /* the self-test register does not read as expected */
    REGMAP_IDENTITY_DIFFERS = -4,
    REGMAP_TOO_MANY_OBSERVATIONS = -5, /* more than OBSERVATIONS_MAX fields observe */
};

/* Plans the fewest requests that read every field whose rate is due (all if due is NULL).
 * A value is never split over two requests. due has field_count entries. Returns
 * REGMAP_OK or REGMAP_TOO_MANY_BLOCKS, when plan holds the first REGMAP_BLOCKS_MAX of
 * them. */
int regmap_plan(const struct regmap *map, const bool *due, struct regmap_plan *plan);

/* Decodes what the plan's blocks returned. data[i] holds block i: registers big-endian as
 * on the wire (2 bytes each), or packed bits for functions 1 and 2; NULL if that block
 * was not read. Fields of blocks not read give nothing. out is overwritten. On an error
 * out is empty and *field, if not NULL, names the field at fault. */
int regmap_decode(const struct regmap *map, const struct regmap_plan *plan,
                  const uint8_t *const data[], struct observation_set *out,
                  const struct regmap_field **field);

/* Where a field's value is in a plan's data; NULL if no block that was read holds all of
 * it. */
const uint8_t *regmap_find(const struct regmap_field *field,
                           const struct regmap_plan *plan, const uint8_t *const data[],
                           const struct regmap_block **block);

/* Registers that the field covers; 1 for a bit. */
uint16_t regmap_span(const struct regmap_field *field);

/* One field's raw bits, word order undone, from `bytes` = the block's data. The field
 * must lie in the block, as regmap_find() saw to. Not for REGMAP_TEXT: 0. */
uint64_t regmap_raw(const struct regmap_field *field, const struct regmap_block *block,
                    const uint8_t *bytes);

/* The way back, for emulators: writes raw in the field's order to its regmap_span()
 * registers, 2 bytes each. Not for REGMAP_TEXT, REGMAP_BIT and REGMAP_BITS. */
void regmap_put(const struct regmap_field *field, uint64_t raw, uint8_t *registers);

/* One field's value as an observation, whatever its role. */
void regmap_observe(const struct regmap_field *field, const struct regmap_block *block,
                    const uint8_t *bytes, struct observation *out);

/* Renders the identity fields that were read as "maker=X model=Y serial=123" in the
 * profile's order, for comparing and for people. Returns the length, 0 if no identity
 * field was read. A value that does not fit is left out with all behind it. size > 0. */
size_t regmap_identity(const struct regmap *map, const struct regmap_plan *plan,
                       const uint8_t *const data[], char *out, size_t size);

/* REGMAP_OK if the rendered identity is `expected`, or if `expected` is NULL or "" or
 * nothing of it was read; otherwise REGMAP_IDENTITY_DIFFERS. */
int regmap_identity_check(const struct regmap *map, const struct regmap_plan *plan,
                          const uint8_t *const data[], const char *expected);

/* Profiles compiled into the program: by name, or one after the other from 0; NULL if
 * there is none. Static. */
const struct regmap *regmap_by_name(const char *name);
const struct regmap *regmap_at(size_t index);

#endif
