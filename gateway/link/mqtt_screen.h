/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at what a broker sends before libmosquitto does. libmosquitto 2.0.11 ends the
 * whole program on an unknown property (an assert; found by fuzzing), and its client side
 * is hardly fuzzed by anybody. What passes here is MQTT 5 as this gateway uses it, well
 * formed to the last byte, and nothing else: QoS 0 and 1, no topic aliases, no enhanced
 * authentication.
 *
 * It is a state machine over single bytes and keeps none of them. A fault is found at the
 * latest with the last byte of its packet, so whoever holds back the piece with the fault
 * has kept the packet from the library.
 */
#ifndef LINK_MQTT_SCREEN_H
#define LINK_MQTT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one packet from the broker: 1 MiB. CONNECT says so (MQTT 5, 3.1.2.11.4), and a
 * broker then leaves a larger message out. Untold, one that keeps the session would send
 * it again at each connection, which would end at it each time: nothing else could come.
 */
#define MQTT_SCREEN_PACKET_MAX 1048576

/* Zeroed, it waits for the first packet of a connection, which must be CONNACK. */
struct mqtt_screen {
    const char
        *fault;    /* what was wrong, in words; NULL so far. Never NULL after a fault */
    bool accepted; /* CONNACK has been seen */

    /* The packet that is being read. */
    uint8_t type, flags;  /* of its first byte */
    uint8_t step;         /* which of its fields is next */
    uint8_t length_bytes; /* of the remaining length, read so far */
    bool in_body;
    uint32_t left; /* bytes of it still to come */

    /* The field that is being read. */
    uint32_t at, value;    /* bytes of it read, and what they say */
    uint32_t properties;   /* bytes of the properties still to come */
    bool properties_known; /* their length has been read */
    uint8_t property;      /* identifier; 0 between two */
    uint8_t property_text; /* texts of it still to come */
    uint32_t text_left;    /* bytes of its present text */
    bool text_known;       /* the length of that text has been read */
    uint64_t properties_seen;
    uint32_t codes; /* reason codes of SUBACK */
};

/* Feeds n bytes from the broker, in order, in any pieces. False on a fault, and ever
 * after. */
bool mqtt_screen_feed(struct mqtt_screen *screen, const uint8_t *bytes, size_t n);

#endif
