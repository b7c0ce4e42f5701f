/* SPDX-License-Identifier: Apache-2.0
 *
 * hl7: any bytes are cut without a step outside them; what is read and written again
 * reads the same; every answer of ours is a message.
 */
#include "chart/hl7.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void within(const struct hl7_message *message, struct hl7_text text)
{
    must(text.n == 0 ||
         (text.at >= message->bytes && text.at + text.n <= message->bytes + message->n));
}

/* Writes a value and reads it back. A value that is exactly two double quotes can't be
 * written: it would read as null. */
static void round_trip(const char *value)
{
    static char out[4096];
    static char again[1024];
    struct hl7_writer writer;
    struct hl7_message message;
    int n;

    hl7_writer(&writer, out, sizeof(out));
    hl7_segment(&writer, "MSH");
    hl7_put(&writer, 3, "x");
    hl7_put_component(&writer, 3, value);
    hl7_put(&writer, 5, value);
    n = hl7_finish(&writer);
    if (n < 0 || strcmp(value, "\"\"") == 0)
        return;
    must(hl7_parse(out, (size_t)n, &message, NULL) == HL7_OK);
    must(hl7_value(&message, hl7_get(&message, "MSH", 3, 3), again, sizeof(again)) >= 0);
    must(strcmp(again, value) == 0);
    must(hl7_value(&message, hl7_get(&message, "MSH", 5, 1), again, sizeof(again)) >= 0);
    must(strcmp(again, value) == 0);
}

static void walk_field(const struct hl7_message *message, struct hl7_text field)
{
    static char value[1024];
    struct hl7_time time;
    size_t reps = hl7_repetitions(message, field), r, c;

    within(message, field);
    for (r = 1; r <= reps && r < 4; r++)
        for (c = 1; c < 6; c++) {
            struct hl7_text part =
                hl7_component(message, hl7_repetition(message, field, r), c);
            int n;

            within(message, part);
            within(message, hl7_subcomponent(message, part, 2));
            (void)hl7_time(part, &time);
            n = hl7_value(message, part, value, sizeof(value));
            must(n < 0 ? value[0] == '\0' : strlen(value) == (size_t)n);
            /* Blanks that an escape put at an end are cut when they are read again. */
            if (n > 0 && value[0] != ' ' && value[n - 1] != ' ' &&
                strchr(value, '\t') == NULL)
                round_trip(value);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hl7_message message, answer_message;
    struct hl7_text fields[20];
    struct hl7_answer answer;
    char out[2048], *bytes = malloc(size + 1);
    const struct hl7_fault fault = {"PV1", 1, 3, 2, 101, "words"};
    size_t line, i, f;
    int n, error;

    must(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size); /* so that a step outside is seen */
    error = hl7_parse(bytes, size, &message, &line);
    if (error == HL7_OK)
        for (i = 0; i < message.count && i < 16; i++) {
            hl7_fields(&message, &message.segments[i], fields, 20);
            for (f = 0; f < 20; f++) {
                struct hl7_text one = hl7_field(&message, &message.segments[i], f);

                must(f == 0 ||
                     (one.n == fields[f].n && (one.n == 0 || one.at == fields[f].at)));
                walk_field(&message, one);
            }
        }
    n = hl7_ack(error == HL7_OK ? &message : NULL, bytes, size, HL7_ERROR, &fault, "W1",
                "20260101000000+0000", out, sizeof(out));
    if (n >= 0) {
        must(hl7_parse(out, (size_t)n, &answer_message, NULL) == HL7_OK);
        must(hl7_answer(out, (size_t)n, &answer) == HL7_OK);
        must(answer.code[1] == 'E');
    }
    (void)hl7_answer(bytes, size, &answer);
    free(bytes);
    return 0;
}
