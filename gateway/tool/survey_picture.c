/* SPDX-License-Identifier: Apache-2.0
 *
 * Two pictures of the same numbers. The SVG names no font and no colour that a printer
 * would miss.
 */
#include "tool/survey_picture.h"

#include <inttypes.h>

#define BAR_WIDTH   40
#define SVG_WIDTH   720
#define SVG_HEIGHT  420
#define PLOT_LEFT   60
#define PLOT_WIDTH  640
#define PLOT_HEIGHT 130
#define FIRST_TOP   60
#define SECOND_TOP  250

unsigned survey_errors(const struct survey_row *row)
{
    return row->asked == 0 ? 0
                           : (unsigned)((row->asked - row->answered) * 1000 / row->asked);
}

static uint64_t most(const struct survey *survey)
{
    uint64_t most = 1;

    for (size_t i = 0; i < SURVEY_BINS; i++)
        most = survey->bins[i] > most ? survey->bins[i] : most;
    return most;
}

/* The bins that are worth showing: from the first used to the last. */
static void used(const struct survey *survey, size_t *first, size_t *last)
{
    *first = SURVEY_BINS;
    *last = 0;
    for (size_t i = 0; i < SURVEY_BINS; i++) {
        if (survey->bins[i] == 0)
            continue;
        if (*first == SURVEY_BINS)
            *first = i;
        *last = i;
    }
}

static void bar(FILE *out, uint64_t value, uint64_t of)
{
    uint64_t width = of > 0 ? (value * BAR_WIDTH + of / 2) / of : 0;

    for (uint64_t i = 0; i < (value > 0 && width == 0 ? 1 : width); i++)
        (void)fputc('#', out);
}

void survey_draw(const struct survey *survey, FILE *out)
{
    size_t first, last;

    (void)fputs("\nfailed, by timeout\n", out);
    for (size_t i = 0; i < survey->row_count; i++) {
        unsigned errors = survey_errors(&survey->rows[i]);

        (void)fprintf(out, "%6u ms %5u.%u %% |", survey->rows[i].timeout_ms, errors / 10,
                      errors % 10);
        bar(out, errors, 1000);
        (void)fputc('\n', out);
    }
    used(survey, &first, &last);
    if (first == SURVEY_BINS)
        return;
    (void)fprintf(out, "\nturn-around, %.1f to %.1f ms\n",
                  (double)survey->fastest_us / 1000, (double)survey->slowest_us / 1000);
    for (size_t i = first; i <= last; i++) {
        (void)fprintf(out, "%6" PRIu32 " ms%s %7" PRIu64 " |",
                      (uint32_t)i * survey->bin_us / 1000,
                      i + 1 == SURVEY_BINS ? "+" : " ", survey->bins[i]);
        bar(out, survey->bins[i], most(survey));
        (void)fputc('\n', out);
    }
}

/* A column of the picture: its height in pixels from the plot's foot. */
static void column(FILE *file, size_t i, size_t count, unsigned top, unsigned height,
                   const char *label)
{
    unsigned width = PLOT_WIDTH / (unsigned)count, x = PLOT_LEFT + width * (unsigned)i;
    unsigned foot = top + PLOT_HEIGHT;

    (void)fprintf(file,
                  "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"#456\"/>\n"
                  "<text x=\"%u\" y=\"%u\" font-size=\"11\">%s</text>\n",
                  x + 2, foot - height, width > 5 ? width - 4 : 1, height, x + 2,
                  foot + 14, label);
}

static void axis(FILE *file, unsigned top, const char *title)
{
    (void)fprintf(file,
                  "<text x=\"%u\" y=\"%u\" font-size=\"13\">%s</text>\n"
                  "<path d=\"M%u %uv%uh%u\" fill=\"none\" stroke=\"black\"/>\n",
                  PLOT_LEFT, top - 8, title, PLOT_LEFT, top, PLOT_HEIGHT, PLOT_WIDTH);
}

/* A title from outside may hold what XML reads as its own. */
static void escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '&' || *text == '>')
            (void)fprintf(file, "&#%d;", *text);
        else if (*text >= ' ')
            (void)fputc(*text, file);
    }
}

bool survey_svg(const struct survey *survey, const char *title, const char *path)
{
    FILE *file = fopen(path, "we");
    size_t first, last;
    char label[32];

    if (file == NULL)
        return false;
    (void)fprintf(file,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\">\n"
                  "<text x=\"%d\" y=\"24\" font-size=\"16\">",
                  SVG_WIDTH, SVG_HEIGHT, PLOT_LEFT);
    escaped(file, title);
    (void)fputs("</text>\n", file);
    axis(file, FIRST_TOP, "failed exchanges by timeout (full height: all)");
    for (size_t i = 0; i < survey->row_count; i++) {
        unsigned errors = survey_errors(&survey->rows[i]);

        (void)snprintf(label, sizeof label, "%u ms: %u.%u %%", survey->rows[i].timeout_ms,
                       errors / 10, errors % 10);
        column(file, i, survey->row_count, FIRST_TOP, errors * PLOT_HEIGHT / 1000, label);
    }
    used(survey, &first, &last);
    axis(file, SECOND_TOP, "answers by turn-around in ms");
    for (size_t i = first; i <= last && first < SURVEY_BINS; i++) {
        (void)snprintf(label, sizeof label, "%" PRIu32,
                       (uint32_t)i * survey->bin_us / 1000);
        column(file, i - first, last - first + 1, SECOND_TOP,
               (unsigned)(survey->bins[i] * PLOT_HEIGHT / most(survey)), label);
    }
    (void)fputs("</svg>\n", file);
    return fclose(file) == 0;
}
