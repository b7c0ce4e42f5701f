/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/corrupt/decoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bedside/bus_trust.h"
#include "ports/modbus_frame.h"
#include "ports/modbus_framing.h"

enum way { FLIPS, BURST, TRUNCATED, FOREIGN, DOUBLED, WAYS };

static const char *const way_names[WAYS] = {"1-3 flipped bits", "bursts up to 16 bits",
                                            "truncated", "foreign", "doubled"};

/* A request and its true answer. */
struct truth {
    struct port_modbus_request request;
    uint8_t frame[MODBUS_RTU_MAX];
    size_t size, data_size;
};

static void make_truth(struct truth *truth, uint64_t *state)
{
    uint64_t luck = draw(state);
    uint8_t *f = truth->frame;

    truth->request = (struct port_modbus_request){
        .unit = (uint8_t)(1 + luck % 247),
        .function = (uint8_t)(1 + (luck >> 8) % 4),
        .address = (uint16_t)(luck >> 16),
        /* Mostly few registers, as profiles have them, and now and then many. */
        .count = (uint16_t)(1 + (luck >> 32) % ((luck >> 60) == 0 ? 125 : 12))};
    truth->data_size = truth->request.function <= 2 ? (truth->request.count + 7u) / 8u
                                                    : (size_t)truth->request.count * 2;
    f[0] = truth->request.unit;
    f[1] = truth->request.function;
    f[2] = (uint8_t)truth->data_size;
    for (size_t i = 0; i < truth->data_size; i++)
        f[3 + i] = (uint8_t)draw(state);
    modbus_frame_seal(f, 3 + truth->data_size);
    truth->size = 5 + truth->data_size;
}

static void flip(uint8_t *bytes, uint64_t bit)
{
    bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

/* Damages the answer into bytes. Returns how many; *wrong is what must not come out: the
 * data of another unit or function, whatever it is. */
static size_t damage(const struct truth *truth, enum way way, uint64_t *state,
                     uint8_t *bytes)
{
    size_t n = truth->size;
    uint64_t bits = n * 8, luck = draw(state), count;

    memcpy(bytes, truth->frame, n);
    switch (way) {
    case FLIPS: { /* different ones */
        uint64_t at[3] = {luck % bits, 0, 0};

        count = 1 + (luck >> 32) % 3;
        at[1] = (at[0] + 1 + draw(state) % (bits - 2)) % bits;
        do
            at[2] = draw(state) % bits;
        while (at[2] == at[0] || at[2] == at[1]);
        for (uint64_t i = 0; i < count; i++)
            flip(bytes, at[i]);
        break;
    }
    case BURST: { /* first and last bit wrong, anything between */
        uint64_t length = 2 + luck % 15, from = draw(state) % (bits - length);

        for (uint64_t i = 0; i < length; i++)
            if (i == 0 || i == length - 1 || (luck >> (20 + i) & 1) != 0)
                flip(bytes, from + i);
        break;
    }
    case TRUNCATED:
        n = luck % n;
        break;
    case FOREIGN: /* a good frame, of another unit, function or length */
        if (luck % 3 == 0)
            bytes[0] = (uint8_t)(1 + (bytes[0] + 1 + luck / 3 % 245) % 247);
        else if (luck % 3 == 1)
            bytes[1] = (uint8_t)(1 + bytes[1] % 4);
        else
            n += bytes[2] > 1 && luck % 2 == 0 ? (size_t)-1 : 1;
        bytes[2] = (uint8_t)(n - 5);
        modbus_frame_seal(bytes, n - 2);
        break;
    default:
        memcpy(bytes + n, truth->frame, n);
        n *= 2;
        break;
    }
    return n;
}

/* As the port does with what came once the line is silent. */
static int judge(const struct truth *truth, const uint8_t *bytes, size_t n,
                 const uint8_t **data, size_t *size)
{
    uint8_t room[MODBUS_BODY_MAX];

    return modbus_framing_judge(&modbus_rtu_framing, &truth->request, bytes, n, room,
                                data, size);
}

bool decoder_corrupt(uint64_t count, uint64_t seed)
{
    uint64_t done[WAYS] = {0}, values[WAYS] = {0}, wrong[WAYS] = {0}, refused[16] = {0};
    uint64_t all_wrong = 0, good = 0;

    for (uint64_t i = 0; i < count; i++) {
        enum way way = (enum way)(i % WAYS);
        uint8_t bytes[2 * MODBUS_RTU_MAX];
        const uint8_t *data = NULL;
        struct truth truth;
        size_t n, size = 0;
        int error;

        make_truth(&truth, &seed);
        /* The undamaged one must be taken, or nothing below proves anything. */
        good += judge(&truth, truth.frame, truth.size, &data, &size) == PORT_OK &&
                size == truth.data_size;
        n = damage(&truth, way, &seed, bytes);
        error = judge(&truth, bytes, n, &data, &size);
        done[way]++;
        values[way] += error == PORT_OK;
        refused[error == 1 ? 0 : -error]++;
        /* A foreign frame's data are wrong even where its bytes happen to be equal. */
        if (error == PORT_OK && (way == FOREIGN || size != truth.data_size ||
                                 memcmp(data, truth.frame + 3, size) != 0))
            wrong[way]++;
    }
    for (int way = 0; way < WAYS; way++) {
        (void)printf("%-21s %8" PRIu64 " frames, %" PRIu64 " taken, %" PRIu64
                     " wrong values\n",
                     way_names[way], done[way], values[way], wrong[way]);
        all_wrong += wrong[way];
    }
    (void)printf("refused: incomplete %" PRIu64 ", check %" PRIu64 ", unit %" PRIu64
                 ", shape %" PRIu64 ", more behind it %" PRIu64 "\n",
                 refused[0], refused[-PORT_CRC], refused[-PORT_FOREIGN],
                 refused[-PORT_LENGTH], refused[-PORT_TRAILING]);
    return all_wrong == 0 && good == count;
}

/* The rule of the second reading, as bus_modbus.c applies it: while frames come damaged,
 * a reading counts when the next says the same in every bit. The next is as random as the
 * first, or the device's true answer; random bytes are neither. */
static bool read_again(const struct truth *truth, const uint8_t *data, size_t size,
                       uint64_t *state)
{
    uint8_t again[MODBUS_RTU_MAX];

    if (size == truth->data_size && memcmp(data, truth->frame + 3, size) == 0)
        return false; /* the true value, by chance: not a wrong one */
    for (size_t i = 0; i < size; i++)
        again[i] = (uint8_t)draw(state);
    return memcmp(again, data, size) == 0;
}

bool decoder_random(uint64_t count, uint64_t seed)
{
    uint64_t crc = 0, shape = 0, unasked = 0, believed = 0, headed = count / 2;
    struct trust trust;
    struct truth truth;

    trust_init(&trust, 60000);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t bytes[MODBUS_RTU_MAX], room[MODBUS_BODY_MAX];
        const uint8_t *data = NULL;
        size_t size = 0, body;
        int error;

        do
            make_truth(&truth, &seed);
        while (truth.data_size < 4); /* of two bytes one in 65,536 is right by chance */
        for (size_t at = 0; at < truth.size; at++)
            bytes[at] = (uint8_t)draw(&seed);
        if (i < headed)
            memcpy(bytes, truth.frame, 3);
        crc += modbus_rtu_framing.open(bytes, truth.size, room, &body) != NULL;
        error = judge(&truth, bytes, truth.size, &data, &size);
        if (error == PORT_OK) {
            shape++;
            /* All that came before was damaged: the rule must be in force. */
            unasked += !trust_noisy(&trust);
            believed += !trust_noisy(&trust) || read_again(&truth, data, size, &seed);
        }
        trust_exchanged(&trust, true);
    }
    (void)printf("random bodies %" PRIu64 " (%" PRIu64
                 " behind a right head): pass the check %" PRIu64
                 ", then length, function and unit %" PRIu64
                 ", then the second reading %" PRIu64 "\n",
                 count, headed, crc, shape, believed);
    (void)printf("expected of the check: %" PRIu64 "\n", count / 65536);
    return believed == 0 && unasked == 0 && crc <= 3 * (count / 65536) + 10;
}
