/* SPDX-License-Identifier: Apache-2.0
 *
 * Framing, functions 1-4 and the fault script of the emulated slave; see modbus_slave.h.
 */
#include "drivers/emulate/modbus_slave.h"

#include "drivers/checksum.h"
#include "drivers/cursor.h"

#include <string.h>

#define FRAME_GAP_US 20000
#define PDU_MAX      253
#define MBAP_SIZE    7
#define GARBAGE_MAX  64
#define EXCEPTION    0x80
#define REPORT       17
#define REPORT_MAX   200
#define MEI          43
#define MEI_ID       14
#define OBJECTS      3
#define OBJECT_MAX   60
#define BAD_FUNCTION 1
#define BAD_ADDRESS  2
#define BAD_VALUE    3

struct pdu {
    size_t size;
    uint8_t bytes[PDU_MAX];
};

struct request {
    uint8_t unit;
    uint16_t transaction;
    size_t size; /* of the PDU */
    const uint8_t *pdu;
    size_t adu_size; /* the whole frame, for an echo */
    const uint8_t *adu;
};

/* The function with its high bit set, and the reason. */
static void make_exception(struct pdu *out, uint8_t function, uint8_t code)
{
    out->bytes[0] = (uint8_t)(function | EXCEPTION);
    out->bytes[1] = code;
    out->size = 2;
}

/* True if the unit can answer for address..address+count-1: all of them, or (unless
 * strict) anything between its lowest and highest. */
static bool covers(const struct modbus_unit *unit, uint8_t function, uint32_t address,
                   uint32_t count)
{
    uint32_t present = 0;
    bool below = false, above = false;

    for (uint16_t i = 0; i < unit->cell_count; i++) {
        const struct modbus_cell *c = &unit->cells[i];
        if (c->function != function)
            continue;
        below |= c->address <= address;
        above |= c->address >= address + count - 1;
        present += c->address >= address && c->address < address + count;
    }
    return unit->strict ? present == count : below && above;
}

/* Functions 1-4; anything else never gets here. */
static void answer(const struct modbus_unit *unit, const struct request *request,
                   struct pdu *out)
{
    struct cursor c = cursor_make(request->pdu, request->size);
    uint8_t function = cursor_u8(&c);
    uint16_t address = cursor_be16(&c), count = cursor_be16(&c);
    bool bits = function <= 2;

    if (!cursor_done(&c) || count == 0 ||
        count > (bits ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX)) {
        make_exception(out, function, BAD_VALUE);
        return;
    }
    if (!covers(unit, function, address, count)) {
        make_exception(out, function, BAD_ADDRESS);
        return;
    }
    memset(out, 0, sizeof(*out));
    out->bytes[0] = function;
    out->bytes[1] = (uint8_t)(bits ? (count + 7) / 8 : count * 2);
    out->size = 2U + out->bytes[1];
    for (size_t i = 0; i < count; i++) {
        uint8_t *data = out->bytes + 2;
        uint16_t value = 0;
        modbus_unit_get_raw(unit, function, (uint16_t)(address + i), &value);
        if (bits) {
            data[i / 8] = (uint8_t)(data[i / 8] | (value & 1) << (i % 8));
        } else {
            data[2 * i] = (uint8_t)(value >> 8);
            data[2 * i + 1] = (uint8_t)value;
        }
    }
}

/* Function 17: a byte of our own, "running", and the text. */
static void answer_report(const struct modbus_unit *unit, struct pdu *out)
{
    size_t n = strlen(unit->report);

    n = n < REPORT_MAX ? n : REPORT_MAX;
    out->bytes[0] = REPORT;
    out->bytes[1] = (uint8_t)(n + 2);
    out->bytes[2] = unit->unit;
    out->bytes[3] = 0xFF;
    memcpy(out->bytes + 4, unit->report, n);
    out->size = 4 + n;
}

/* Function 43/14: the basic objects from the one asked for on, all in one reply. */
static void answer_identity(const struct modbus_unit *unit, const struct request *request,
                            struct pdu *out)
{
    uint8_t first = request->pdu[3];
    size_t at = 7;

    if (request->size != 4 || request->pdu[2] != 1 || first >= OBJECTS) {
        make_exception(out, MEI, BAD_VALUE);
        return;
    }
    out->bytes[0] = MEI;
    out->bytes[1] = MEI_ID;
    out->bytes[2] = 1;
    out->bytes[3] = 1; /* conformity: basic, by stream */
    out->bytes[4] = 0; /* nothing follows */
    out->bytes[5] = 0;
    out->bytes[6] = (uint8_t)(OBJECTS - first);
    for (size_t i = first; i < OBJECTS; i++) {
        const char *text = unit->identity[i] != NULL ? unit->identity[i] : "";
        size_t n = strlen(text);

        n = n < OBJECT_MAX ? n : OBJECT_MAX;
        out->bytes[at++] = (uint8_t)i;
        out->bytes[at++] = (uint8_t)n;
        memcpy(out->bytes + at, text, n);
        at += n;
    }
    out->size = at;
}

/* The colon, pairs of digits, the check, CR LF. */
static void frame_ascii(uint8_t unit, const struct pdu *pdu, struct emulate_burst *out)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t sum = 0;

    out->size = 0;
    out->bytes[out->size++] = ':';
    for (size_t i = 0; i < pdu->size + 2; i++) {
        uint8_t byte = i == 0 ? unit : i <= pdu->size ? pdu->bytes[i - 1] : (uint8_t)-sum;

        sum = (uint8_t)(sum + byte);
        out->bytes[out->size++] = (uint8_t)digits[byte >> 4];
        out->bytes[out->size++] = (uint8_t)digits[byte & 15];
    }
    out->bytes[out->size++] = '\r';
    out->bytes[out->size++] = '\n';
}

/* Puts a PDU on the wire: MBAP header before it, or unit and check around it. */
static void frame(enum modbus_framing framing, uint8_t unit, uint16_t transaction,
                  const struct pdu *pdu, struct emulate_burst *out)
{
    uint8_t *b = out->bytes;

    if (framing == MODBUS_TCP) {
        uint16_t length = (uint16_t)(pdu->size + 1);
        const uint8_t head[MBAP_SIZE] = {
            (uint8_t)(transaction >> 8), (uint8_t)transaction, 0,   0,
            (uint8_t)(length >> 8),      (uint8_t)length,      unit};
        memcpy(b, head, sizeof(head));
        memcpy(b + MBAP_SIZE, pdu->bytes, pdu->size);
        out->size = MBAP_SIZE + pdu->size;
        return;
    }
    if (framing == MODBUS_ASCII) {
        frame_ascii(unit, pdu, out);
        return;
    }
    b[0] = unit;
    memcpy(b + 1, pdu->bytes, pdu->size);
    uint16_t crc = checksum_modbus(b, pdu->size + 1);
    b[pdu->size + 1] = (uint8_t)crc;
    b[pdu->size + 2] = (uint8_t)(crc >> 8);
    out->size = pdu->size + 3;
}

/* A full output loses the burst: the header says so. */
static void append(struct emulate_output *out, const struct emulate_burst *burst)
{
    if (out->count < EMULATE_BURSTS_MAX && burst->size > 0)
        out->bursts[out->count++] = *burst;
}

/* Noise that is the same in every run: a small generator seeded by a number. */
static void make_garbage(struct emulate_burst *burst, uint64_t seed, size_t size)
{
    uint32_t x = (uint32_t)seed * 2654435761U + 12345;

    burst->size = size < GARBAGE_MAX ? size : GARBAGE_MAX;
    for (size_t i = 0; i < burst->size; i++) {
        x = x * 1664525U + 1013904223U;
        burst->bytes[i] = (uint8_t)(x >> 24);
    }
}

/* Request numbers count from 1 over all units of the line, as the script's author sees
 * them go by. */
static bool applies(const struct modbus_slave *slave, const struct modbus_fault *fault,
                    uint8_t unit)
{
    return (fault->request == 0 || fault->request == slave->requests) &&
           (fault->unit == 0 || fault->unit == unit);
}

/* The faults that change what is said: false if nothing is. */
static bool spoil_pdu(const struct modbus_slave *slave, const struct request *request,
                      struct pdu *pdu, uint8_t *unit, uint16_t *transaction)
{
    for (size_t i = 0; i < slave->fault_count; i++) {
        const struct modbus_fault *f = &slave->faults[i];
        if (!applies(slave, f, request->unit))
            continue;
        if (f->kind == MODBUS_FAULT_SILENT)
            return false;
        if (f->kind == MODBUS_FAULT_EXCEPTION)
            make_exception(pdu, request->pdu[0], (uint8_t)f->value);
        if (f->kind == MODBUS_FAULT_FOREIGN)
            *unit = (uint8_t)f->value;
        if (f->kind == MODBUS_FAULT_TRANSACTION)
            *transaction = (uint16_t)(*transaction + f->value);
    }
    return true;
}

/* The faults that change how it is said, and the sending. */
static void send(const struct modbus_slave *slave, const struct request *request,
                 struct emulate_burst *reply, uint64_t now_us, struct emulate_output *out)
{
    const struct modbus_fault *twice = NULL;

    for (size_t i = 0; i < slave->fault_count; i++) {
        const struct modbus_fault *f = &slave->faults[i];
        struct emulate_burst extra = {.due_us = reply->due_us};
        if (!applies(slave, f, request->unit))
            continue;
        if (f->kind == MODBUS_FAULT_LATE)
            reply->due_us += f->value;
        if (f->kind == MODBUS_FAULT_TWICE)
            twice = f;
        if (f->kind == MODBUS_FAULT_FLIP) {
            size_t bit = f->value % (reply->size * 8);
            reply->bytes[bit / 8] = (uint8_t)(reply->bytes[bit / 8] ^ 1U << (bit % 8));
        }
        for (uint32_t b = 0; f->kind == MODBUS_FAULT_BURST && b < 16; b++) {
            size_t bit = (f->value >> 16) % (reply->size * 8) + b;
            if ((f->value >> b & 1) != 0 && bit < reply->size * 8)
                reply->bytes[bit / 8] =
                    (uint8_t)(reply->bytes[bit / 8] ^ 1U << (bit % 8));
        }
        if (f->kind == MODBUS_FAULT_SHORT && f->value < reply->size)
            reply->size = f->value;
        if (f->kind == MODBUS_FAULT_ECHO) {
            extra.due_us = now_us;
            extra.size = request->adu_size;
            memcpy(extra.bytes, request->adu, request->adu_size);
            append(out, &extra);
        }
        if (f->kind == MODBUS_FAULT_GARBAGE) {
            make_garbage(&extra, slave->requests, f->value);
            append(out, &extra);
        }
    }
    append(out, reply);
    if (twice) {
        reply->due_us += twice->value;
        append(out, reply);
    }
}

/* A whole and undamaged request. Requests for other units are not answered, and only
 * their writes are counted: on a shared bus they are other slaves' business. */
static void handle(struct modbus_slave *slave, const struct request *request,
                   uint64_t now_us, struct emulate_output *out)
{
    struct modbus_unit *unit = NULL;
    struct emulate_burst reply = {0};
    struct pdu pdu;
    uint8_t function = request->pdu[0], from = request->unit;
    uint16_t transaction = request->transaction;

    bool tells = function == REPORT ||
                 (function == MEI && request->size > 1 && request->pdu[1] == MEI_ID);

    /* Writes also for units that are not here, and broadcasts. */
    slave->writes += (function < 1 || function > 4) && !tells;
    if (slave->asked != NULL && function >= 1 && function <= 4 && request->size == 5)
        slave->asked(slave->asked_context, request->unit, function,
                     (uint16_t)(request->pdu[1] << 8 | request->pdu[2]),
                     (uint16_t)(request->pdu[3] << 8 | request->pdu[4]), now_us);
    for (size_t i = 0; i < slave->unit_count; i++)
        if (slave->units[i].unit == request->unit)
            unit = &slave->units[i];
    if (!unit)
        return;
    unit->requests++;
    slave->requests++;
    if (unit->dead)
        return;
    if (function >= 1 && function <= 4) {
        answer(unit, request, &pdu);
    } else if (function == REPORT && unit->report != NULL) {
        answer_report(unit, &pdu);
    } else if (function == MEI && tells && unit->identity[0] != NULL) {
        answer_identity(unit, request, &pdu);
    } else {
        slave->unknown += tells;
        make_exception(&pdu, function, BAD_FUNCTION);
    }
    if (!spoil_pdu(slave, request, &pdu, &from, &transaction))
        return;
    frame(slave->framing, from, transaction, &pdu, &reply);
    reply.due_us = now_us + unit->turnaround_us;
    send(slave, request, &reply, now_us, out);
}

/* Bytes of an RTU request that begins like this; 0 if more must be seen first, SIZE_MAX
 * if there is no such function. */
static size_t rtu_size(const uint8_t *b, size_t have)
{
    if (have < 2)
        return 0;
    switch (b[1]) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 8:
        return 8;
    case 7:
    case 11:
    case 12:
    case 17:
        return 4;
    case 15:
    case 16:
        return have < 7 ? 0 : 9U + b[6];
    case 20:
    case 21:
        return have < 3 ? 0 : 5U + b[2];
    case 22:
        return 10;
    case 23:
        return have < 11 ? 0 : 13U + b[10];
    case 24:
        return 6;
    case 43:
        return 7;
    default:
        return SIZE_MAX;
    }
}

/* ASCII: from the colon to the line feed. */
static size_t ascii_size(const struct modbus_slave *slave)
{
    if (slave->buffer[0] != ':')
        return SIZE_MAX;
    return slave->buffer[slave->have - 1] == '\n' ? slave->have : 0;
}

/* 16: no digit. */
static unsigned hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - (unsigned)'0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10U : 16U;
}

/* Into bytes, in place: the result is half as long. Returns unit and PDU's size, 0 if a
 * character or the check is wrong. */
static size_t ascii_open(uint8_t *b, size_t size)
{
    size_t n = 0;
    uint8_t sum = 0;

    if (size < 9 || size % 2 == 0 || b[size - 2] != '\r')
        return 0;
    for (size_t at = 1; at + 2 < size; at += 2) {
        unsigned high = hex(b[at]), low = hex(b[at + 1]);

        if (high > 15 || low > 15)
            return 0;
        b[n] = (uint8_t)(high << 4 | low);
        sum = (uint8_t)(sum + b[n++]);
    }
    return sum == 0 ? n - 1 : 0;
}

/* The whole frame that the buffer begins with: its size, 0 if it is not whole yet,
 * SIZE_MAX if it can never be one. */
static size_t whole(const struct modbus_slave *slave)
{
    const uint8_t *b = slave->buffer;
    size_t size;

    if (slave->framing == MODBUS_RTU) {
        size = rtu_size(b, slave->have);
    } else if (slave->framing == MODBUS_ASCII) {
        size = ascii_size(slave);
    } else {
        if (slave->have < MBAP_SIZE)
            return 0;
        size = 6U + ((size_t)b[4] << 8 | b[5]);
        if (b[2] || b[3] || size < MBAP_SIZE + 1)
            return SIZE_MAX;
    }
    if (size > sizeof(slave->buffer))
        return SIZE_MAX;
    return size <= slave->have ? size : 0;
}

/* A whole frame: its check, then what it asks. */
static void take(struct modbus_slave *slave, size_t size, uint64_t now_us,
                 struct emulate_output *out)
{
    uint8_t *b = slave->buffer, sent[sizeof slave->buffer];
    struct request request = {.adu = b, .adu_size = size};

    if (slave->framing == MODBUS_TCP) {
        request.transaction = (uint16_t)(b[0] << 8 | b[1]);
        request.unit = b[6];
        request.pdu = b + MBAP_SIZE;
        request.size = size - MBAP_SIZE;
    } else if (slave->framing == MODBUS_ASCII) {
        memcpy(sent, b, size);
        request.adu = sent;
        size = ascii_open(b, size);
        if (size < 2) {
            slave->bad_frames++;
            return;
        }
        request.unit = b[0];
        request.pdu = b + 1;
        request.size = size - 1;
    } else {
        uint16_t crc = (uint16_t)(b[size - 1] << 8 | b[size - 2]);
        if (checksum_modbus(b, size - 2) != crc) {
            slave->bad_frames++;
            return;
        }
        request.unit = b[0];
        request.pdu = b + 1;
        request.size = size - 3;
    }
    handle(slave, &request, now_us, out);
}

/* Collects a frame over as many calls as it takes. RTU has no length field: silence ends
 * what never became whole. */
void modbus_slave_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out)
{
    struct modbus_slave *slave = state;

    if (slave->framing == MODBUS_RTU && slave->have > 0 &&
        now_us - slave->last_us > slave->frame_gap_us) {
        slave->bad_frames++;
        slave->have = 0;
    }
    slave->last_us = now_us;
    for (size_t i = 0; i < n; i++) {
        if (slave->framing == MODBUS_ASCII && bytes[i] == ':')
            slave->have = 0; /* always begins a frame */
        slave->buffer[slave->have++] = bytes[i];
        size_t size = whole(slave);
        if (size == 0 && slave->have < sizeof(slave->buffer))
            continue;
        slave->have = 0;
        if (size != 0 && size != SIZE_MAX) {
            take(slave, size, now_us, out);
            continue;
        }
        slave->bad_frames++;
        if (slave->framing == MODBUS_TCP)
            return; /* nothing behind it can be trusted; a real slave would hang up */
    }
}

/* The units and their registers stay the caller's. */
void modbus_slave_init(struct modbus_slave *slave, enum modbus_framing framing,
                       struct modbus_unit *units, size_t unit_count)
{
    memset(slave, 0, sizeof(*slave));
    slave->framing = framing;
    slave->units = units;
    slave->unit_count = unit_count;
    slave->frame_gap_us = FRAME_GAP_US;
}

const struct emulator modbus_rtu_emulator = {"modbus-rtu", modbus_slave_feed, NULL};
const struct emulator modbus_ascii_emulator = {"modbus-ascii", modbus_slave_feed, NULL};
const struct emulator modbus_tcp_emulator = {"modbus-tcp", modbus_slave_feed, NULL};
