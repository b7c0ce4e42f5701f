/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing HL7 v2, and the acknowledgements on both sides. The writer only ever moves
 * forward, so that what it made can't have a field in the wrong place; text is escaped on
 * its way in.
 */
#include "chart/hl7.h"

#include <stdio.h>
#include <string.h>

/* --- The pen --- */

/* The first error is the one that is told. */
static void fail(struct hl7_writer *writer, int error)
{
    if (writer->error == HL7_OK)
        writer->error = error;
}

/* After an error nothing is written any more: half a message must not look like one. */
static void put_byte(struct hl7_writer *writer, char c)
{
    if (writer->error != HL7_OK)
        return;
    if (writer->used + 1 >= writer->capacity) { /* one is kept for the NUL */
        fail(writer, HL7_LIMIT);
        return;
    }
    writer->out[writer->used++] = c;
}

/* As they are. */
static void put_bytes(struct hl7_writer *writer, const char *text, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        put_byte(writer, text[i]);
}

/* What the reader takes out goes in here. UTF-8 passes; control characters are refused
 * rather than dropped, because a value must not change on its way. */
static void put_escaped(struct hl7_writer *writer, const char *text)
{
    static const struct {
        char plain;
        const char *escaped;
    } table[] = {
        {'|', "\\F\\"}, {'^', "\\S\\"},  {'&', "\\T\\"},
        {'~', "\\R\\"}, {'\\', "\\E\\"}, {'\n', "\\.br\\"},
    };
    size_t i;

    for (; text != NULL && *text != '\0'; text++) {
        for (i = 0; i < sizeof(table) / sizeof(table[0]) && table[i].plain != *text; i++)
            ;
        if (i < sizeof(table) / sizeof(table[0]))
            put_bytes(writer, table[i].escaped, strlen(table[i].escaped));
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            fail(writer, HL7_CONTROL);
        else
            put_byte(writer, *text);
    }
    writer->fresh = false;
}

/* Delimiters in front of nothing say nothing; MSH-2 is the one field that is made of
 * them. */
static void trim(struct hl7_writer *writer, size_t start)
{
    while (writer->used > start && strchr("|^~&", writer->out[writer->used - 1]) != NULL)
        writer->used--;
}

/* Looks back for its beginning, as only the text knows it. */
static void end_segment(struct hl7_writer *writer)
{
    size_t start = writer->used;

    if (writer->error != HL7_OK || writer->used == 0)
        return;
    while (start > 0 && writer->out[start - 1] != '\r')
        start--;
    if (memcmp(writer->out + start, "MSH|^~\\&",
               writer->used - start < 8 ? writer->used - start : 8) == 0)
        start += 8;
    if (start < writer->used)
        trim(writer, start);
    put_byte(writer, '\r');
}

void hl7_writer(struct hl7_writer *writer, char *out, size_t capacity)
{
    *writer = (struct hl7_writer){.out = out, .capacity = capacity};
    if (capacity == 0)
        writer->error = HL7_LIMIT;
}

void hl7_segment(struct hl7_writer *writer, const char *name)
{
    size_t i;

    end_segment(writer);
    for (i = 0; i < 3; i++)
        if (!((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9')))
            break;
    if (i < 3 || name[3] != '\0') {
        fail(writer, HL7_SEGMENT);
        return;
    }
    put_bytes(writer, name, 3);
    writer->field = 0;
    if (strcmp(name, "MSH") == 0) {
        put_bytes(writer, "|^~\\&", 5);
        writer->field = 2;
    }
    writer->component = writer->subcomponent = 1;
    writer->fresh = false;
}

/* Writes delimiters from where the pen is to part n, and remembers it. Going back, or
 * writing one part twice, is an error of the caller's that must not come out as a
 * message. */
static bool move(struct hl7_writer *writer, size_t *pen, size_t n, char delimiter)
{
    if (n < *pen || (n == *pen && !writer->fresh) || n > HL7_FIELDS_MAX) {
        fail(writer, HL7_ORDER);
        return false;
    }
    for (; *pen < n; (*pen)++)
        put_byte(writer, delimiter);
    return true;
}

/* A new field is at its first component, with nothing in it. */
static bool move_to_field(struct hl7_writer *writer, size_t field)
{
    writer->fresh = false;
    if (writer->used == 0) {
        fail(writer, HL7_ORDER);
        return false;
    }
    if (!move(writer, &writer->field, field, '|'))
        return false;
    writer->component = writer->subcomponent = 1;
    return true;
}

void hl7_put(struct hl7_writer *writer, size_t field, const char *text)
{
    if (move_to_field(writer, field)) {
        put_escaped(writer, text);
        /* its component 1 may still be filled */
        writer->fresh = text == NULL || *text == '\0';
    }
}

void hl7_put_unsigned(struct hl7_writer *writer, size_t field, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    hl7_put(writer, field, text);
}

void hl7_put_component(struct hl7_writer *writer, size_t component, const char *text)
{
    if (move(writer, &writer->component, component, '^')) {
        writer->subcomponent = 1;
        put_escaped(writer, text);
        writer->fresh = text == NULL || *text == '\0';
    }
}

void hl7_put_subcomponent(struct hl7_writer *writer, size_t subcomponent,
                          const char *text)
{
    if (move(writer, &writer->subcomponent, subcomponent, '&'))
        put_escaped(writer, text);
}

void hl7_put_repetition(struct hl7_writer *writer, const char *text)
{
    put_byte(writer, '~');
    writer->component = writer->subcomponent = 1;
    put_escaped(writer, text);
    writer->fresh = text == NULL || *text == '\0';
}

void hl7_put_raw(struct hl7_writer *writer, size_t field, const char *text, size_t n)
{
    size_t i;

    if (!move_to_field(writer, field))
        return;
    for (i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == '|')
            fail(writer, HL7_CONTROL);
        put_byte(writer, text[i]);
    }
}

int hl7_finish(struct hl7_writer *writer)
{
    end_segment(writer);
    if (writer->error != HL7_OK) {
        if (writer->capacity > 0)
            writer->out[0] = '\0';
        return writer->error;
    }
    writer->out[writer->used] = '\0';
    return (int)writer->used;
}

/* --- Acknowledgements --- */

enum hl7_ack_mode hl7_ack_mode(const struct hl7_message *message)
{
    struct hl7_text accept = hl7_get(message, "MSH", 15, 1);
    struct hl7_text application = hl7_get(message, "MSH", 16, 1);

    if (hl7_equals(accept, "AL") || hl7_equals(accept, "SU") || hl7_equals(accept, "ER"))
        return HL7_ACK_COMMIT;
    if (hl7_equals(accept, "NE") && hl7_equals(application, "NE"))
        return HL7_ACK_NONE;
    return HL7_ACK_ORIGINAL;
}

/* The words of HL7 table 0357. */
static const char *code_text(unsigned code)
{
    static const struct {
        unsigned code;
        const char *text;
    } table[] = {
        {100, "Segment sequence error"},    {101, "Required field missing"},
        {102, "Data type error"},           {103, "Table value not found"},
        {200, "Unsupported message type"},  {201, "Unsupported event code"},
        {202, "Unsupported processing id"}, {203, "Unsupported version id"},
        {204, "Unknown key identifier"},    {207, "Application internal error"},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].code == code)
            return table[i].text;
    return "Application error";
}

/* The minor number of "2.n[.m]", -1 for anything else. */
static int minor_version(struct hl7_text version)
{
    bool known = version.n >= 3 && version.n <= 5 && version.at[0] == '2' &&
                 version.at[1] == '.' && version.at[2] >= '1' && version.at[2] <= '9';

    return known ? version.at[2] - '0' : -1;
}

/* An HD field (application, facility) of the message as field n of the answer. One that
 * can't be read is left empty: the answer matters more. */
static void echo_name(struct hl7_writer *writer, size_t n,
                      const struct hl7_message *message, size_t from)
{
    char value[256];
    size_t c;

    hl7_put(writer, n, "");
    for (c = 1; message != NULL && c <= 3; c++)
        if (hl7_value(message, hl7_get(message, "MSH", from, c), value, sizeof(value)) >
            0)
            hl7_put_component(writer, c, value);
}

/* The id goes back exactly as it came where the delimiters are ours, so that a sender may
 * compare bytes. */
static void echo_control_id(struct hl7_writer *writer, struct hl7_text id)
{
    size_t i;

    for (i = 0; i < id.n; i++)
        if ((unsigned char)id.at[i] < 0x20 || id.at[i] == 0x7f || id.at[i] == '|')
            id.n = 0;
    if (id.n <= HL7_CONTROL_ID_MAX)
        hl7_put_raw(writer, 2, id.at, id.n);
}

/* Up to 2.4 everything stands in ERR-1; from 2.5 on each part has its field, and ERR-8
 * has words for a person. */
static void put_fault(struct hl7_writer *writer, const struct hl7_fault *fault, int minor)
{
    char number[12];
    unsigned sequence = fault->sequence > 0 ? fault->sequence : 1;

    hl7_segment(writer, "ERR");
    hl7_put(writer, minor < 5 ? 1 : 2, fault->segment);
    (void)snprintf(number, sizeof(number), "%u", sequence);
    hl7_put_component(writer, 2, number);
    if (fault->field > 0) {
        (void)snprintf(number, sizeof(number), "%u", fault->field);
        hl7_put_component(writer, 3, number);
    }
    if (minor >= 5 && fault->component > 0) {
        (void)snprintf(number, sizeof(number), "%u", fault->component);
        hl7_put_component(writer, 4, "1");
        hl7_put_component(writer, 5, number);
    }
    (void)snprintf(number, sizeof(number), "%u", fault->code);
    if (minor < 5) {
        hl7_put_component(writer, 4, number);
        hl7_put_subcomponent(writer, 2, code_text(fault->code));
        hl7_put_subcomponent(writer, 3, "HL70357");
        return;
    }
    hl7_put(writer, 3, number);
    hl7_put_component(writer, 2, code_text(fault->code));
    hl7_put_component(writer, 3, "HL70357");
    hl7_put(writer, 4, "E");
    hl7_put(writer, 8, fault->text);
}

/* Sender and receiver change places; event, processing id and version go back as they
 * came. */
static void put_answer_header(struct hl7_writer *writer,
                              const struct hl7_message *message, int minor,
                              const char *control_id, const char *time_text)
{
    char value[16];

    hl7_segment(writer, "MSH");
    echo_name(writer, 3, message, 5);
    echo_name(writer, 4, message, 6);
    echo_name(writer, 5, message, 3);
    echo_name(writer, 6, message, 4);
    hl7_put(writer, 7, time_text);
    hl7_put(writer, 9, "ACK");
    if (message != NULL &&
        hl7_value(message, hl7_get(message, "MSH", 9, 2), value, sizeof(value)) > 0) {
        hl7_put_component(writer, 2, value);
        if (minor >= 4)
            hl7_put_component(writer, 3, "ACK");
    }
    hl7_put(writer, 10, control_id);
    if (message == NULL ||
        hl7_value(message, hl7_get(message, "MSH", 11, 1), value, sizeof(value)) <= 0)
        (void)snprintf(value, sizeof(value), "P");
    hl7_put(writer, 11, value);
    if (message == NULL || minor < 0 ||
        hl7_value(message, hl7_get(message, "MSH", 12, 1), value, sizeof(value)) <= 0)
        (void)snprintf(value, sizeof(value), "2.5.1");
    hl7_put(writer, 12, value);
}

int hl7_ack(const struct hl7_message *message, const char *failed, size_t failed_n,
            enum hl7_verdict verdict, const struct hl7_fault *fault,
            const char *control_id, const char *time_text, char *out, size_t capacity)
{
    static const char letters[] = "AER";
    struct hl7_writer writer;
    bool commit = message != NULL && hl7_ack_mode(message) == HL7_ACK_COMMIT;
    char code[3] = {commit ? 'C' : 'A', letters[verdict], '\0'};
    int minor = message == NULL ? 5 : minor_version(hl7_get(message, "MSH", 12, 1));

    if (message != NULL) {
        failed = message->bytes;
        failed_n = message->n;
    }
    hl7_writer(&writer, out, capacity);
    put_answer_header(&writer, message, minor, control_id, time_text);
    if (minor < 0)
        minor = 5; /* the version that the header then names */

    hl7_segment(&writer, "MSA");
    hl7_put(&writer, 1, code);
    echo_control_id(&writer, failed == NULL ? (struct hl7_text){"", 0}
                                            : hl7_control_id(failed, failed_n));
    if (fault != NULL && minor < 5)
        hl7_put(&writer, 3, fault->text);
    if (fault != NULL && fault->segment != NULL)
        put_fault(&writer, fault, minor);
    return hl7_finish(&writer);
}

/* Another system's words for a person, cut to fit rather than refused: the code is what
 * decides. */
static bool copy_text(const struct hl7_message *message, struct hl7_text text, char *out,
                      size_t capacity)
{
    if (text.n >= capacity)
        text.n = capacity - 1;
    return hl7_value(message, text, out, capacity) > 0;
}

int hl7_answer(const char *bytes, size_t n, struct hl7_answer *answer)
{
    static const char *const codes[] = {"AA", "AE", "AR", "CA", "CE", "CR"};
    struct hl7_message message;
    struct hl7_text code, id;
    size_t i;
    int error = hl7_parse(bytes, n, &message, NULL);

    memset(answer, 0, sizeof(*answer));
    if (error != HL7_OK)
        return error;
    code = hl7_get(&message, "MSA", 1, 1);
    id = hl7_field(&message, hl7_find(&message, "MSA", 1), 2);
    for (i = 0; i < sizeof(codes) / sizeof(codes[0]) && !hl7_equals(code, codes[i]); i++)
        ;
    if (i == sizeof(codes) / sizeof(codes[0]))
        return HL7_SEGMENT;
    if (id.n > HL7_CONTROL_ID_MAX)
        return HL7_LIMIT;
    memcpy(answer->code, codes[i], 3);
    memcpy(answer->control_id, id.at, id.n);
    if (!copy_text(&message, hl7_get(&message, "ERR", 8, 1), answer->text,
                   sizeof(answer->text)) &&
        !copy_text(&message, hl7_get(&message, "MSA", 3, 1), answer->text,
                   sizeof(answer->text)))
        (void)copy_text(&message, hl7_get(&message, "ERR", 3, 2), answer->text,
                        sizeof(answer->text));
    return HL7_OK;
}
