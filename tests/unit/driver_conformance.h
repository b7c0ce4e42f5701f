/* SPDX-License-Identifier: Apache-2.0
 *
 * The table that a serial driver is run through by driver_conformance_test.c: its
 * document's frames and what they mean. A set is written as text, item by item:
 * "149530=72 150456=- q4 ": code, value (- is absent), quality if not 0. A frame that
 * makes several sets has a | between them; one about a fetus begins with "F1 ", one that
 * is about the mother with "M ".
 */
#ifndef TESTS_UNIT_DRIVER_CONFORMANCE_H
#define TESTS_UNIT_DRIVER_CONFORMANCE_H

#include "drivers_test.h"

#define CONFORMANCE_FRAME_MAX 1280

struct conformance_frame {
    const char *name;
    const char *bytes; /* CONFORMANCE_BYTES("...") */
    size_t size;
    const char *expected;
    size_t pad_at, pad; /* `pad` bytes of 0x50 go in here: a waveform */
};

#define CONFORMANCE_BYTES(literal) literal, sizeof(literal) - 1

struct conformance_request {
    const char *bytes;
    size_t size;
};

struct conformance {
    const char *driver;
    size_t repeat;   /* frames in a row until there is a set; the first says nothing */
    bool checked;    /* the format has a check: no flip may ever give a wrong value */
    size_t unseen;   /* without one: flips of all frames that may give one, exactly */
    bool first_says; /* a set comes with the first frame, without its numbers */
    const struct conformance_frame *frames; /* ends with a NULL name */
    const struct conformance_request *allowed;
    size_t allowed_count;
};

extern const struct conformance conformances[];
extern const size_t conformance_count;

#endif
