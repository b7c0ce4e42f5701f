/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden frames: bytes of a real exchange and the values they mean, checked by the
 * decoder that will be used. Every observed field must be read by one of them, so that no
 * line of a profile is untested.
 */
#include "drivers/checksum.h"
#include "drivers/cursor.h"
#include "ports/profile_check.h"
#include "ports/profile_yaml.h"

#include <stdio.h>
#include <string.h>

#define GOLDEN_MAX     64
#define FRAME_MAX      260
#define MBAP_SIZE      7
#define RTU_OVERHEAD   3 /* unit before, CRC behind */
#define REQUEST_SIZE   5 /* PDU of functions 1-4 */
#define VALUE_MAX      128
#define ASCII_OVERHEAD 2 /* unit and LRC */
#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))

enum { KEY_FRAMING, KEY_REQUEST, KEY_REPLY, KEY_GOLDEN_EXPECT, GOLDEN_KEYS };

struct bytes {
    size_t size;
    bool colon; /* written as an ASCII frame: ":0103..." without CR LF */
    uint8_t at[FRAME_MAX];
};

struct golden {
    bool tcp, ascii;
    struct bytes request, reply;
    yaml_node_t *expect;
};

/* One exchange taken apart. */
struct exchange {
    struct regmap_plan plan; /* one block */
    const uint8_t *data[1];
};

/* The value of a hex digit, -1 if it is none. */
static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "01 03 ..." or without the blanks; ":0103..." as an ASCII frame is written. */
static bool read_hex(struct reader *r, const char *key, yaml_node_t *node,
                     struct bytes *out)
{
    const char *text = reader_text(r, key, node);

    if (!text)
        return false;
    out->size = 0;
    out->colon = *text == ':';
    text += out->colon;
    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        if (hex(text[0]) < 0 || hex(text[1]) < 0 || out->size == FRAME_MAX)
            return reader_fail(r, reader_line(node), key,
                               "must be at most %d bytes in hex", FRAME_MAX);
        out->at[out->size++] = (uint8_t)(hex(text[0]) << 4 | hex(text[1]));
        text += 2;
    }
    return true;
}

/* Decides how the two frames below are taken apart. */
static bool golden_framing(struct reader *r, const char *key, yaml_node_t *node,
                           void *target)
{
    static const char *const words[] = {"rtu", "tcp", "ascii"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    ((struct golden *)target)->tcp = word == 1;
    ((struct golden *)target)->ascii = word == 2;
    return true;
}

/* The whole frame, as it was on the wire. */
static bool golden_request(struct reader *r, const char *key, yaml_node_t *node,
                           void *target)
{
    return read_hex(r, key, node, &((struct golden *)target)->request);
}

/* The whole frame, as it was on the wire. */
static bool golden_reply(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_hex(r, key, node, &((struct golden *)target)->reply);
}

/* Only remembered: what it says is compared when both frames are known. */
static bool golden_expect(struct reader *r, const char *key, yaml_node_t *node,
                          void *target)
{
    ((struct golden *)target)->expect = node;
    return node->type == YAML_MAPPING_NODE ||
           reader_fail(r, reader_line(node), key, "must be a mapping");
}

/* Unit, PDU and LRC: the sum of all bytes is 0. */
static bool unwrap_ascii(struct reader *r, size_t line, const char *key,
                         const struct bytes *frame, struct cursor *pdu, uint8_t *unit)
{
    uint8_t sum = 0;

    if (frame->size <= ASCII_OVERHEAD)
        return reader_fail(r, line, key, "is too short for an ASCII frame");
    for (size_t i = 0; i + 1 < frame->size; i++)
        sum = (uint8_t)(sum + frame->at[i]);
    if ((uint8_t)(sum + frame->at[frame->size - 1]) != 0)
        return reader_fail(r, line, key, "ends in the wrong LRC: %02X is right",
                           (uint8_t)-sum);
    *unit = frame->at[0];
    *pdu = cursor_make(frame->at + 1, frame->size - ASCII_OVERHEAD);
    return true;
}

/* The PDU inside a frame, and its unit; the framing must be right to the last byte. */
static bool unwrap(struct reader *r, size_t line, const char *key, const struct golden *g,
                   const struct bytes *frame, struct cursor *pdu, uint8_t *unit)
{
    const uint8_t *b = frame->at;

    if (frame->colon != g->ascii)
        return reader_fail(r, line, key,
                           "must begin with a colon if it is ascii, and "
                           "only then");
    if (g->tcp) {
        if (frame->size <= MBAP_SIZE || b[2] || b[3] ||
            ((size_t)b[4] << 8 | b[5]) != frame->size - 6)
            return reader_fail(r, line, key,
                               "is not a Modbus TCP frame of its own length");
        *unit = b[6];
        *pdu = cursor_make(b + MBAP_SIZE, frame->size - MBAP_SIZE);
        return true;
    }
    if (g->ascii)
        return unwrap_ascii(r, line, key, frame, pdu, unit);
    if (frame->size <= RTU_OVERHEAD)
        return reader_fail(r, line, key, "is too short for an RTU frame");
    uint16_t crc = checksum_modbus(b, frame->size - 2);
    if (b[frame->size - 2] != (crc & 0xFF) || b[frame->size - 1] != crc >> 8)
        return reader_fail(r, line, key, "ends in the wrong CRC: %02X %02X is right",
                           crc & 0xFFU, crc >> 8);
    *unit = b[0];
    *pdu = cursor_make(b + 1, frame->size - RTU_OVERHEAD);
    return true;
}

/* Takes request and reply apart and sees that the one answers the other. */
static bool match(struct reader *r, const size_t *lines, const struct golden *g,
                  struct exchange *out)
{
    struct regmap_block *block = &out->plan.blocks[0];
    struct cursor request, reply;
    uint8_t unit = 0, from = 0;

    if (!unwrap(r, lines[KEY_REQUEST], "request", g, &g->request, &request, &unit) ||
        !unwrap(r, lines[KEY_REPLY], "reply", g, &g->reply, &reply, &from))
        return false;
    out->plan.count = 1;
    block->function = cursor_u8(&request);
    block->address = cursor_be16(&request);
    block->count = cursor_be16(&request);
    bool bits = block->function <= 2;
    if (!cursor_done(&request) || block->function < 1 || block->function > 4 ||
        block->count < 1 ||
        block->count > (bits ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX))
        return reader_fail(r, lines[KEY_REQUEST], "request",
                           "is not a read with function 1 to 4");
    if (from != unit || (g->tcp && memcmp(g->request.at, g->reply.at, 2) != 0) ||
        cursor_u8(&reply) != block->function)
        return reader_fail(r, lines[KEY_REPLY], "reply", "does not answer the request");
    size_t size = bits ? (block->count + 7U) / 8 : block->count * 2U;
    if (cursor_u8(&reply) != size || cursor_remaining(&reply) != size)
        return reader_fail(r, lines[KEY_REPLY], "reply", "must carry %zu bytes of data",
                           size);
    out->data[0] = cursor_bytes(&reply, size);
    return true;
}

/* What a field reads, as a profile writes it: "36.8", "absent sensor-off", a label. */
static void describe(const struct regmap_field *f, const struct observation *o, char *out,
                     size_t size)
{
    char number[DECIMAL_TEXT_MAX] = "";
    const char *value = o->text;
    size_t used;

    decimal_format((struct decimal){o->mantissa, o->exponent}, number, sizeof(number));
    if (o->kind == OBSERVATION_ABSENT)
        value = "absent";
    else if (o->kind == OBSERVATION_NUMERIC)
        value = number;
    for (uint16_t i = 0; o->kind == OBSERVATION_CODED && i < f->value_count; i++)
        if (f->values[i].coded == o->coded)
            value = f->values[i].label;
    used = (size_t)snprintf(out, size, "%s", value);
    for (size_t bit = 0; bit < PROFILE_QUALITIES && used < size; bit++)
        if (o->quality >> bit & 1)
            used +=
                (size_t)snprintf(out + used, size - used, " %s", profile_qualities[bit]);
}

/* What the decoder makes of the field, in the words that a profile uses for it. */
static void decode(const struct regmap_field *f, const struct exchange *e, char *out,
                   size_t size)
{
    const struct regmap_block *block = &e->plan.blocks[0];
    struct observation o;

    if (f->role == REGMAP_SELFTEST) {
        bool good = regmap_raw(f, block, e->data[0]) == f->expect;
        snprintf(out, size, "%s", good ? "ok" : "wrong");
    } else if (f->role == REGMAP_SAMPLE) {
        snprintf(out, size, "%llu", (unsigned long long)regmap_raw(f, block, e->data[0]));
    } else {
        regmap_observe(f, block, e->data[0], &o);
        describe(f, &o, out, size);
    }
}

/* One line of `expect`: a field of this reply, told once, and told right. */
static bool check_value(struct reader *r, const struct exchange *e,
                        const struct regmap *map, yaml_node_t *key, yaml_node_t *value,
                        bool *told)
{
    const char *name = reader_text(r, "expect", key);
    const char *expected = name ? reader_text(r, name, value) : NULL;
    const struct regmap_block *block;
    char decoded[VALUE_MAX];

    if (!expected)
        return false;
    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_field *f = &map->fields[i];
        if (strcmp(f->name, name) != 0)
            continue;
        if (!regmap_find(f, &e->plan, e->data, &block))
            return reader_fail(r, reader_line(key), f->name, "is not in this reply");
        if (told[i])
            return reader_fail(r, reader_line(key), f->name, "given twice");
        told[i] = true;
        decode(f, e, decoded, sizeof(decoded));
        if (strcmp(decoded, expected) == 0)
            return true;
        return reader_fail(r, reader_line(value), f->name,
                           "decodes to \"%s\", not \"%s\"", decoded, expected);
    }
    return reader_fail(r, reader_line(key), "expect", "%.40s is not a field", name);
}

/* Every field that the reply holds must be told, and told right. */
static bool check_values(struct reader *r, const struct golden *g, const size_t *lines,
                         const struct exchange *e, const struct regmap *map,
                         bool *covered)
{
    bool told[PROFILE_FIELDS_MAX] = {false};

    for (yaml_node_pair_t *p = g->expect->data.mapping.pairs.start;
         p < g->expect->data.mapping.pairs.top; p++)
        if (!check_value(r, e, map, yaml_document_get_node(r->document, p->key),
                         yaml_document_get_node(r->document, p->value), told))
            return false;
    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_block *block;
        if (told[i])
            covered[i] = true;
        else if (regmap_find(&map->fields[i], &e->plan, e->data, &block))
            return reader_fail(r, lines[KEY_GOLDEN_EXPECT], "expect",
                               "%s is in the reply: say what it means",
                               map->fields[i].name);
    }
    return true;
}

/* See profile_yaml.h. */
bool golden_check(struct reader *r, yaml_node_t *node, const struct regmap *map,
                  const size_t *field_lines)
{
    static const struct key keys[GOLDEN_KEYS] = {{"framing", true, golden_framing},
                                                 {"request", true, golden_request},
                                                 {"reply", true, golden_reply},
                                                 {"expect", true, golden_expect}};
    bool covered[PROFILE_FIELDS_MAX] = {false};
    size_t count, lines[GOLDEN_KEYS];

    if (!reader_list(r, "golden", node, 1, GOLDEN_MAX, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct golden g = {0};
        struct exchange e = {0};
        if (!reader_mapping(r, "golden", reader_item(r, node, i), keys, GOLDEN_KEYS,
                            lines, &g) ||
            !match(r, lines, &g, &e) || !check_values(r, &g, lines, &e, map, covered))
            return false;
    }
    for (uint16_t i = 0; i < map->field_count; i++)
        if (map->fields[i].role == REGMAP_OBSERVE && !covered[i])
            return reader_fail(r, field_lines[i], "golden", "no frame reads %s",
                               map->fields[i].name);
    return true;
}
