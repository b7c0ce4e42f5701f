/* SPDX-License-Identifier: Apache-2.0
 *
 * What a FHIR server's answer means. A proxy's page with status 200 is no yes, and a
 * server that lost its certificate's issuer must not make dead letters of a whole night.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chart/fhir_client.h"

/* Text values escape their quotes, so this stands at entries only. */
#define ENTRY_MARK "\"request\":{"

size_t fhir_entries(const char *bundle, size_t n)
{
    size_t count = 0;
    const char *end = bundle + n;
    for (const char *p = bundle;
         (p = memmem(p, (size_t)(end - p), ENTRY_MARK, sizeof ENTRY_MARK - 1)) != NULL;
         p += sizeof ENTRY_MARK - 1)
        count++;
    return count;
}

/* Of statuses for the server rather than for this Bundle some may be both: then an
 * OperationOutcome says that somebody has looked at it. */
static const struct {
    long first, last;
    enum fhir_answer plain, with_outcome;
} meanings[] = {
    {401, 401, FHIR_LOST, FHIR_LOST},       {403, 405, FHIR_LOST, FHIR_REFUSED},
    {407, 408, FHIR_LOST, FHIR_LOST},       {409, 409, FHIR_FAILED, FHIR_FAILED},
    {412, 412, FHIR_FAILED, FHIR_FAILED},   {425, 425, FHIR_LOST, FHIR_LOST},
    {429, 429, FHIR_LOST, FHIR_LOST},       {502, 504, FHIR_LOST, FHIR_LOST},
    {400, 499, FHIR_REFUSED, FHIR_REFUSED}, {500, 599, FHIR_FAILED, FHIR_FAILED},
};

static enum fhir_answer meaning(long status, bool outcome)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (status >= meanings[i].first && status <= meanings[i].last)
            return outcome ? meanings[i].with_outcome : meanings[i].plain;
    return FHIR_LOST; /* 1xx, 3xx, no number at all: not what the configuration meant */
}

static bool is(json_t *object, const char *name, const char *text)
{
    const char *is = json_string_value(json_object_get(object, name));
    return is && strcmp(is, text) == 0;
}

/* "201 Created": the number alone counts. 0: there is none. */
static long status_of(json_t *entry)
{
    json_t *response = json_object_get(entry, "response");
    const char *text = json_string_value(json_object_get(response, "status"));
    if (!text || strspn(text, "0123456789") != 3 || (text[3] && text[3] != ' '))
        return 0;
    return strtol(text, NULL, 10);
}

/* A transaction is taken whole or not at all. A server that took a part of it may be sent
 * the whole again, for what it has it will find; but no refusal is believed any more. */
static enum fhir_answer judge_entries(json_t *bundle, size_t entries)
{
    json_t *list = json_object_get(bundle, "entry"), *entry;
    enum fhir_answer worst = FHIR_TAKEN;
    size_t i, taken = 0;
    if (!is(bundle, "resourceType", "Bundle") ||
        !is(bundle, "type", "transaction-response") || entries == 0 ||
        json_array_size(list) != entries)
        return FHIR_UNANSWERED;
    json_array_foreach(list, i, entry)
    {
        long status = status_of(entry);
        if (status == 0)
            return FHIR_UNANSWERED;
        if (status >= 200 && status <= 299)
            taken++;
        else if (worst == FHIR_TAKEN || worst == FHIR_REFUSED)
            worst = meaning(status, true);
    }
    return taken == entries ? FHIR_TAKEN : taken > 0 ? FHIR_UNANSWERED : worst;
}

enum fhir_answer fhir_answer(long status, const char *body, size_t n, size_t entries)
{
    json_t *parsed = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
    enum fhir_answer answer =
        status >= 200 && status <= 299
            ? judge_entries(parsed, entries)
            : meaning(status, is(parsed, "resourceType", "OperationOutcome"));
    json_decref(parsed);
    return answer;
}
