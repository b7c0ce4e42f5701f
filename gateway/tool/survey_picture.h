/* SPDX-License-Identifier: Apache-2.0
 *
 * What a survey counted, and its pictures: in characters for a terminal, as SVG for the
 * commissioning file.
 */
#ifndef TOOL_SURVEY_PICTURE_H
#define TOOL_SURVEY_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SURVEY_TIMEOUTS_MAX 12
#define SURVEY_BINS         24

/* One timeout's exchanges. */
struct survey_row {
    uint32_t timeout_ms;
    uint64_t asked, answered;
    /* Why others failed. late: of the timeouts, those whose answer came afterwards. */
    uint64_t timeouts, late, crc, shorts, foreign, other;
    uint64_t exceptions;
};

struct survey {
    struct survey_row rows[SURVEY_TIMEOUTS_MAX];
    size_t row_count;
    /* Turn-around times of all answers: bin i is from i to i + 1 times bin_us; the last
     * has all beyond. */
    uint64_t bins[SURVEY_BINS];
    uint32_t bin_us, fastest_us, slowest_us;
    /* Requests that the adapter gave back; bytes that nobody had asked for. */
    uint64_t echoes, stray_bytes;
};

/* Failed exchanges of 1,000. A refusal is an answer. */
unsigned survey_errors(const struct survey_row *row);

/* Rates against timeout, and the histogram. */
void survey_draw(const struct survey *survey, FILE *out);

/* The same as an SVG picture with a title. False if the file can't be written. */
bool survey_svg(const struct survey *survey, const char *title, const char *path);

#endif
