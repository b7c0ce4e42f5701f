/* SPDX-License-Identifier: Apache-2.0
 *
 * HL7 v2 in its pipe form, versions 2.1 to 2.8: a reader that copies nothing and never
 * looks past the message, and a writer that can't make a broken one. Pure.
 *
 * Reading: hl7_parse cuts the message into segments; every other call cuts one level
 * deeper and gives a struct hl7_text, a slice of the caller's bytes. Something that is
 * not there is an empty slice, never an error, so that a caller reads like the standard's
 * table. All numbers of fields, repetitions and components start at 1, as in the
 * standard.
 */
#ifndef CHART_HL7_H
#define CHART_HL7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL7_MESSAGE_MAX    ((size_t)256 * 1024) /* bytes of one message */
#define HL7_SEGMENTS_MAX   512                  /* segments of one message */
#define HL7_FIELDS_MAX     512                  /* fields of one segment */
#define HL7_CONTROL_ID_MAX 199 /* bytes of MSH-10 that are echoed; 2.8 allows 199 */

enum hl7_error {
    HL7_OK = 0,
    /* does not begin with MSH, or is too short to hold its delimiters */
    HL7_NOT_MSH = -1,
    /* MSH-1 or MSH-2: doubled, alphanumeric or control characters */
    HL7_DELIMITERS = -2,
    /* a line that does not begin with three letters or digits and a field separator */
    HL7_SEGMENT = -3,
    /* longer than HL7_MESSAGE_MAX, more than HL7_SEGMENTS_MAX or HL7_FIELDS_MAX; buffer
     * too small */
    HL7_LIMIT = -4,
    HL7_CONTROL = -5, /* a control character where text belongs (NUL, ESC, 0x0B...) */
    /* writer: a field, component or segment asked for that lies before the last one
     * written */
    HL7_ORDER = -6,
};

/* part of a message, still escaped; borrowed. at is never NULL-dereferenced when n = 0 */
struct hl7_text {
    const char *at;
    size_t n;
};

/* HL7 has three kinds of nothing to say: silence, an order to delete, and a value. */
enum hl7_presence {
    HL7_EMPTY, /* not sent: no change */
    /* two double quotes: "delete" by the standard, filler in many feeds; the caller
     * decides */
    HL7_NULL,
    HL7_VALUE,
};

struct hl7_segment {
    struct hl7_text text; /* the whole line without its end */
};

struct hl7_message {
    const char *bytes; /* borrowed; must outlive the message */
    size_t n;
    /* delimiters; '\0' for one that MSH-2 does not name */
    char field, component, repetition, escape, subcomponent;
    size_t count;
    struct hl7_segment segments[HL7_SEGMENTS_MAX];
};

/* Cuts bytes into segments at CR, LF or CR LF; blank lines are skipped. Returns HL7_OK or
 * an hl7_error; *line (if not NULL) is then the number of the segment at fault, from 1.
 * After an error only what hl7_control_id finds is to be used. */
int hl7_parse(const char *bytes, size_t n, struct hl7_message *message, size_t *line);

/* The nth segment (from 1) of that name, NULL if there are fewer. */
const struct hl7_segment *hl7_find(const struct hl7_message *message, const char *name,
                                   size_t nth);

/* True if the segment has this three-letter name. */
bool hl7_is(const struct hl7_segment *segment, const char *name);

/* Field n of a segment with all its repetitions. segment may be NULL (empty). MSH is
 * counted as the standard does: MSH-1 is the separator itself, MSH-2 the other
 * delimiters. */
struct hl7_text hl7_field(const struct hl7_message *message,
                          const struct hl7_segment *segment, size_t n);
/* Fields 0..count-1 at once (0 is the segment's name): cheaper than one by one where many
 * are wanted. */
void hl7_fields(const struct hl7_message *message, const struct hl7_segment *segment,
                struct hl7_text *fields, size_t count);
/* 0 for an empty field */
size_t hl7_repetitions(const struct hl7_message *message, struct hl7_text field);
struct hl7_text hl7_repetition(const struct hl7_message *message, struct hl7_text field,
                               size_t n);
/* A component of one repetition; a subcomponent of one component. Where the level below
 * was not cut by the sender, number 1 is the whole. */
struct hl7_text hl7_component(const struct hl7_message *message,
                              struct hl7_text repetition, size_t n);
struct hl7_text hl7_subcomponent(const struct hl7_message *message,
                                 struct hl7_text component, size_t n);

/* Shortcut: component c of repetition 1 of field f of the first segment of that name. */
struct hl7_text hl7_get(const struct hl7_message *message, const char *segment, size_t f,
                        size_t c);

enum hl7_presence hl7_presence(struct hl7_text text);
bool hl7_equals(struct hl7_text text, const char *value); /* exact bytes */

/* The value with its escapes taken out (\F\ \S\ \T\ \R\ \E\ \Xhh..\ \.br\ as LF;
 * highlighting \H\ \N\ dropped; unknown ones kept as they are), as UTF-8: bytes that are
 * not valid UTF-8 are read as Latin-1. Blanks at both ends are cut. HL7_NULL and
 * HL7_EMPTY give "". Returns the length, HL7_LIMIT if capacity (incl. NUL) is too small
 * (out is then ""), or HL7_CONTROL for a control character other than LF and TAB. */
int hl7_value(const struct hl7_message *message, struct hl7_text text, char *out,
              size_t capacity);

/* MSH-10 even of a message that hl7_parse refused, for the answer's MSA-2. Empty if there
 * is none to be found. */
struct hl7_text hl7_control_id(const char *bytes, size_t n);

/* --- Times: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ] --- */

struct hl7_time {
    int32_t year;
    /* what was not sent is 1 (month, day) or 0 */
    uint8_t month, day, hour, minute, second;
    uint32_t microsecond;
    /* 4 = year .. 8 = day, 10 = hour, 12 = minute, 14 = second: the precision */
    uint8_t digits;
    bool has_zone;
    int32_t zone_s; /* seconds east of Greenwich; meaningless without has_zone */
};

/* Returns false for anything else than a time in the calendar. */
bool hl7_time(struct hl7_text text, struct hl7_time *time);

/* --- Writing --- */

/* Failure is sticky: after the first error nothing more is written and hl7_finish returns
 * it. Fields that are skipped come out empty, trailing ones not at all. Text is escaped;
 * MSH-1 and MSH-2 are always | and ^~\& . */
struct hl7_writer {
    char *out;
    size_t capacity, used;
    size_t field, component, subcomponent; /* where the pen is in the present segment */
    /* nothing written in the present (sub)component yet */
    bool fresh;
    int error;
};

void hl7_writer(struct hl7_writer *writer, char *out, size_t capacity);
/* "MSH" also writes MSH-1 and MSH-2 */
void hl7_segment(struct hl7_writer *writer, const char *name);
/* field n, component 1; NULL = "" */
void hl7_put(struct hl7_writer *writer, size_t field, const char *text);
void hl7_put_unsigned(struct hl7_writer *writer, size_t field, uint64_t value);
/* of the present repetition */
void hl7_put_component(struct hl7_writer *writer, size_t component, const char *text);
/* of the present component */
void hl7_put_subcomponent(struct hl7_writer *writer, size_t subcomponent,
                          const char *text);
/* next repetition of the present field */
void hl7_put_repetition(struct hl7_writer *writer, const char *text);
/* Bytes that are delimited already (PV1-3 as it came): control characters are refused,
 * nothing is escaped. */
void hl7_put_raw(struct hl7_writer *writer, size_t field, const char *text, size_t n);
/* Ends the last segment and the text (NUL beyond the length). Returns the length, or an
 * hl7_error. */
int hl7_finish(struct hl7_writer *writer);

/* --- Acknowledgements --- */

/* What MSH-15 and MSH-16 of a message ask for. */
enum hl7_ack_mode {
    HL7_ACK_ORIGINAL, /* both empty, or accept acks off: AA, AE, AR */
    HL7_ACK_COMMIT,   /* MSH-15 AL, SU or ER: CA, CE, CR */
    HL7_ACK_NONE,     /* both NE */
};

enum hl7_verdict { HL7_ACCEPT, HL7_ERROR, HL7_REJECT };

/* Where an error is and what it is; segment NULL = no ERR segment. Texts go out as they
 * are: no patient's data in them. */
struct hl7_fault {
    const char *segment;       /* "PV1" */
    unsigned sequence;         /* which segment of that name, from 1; 0 = 1 */
    unsigned field, component; /* 0 = the whole segment, the whole field */
    /* HL7 table 0357: 100 segment sequence, 101 required field missing, 102 data type,
     * 103 table value, 200-203 unsupported type, event, processing id, version, 204
     * unknown key, 207 internal */
    unsigned code;
    const char *text; /* one line for a person */
};

enum hl7_ack_mode hl7_ack_mode(const struct hl7_message *message);

/* Builds the answer to a message: MSH with sender and receiver changed round, MSA with
 * code and echoed control id, and ERR in the shape of the message's own version (2.1-2.4:
 * ERR-1; 2.5 on: ERR-2, 3, 4, 8). message may have failed hl7_parse with HL7_NOT_MSH or
 * worse: pass NULL, and the original bytes in failed/failed_n. control_id names the
 * answer itself (MSH-10). time_text is MSH-7. Returns the length or an hl7_error. */
int hl7_ack(const struct hl7_message *message, const char *failed, size_t failed_n,
            enum hl7_verdict verdict, const struct hl7_fault *fault,
            const char *control_id, const char *time_text, char *out, size_t capacity);

/* An answer as its receiver reads it. */
struct hl7_answer {
    char code[3];                            /* AA AE AR CA CE CR */
    char control_id[HL7_CONTROL_ID_MAX + 1]; /* MSA-2 */
    /* ERR-8, else MSA-3, else ERR-3.2; cut to fit; may hold anything */
    char text[256];
};
/* Returns HL7_OK, or an hl7_error (HL7_SEGMENT: no MSA or an unknown code). */
int hl7_answer(const char *bytes, size_t n, struct hl7_answer *answer);

#endif
