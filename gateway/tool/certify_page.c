/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/certify_page.h"

#include <stdio.h>
#include <stdlib.h>

/* No script, no font, no picture from elsewhere: the page must print the same in ten
 * years, on a machine without a network. */
static const char head[] =
    "<!doctype html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Commissioning record</title>\n<style>\n"
    "@page { size: A4; margin: 18mm }\n"
    "body { font: 11pt/1.4 sans-serif; color: #111; background: #fff; max-width: 175mm; "
    "margin: 1em auto; padding: 0 1em }\n"
    "h1 { font-size: 16pt } h2 { font-size: 12pt; margin: 1.4em 0 .3em }\n"
    "table { border-collapse: collapse; width: 100% }\n"
    "th, td { text-align: left; vertical-align: top; padding: .25em .6em .25em 0; "
    "border-bottom: 1px solid #bbb }\n"
    "thead { display: table-header-group } tr { break-inside: avoid }\n"
    ".verdict { border: 2px solid #111; padding: .4em .8em; font-weight: bold }\n"
    ".sign { display: flex; gap: 2em; margin-top: 3em; break-inside: avoid }\n"
    ".sign p { flex: 1; border-top: 1px solid #111; padding-top: .2em }\n"
    "</style></head><body>\n";

/* Text between tags or in an attribute; what a terminal would obey becomes a question
 * mark. */
static void put(FILE *page, const char *text)
{
    for (const char *c = text != NULL ? text : ""; *c != '\0'; c++) {
        switch (*c) {
        case '&':
            (void)fputs("&amp;", page);
            break;
        case '<':
            (void)fputs("&lt;", page);
            break;
        case '>':
            (void)fputs("&gt;", page);
            break;
        case '"':
            (void)fputs("&quot;", page);
            break;
        default:
            (void)fputc((unsigned char)*c < ' ' ? '?' : *c, page);
            break;
        }
    }
}

static void cell(FILE *page, const char *text)
{
    (void)fputs("<td>", page);
    put(page, text);
    (void)fputs("</td>", page);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Said in a word, not only by a colour: it may be printed in black. */
static const char *verdict(const json_t *object)
{
    return json_is_true(json_object_get(object, "passed")) ? "passed" : "NOT PASSED";
}

static void facts(FILE *page, json_t *all)
{
    const char *key;
    json_t *value;

    (void)fputs("<table>\n", page);
    json_object_foreach(all, key, value)
    {
        (void)fputs("<tr><th scope=\"row\">", page);
        put(page, key);
        (void)fputs("</th>", page);
        cell(page, json_string_value(value));
        (void)fputs("</tr>\n", page);
    }
    (void)fputs("</table>\n", page);
}

static void checks(FILE *page, const json_t *all)
{
    const json_t *check;
    size_t i;

    (void)fputs("<h2>Checks</h2>\n<table><thead><tr><th>Check</th><th>Result</th>"
                "<th>What was found</th></tr></thead><tbody>\n",
                page);
    json_array_foreach(all, i, check)
    {
        (void)fputs("<tr>", page);
        cell(page, text_of(check, "name"));
        cell(page, verdict(check));
        cell(page, text_of(check, "words"));
        (void)fputs("</tr>\n", page);
    }
    (void)fputs("</tbody></table>\n", page);
}

static void screen(FILE *page, const json_t *all)
{
    const json_t *value;
    size_t i;

    (void)
        fputs("<h2>The device's screen beside what was read</h2>\n<table><thead><tr>"
              "<th>Quantity</th><th>Unit</th><th>Screen</th><th>Read</th><th>Result</th>"
              "</tr></thead><tbody>\n",
              page);
    json_array_foreach(all, i, value)
    {
        (void)fputs("<tr>", page);
        cell(page, text_of(value, "name"));
        cell(page, text_of(value, "unit"));
        cell(page, text_of(value, "shown"));
        cell(page, text_of(value, "read"));
        cell(page, verdict(value));
        (void)fputs("</tr>\n", page);
    }
    (void)fputs("</tbody></table>\n", page);
}

char *certify_page(const json_t *record, size_t *n)
{
    char *text = NULL;
    FILE *page = open_memstream(&text, n);

    if (page == NULL)
        return NULL;
    (void)fputs(head, page);
    (void)fputs("<h1>Commissioning record</h1>\n<p class=\"verdict\">", page);
    (void)fputs(verdict(record), page);
    (void)fputs("</p>\n", page);
    facts(page, json_object_get(record, "facts"));
    checks(page, json_object_get(record, "checks"));
    screen(page, json_object_get(record, "screen"));
    (void)
        fputs("<div class=\"sign\"><p>Commissioned by, date</p><p>Accepted for the ward "
              "by, date</p></div>\n"
              "<p>wardgate documents; it is no monitor and raises no alarm.</p>\n"
              "</body></html>\n",
              page);
    if (fclose(page) == 0)
        return text;
    free(text);
    return NULL;
}
