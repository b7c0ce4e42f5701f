/* SPDX-License-Identifier: Apache-2.0 */
#include "link/mqtt_screen.h"

/* Packet types that a broker may send us (MQTT 5 section 2.1.2). */
enum { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBACK = 9, PINGRESP = 13, DISCONNECT = 14 };

/* A packet is a row of fields. From OPTIONAL_REASON on it may also end before the
 * field; LAST is no field: there the packet must end. */
enum field {
    LAST,
    FLAGS, /* 0 or 1: session present */
    REASON,
    TOPIC,
    IDENTIFIER, /* never 0 */
    PROPERTIES,
    OPTIONAL_REASON,
    OPTIONAL_PROPERTIES,
    PAYLOAD, /* to the end */
    CODES    /* at least one, to the end */
};

#define FIELDS_MAX 5

/* What the properties carry (section 2.2.2.2). */
enum kind { NONE, BYTE, TWO_BYTES, FOUR_BYTES, VARIABLE, TEXT, PAIR };

static const uint8_t kinds[] = {
    [1] = BYTE,      [2] = FOUR_BYTES,  [3] = TEXT,        [8] = TEXT,       [9] = TEXT,
    [11] = VARIABLE, [17] = FOUR_BYTES, [18] = TEXT,       [19] = TWO_BYTES, [26] = TEXT,
    [28] = TEXT,     [31] = TEXT,       [33] = TWO_BYTES,  [34] = TWO_BYTES, [36] = BYTE,
    [37] = BYTE,     [38] = PAIR,       [39] = FOUR_BYTES, [40] = BYTE,      [41] = BYTE,
    [42] = BYTE,
};

#define P(identifier) (UINT64_C(1) << (identifier))
#define REPEATED      (P(11) | P(38)) /* may be there more than once */

/* One row a packet: its fields, the properties it may have, its flags. Topic aliases
 * (35) are not in it, because we never allow any; nor is authentication (21, 22). */
static const struct packet {
    uint8_t type;
    uint8_t flags, flags_mask;
    uint8_t fields[FIELDS_MAX];
    uint64_t properties;
} packets[] = {
    {CONNACK,
     0,
     15,
     {FLAGS, REASON, PROPERTIES, LAST},
     P(17) | P(18) | P(19) | P(26) | P(28) | P(31) | P(33) | P(34) | P(36) | P(37) |
         P(38) | P(39) | P(40) | P(41) | P(42)},
    /* QoS 1, in bit 1; DUP and RETAIN are free; QoS 2, in bit 2, is never asked for. */
    {PUBLISH,
     0,
     4,
     {TOPIC, IDENTIFIER, PROPERTIES, PAYLOAD},
     P(1) | P(2) | P(3) | P(8) | P(9) | P(11) | P(38)},
    {PUBACK,
     0,
     15,
     {IDENTIFIER, OPTIONAL_REASON, OPTIONAL_PROPERTIES, LAST},
     P(31) | P(38)},
    {SUBACK, 0, 15, {IDENTIFIER, PROPERTIES, CODES}, P(31) | P(38)},
    {PINGRESP, 0, 15, {LAST}, 0},
    {DISCONNECT,
     0,
     15,
     {OPTIONAL_REASON, OPTIONAL_PROPERTIES, LAST},
     P(17) | P(28) | P(31) | P(38)},
};

#define QOS_1 2 /* in the flags of PUBLISH */

/* The row of a packet type; NULL if we don't take it. */
static const struct packet *packet_of(uint8_t type)
{
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
        if (packets[i].type == type)
            return &packets[i];
    return NULL;
}

/* What the next byte of the body belongs to. */
static enum field field_of(const struct mqtt_screen *screen)
{
    return (enum field)packet_of(screen->type)->fields[screen->step];
}

/* The first fault is the one that is told. */
static void fail(struct mqtt_screen *screen, const char *fault)
{
    if (screen->fault == NULL)
        screen->fault = fault;
}

/* On to the next field. Without QoS there is no packet identifier. */
static void next_field(struct mqtt_screen *screen)
{
    screen->step++;
    screen->at = screen->value = 0;
    if (screen->type == PUBLISH && field_of(screen) == IDENTIFIER &&
        (screen->flags & QOS_1) == 0)
        screen->step++;
}

/* The packet's last byte has been read: it must have been complete. */
static void packet_ends(struct mqtt_screen *screen)
{
    enum field field = field_of(screen);
    bool may_end = field == LAST || field == PAYLOAD ||
                   (field == CODES && screen->codes > 0) ||
                   ((field == OPTIONAL_REASON || field == OPTIONAL_PROPERTIES) &&
                    screen->at == 0 && !screen->properties_known);

    if (!may_end)
        fail(screen, "a packet ends too early");
    /* Only one that was whole counts. */
    if (screen->type == CONNACK)
        screen->accepted = true;
    screen->in_body = false;
    screen->length_bytes = 0;
    screen->type = 0;
}

/* The first byte of a packet. */
static void begin_packet(struct mqtt_screen *screen, uint8_t byte)
{
    const struct packet *packet = packet_of(byte >> 4);

    if (packet == NULL) {
        fail(screen, "a packet of a type that brokers don't send or we don't use");
        return;
    }
    screen->type = byte >> 4;
    screen->flags = byte & 15;
    if ((screen->flags & packet->flags_mask) != packet->flags)
        fail(screen, "a packet with wrong flags");
    if ((screen->type == CONNACK) == screen->accepted)
        fail(screen, screen->accepted ? "a second CONNACK" : "something before CONNACK");
    screen->left = 0;
    screen->step = 0;
    screen->at = screen->value = 0;
    screen->properties_known = false;
    screen->properties_seen = 0;
    screen->codes = 0;
}

/* The remaining length: a variable byte integer of at most four bytes. */
static void feed_length(struct mqtt_screen *screen, uint8_t byte)
{
    screen->left |= (uint32_t)(byte & 0x7f) << 7 * screen->length_bytes;
    screen->length_bytes++;
    if ((byte & 0x80) != 0) {
        if (screen->length_bytes == 4)
            fail(screen, "a packet length of more than four bytes");
        return;
    }
    if (screen->left > MQTT_SCREEN_PACKET_MAX) {
        fail(screen, "a packet larger than 1 MiB");
        return;
    }
    screen->in_body = true;
    if (screen->left == 0)
        packet_ends(screen);
}

/* A topic: never empty, and ASCII without wildcards, as all of ours are. */
static void feed_topic(struct mqtt_screen *screen, uint8_t byte)
{
    if (screen->at < 2) {
        screen->value = screen->value << 8 | byte;
        screen->at++;
        if (screen->at == 2 && screen->value == 0)
            fail(screen, "a message without a topic");
        return;
    }
    if (byte <= ' ' || byte > '~' || byte == '+' || byte == '#')
        fail(screen, "a topic with a character that no topic of ours has");
    if (++screen->at == screen->value + 2)
        next_field(screen);
}

/* Two bytes; 0 is no identifier. */
static void feed_identifier(struct mqtt_screen *screen, uint8_t byte)
{
    screen->value = screen->value << 8 | byte;
    if (++screen->at < 2)
        return;
    if (screen->value == 0)
        fail(screen, "a packet identifier of 0");
    next_field(screen);
}

/* Ready for the next property, or for the end of them. */
static void property_ends(struct mqtt_screen *screen)
{
    screen->property = 0;
    screen->at = 0;
    screen->text_known = false;
}

/* A property's identifier. All that exist are below 128, so it is one byte.
 * What may not be there twice makes the packet malformed (section 2.2.2.2);
 * libmosquitto takes either. */
static void begin_property(struct mqtt_screen *screen, uint8_t byte)
{
    const struct packet *packet = packet_of(screen->type);

    if (byte >= sizeof(kinds) || (packet->properties & P(byte)) == 0) {
        fail(screen, "a property that does not belong there");
        return;
    }
    if ((screen->properties_seen & P(byte) & ~REPEATED) != 0)
        fail(screen, "a property twice");
    screen->properties_seen |= P(byte);
    screen->property = byte;
    screen->property_text = kinds[byte] == PAIR ? 2 : 1;
    screen->at = 0;
    screen->text_left = 0;
    screen->text_known = false;
}

/* One byte of a text or of binary data: a length of two bytes, then as many. */
static void feed_text(struct mqtt_screen *screen, uint8_t byte)
{
    if (!screen->text_known) {
        screen->text_left = screen->text_left << 8 | byte;
        screen->text_known = ++screen->at == 2;
    } else {
        if (byte == 0 && screen->property != 9)
            fail(screen, "a text with a NUL in it");
        screen->text_left--;
    }
    if (!screen->text_known || screen->text_left > 0)
        return;
    screen->text_known = false;
    screen->at = 0;
    if (--screen->property_text == 0)
        property_ends(screen);
}

/* One byte of a property's value, whose size its kind tells. */
static void feed_property(struct mqtt_screen *screen, uint8_t byte)
{
    static const uint8_t sizes[] = {[BYTE] = 1, [TWO_BYTES] = 2, [FOUR_BYTES] = 4};
    uint8_t kind = kinds[screen->property];

    if (kind == TEXT || kind == PAIR) {
        feed_text(screen, byte);
        return;
    }
    screen->at++;
    if (kind == VARIABLE) {
        if ((byte & 0x80) == 0)
            property_ends(screen);
        else if (screen->at == 4)
            fail(screen, "a number of more than four bytes");
    } else if (screen->at == sizes[kind]) {
        property_ends(screen);
    }
}

/* The length of the properties, then each of them. */
static void feed_properties(struct mqtt_screen *screen, uint8_t byte)
{
    if (!screen->properties_known) {
        screen->value |= (uint32_t)(byte & 0x7f) << 7 * screen->at;
        screen->at++;
        if ((byte & 0x80) != 0) {
            if (screen->at == 4)
                fail(screen, "a property length of more than four bytes");
            return;
        }
        /* This byte is still counted in left. */
        if (screen->value > screen->left - 1)
            fail(screen, "properties longer than their packet");
        screen->properties = screen->value;
        screen->properties_known = true;
        screen->property = 0;
    } else {
        if (screen->property == 0)
            begin_property(screen, byte);
        else
            feed_property(screen, byte);
        screen->properties--;
    }
    if (screen->properties > 0 || screen->fault != NULL)
        return;
    if (screen->property != 0)
        fail(screen, "a property longer than the properties");
    screen->properties_known = false;
    next_field(screen);
}

/* One byte of a packet's body, for the field that is next. Every field ends
 * itself; the packet ends with its length, wherever that is. */
static void feed_body(struct mqtt_screen *screen, uint8_t byte)
{
    switch (field_of(screen)) {
    case LAST:
        fail(screen, "a packet that goes on after its end");
        break;
    case FLAGS:
        if (byte > 1)
            fail(screen, "CONNACK with wrong flags");
        next_field(screen);
        break;
    case REASON:
    case OPTIONAL_REASON:
        next_field(screen);
        break;
    case TOPIC:
        feed_topic(screen, byte);
        break;
    case IDENTIFIER:
        feed_identifier(screen, byte);
        break;
    case PROPERTIES:
    case OPTIONAL_PROPERTIES:
        feed_properties(screen, byte);
        break;
    case PAYLOAD:
        break;
    case CODES:
        screen->codes++;
        break;
    }
    if (--screen->left == 0 && screen->fault == NULL)
        packet_ends(screen);
}

/* Byte by byte, but for payload, which is most of what comes. */
bool mqtt_screen_feed(struct mqtt_screen *screen, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n && screen->fault == NULL; i++) {
        if (screen->in_body && field_of(screen) == PAYLOAD) {
            /* Most of what comes is payload; it is not looked at. */
            size_t skip = n - i < screen->left ? n - i : screen->left;

            screen->left -= (uint32_t)skip;
            i += skip - 1;
            if (screen->left == 0)
                packet_ends(screen);
        } else if (screen->in_body) {
            feed_body(screen, bytes[i]);
        } else if (screen->type == 0) {
            begin_packet(screen, bytes[i]);
        } else {
            feed_length(screen, bytes[i]);
        }
    }
    return screen->fault == NULL;
}
