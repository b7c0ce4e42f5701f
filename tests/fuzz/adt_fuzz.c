/* SPDX-License-Identifier: Apache-2.0
 *
 * adt and census: messages, cut at 0x1C, go all the way. Whatever they are, every one is
 * answered, and the census is the same forwards, backwards and with every message twice.
 */
#include "chart/adt.h"
#include "chart/adt_hash.h"
#include "chart/match.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A sum that does not depend on the order in which stays are told. */
static void add_stay(void *context, const struct census_stay *stay)
{
    uint64_t fields[] = {stay->stay,
                         stay->patient,
                         stay->original,
                         stay->place,
                         (uint64_t)stay->from_low_us,
                         (uint64_t)stay->from_high_us,
                         (uint64_t)stay->to_low_us,
                         (uint64_t)stay->to_high_us,
                         (uint64_t)stay->known_us,
                         stay->flags};

    must(stay->from_low_us <= stay->from_high_us && stay->to_low_us <= stay->to_high_us);
    must(stay->from_low_us < stay->to_high_us);
    *(uint64_t *)context += adt_hash(fields, sizeof(fields),
                                     adt_hash(stay->location, strlen(stay->location), 0));
}

struct part {
    const char *at;
    size_t n;
};

static void apply(struct adt_site *site, struct census *census, const struct part *part,
                  int64_t known_us)
{
    static struct hl7_message scratch;
    static struct adt_result result;
    char answer[2048];
    char *copy = malloc(part->n + 1);
    int n;

    must(copy != NULL);
    memcpy(copy, part->at, part->n);
    n = adt_receive(site, copy, part->n, known_us, 1, &scratch, &result, answer,
                    sizeof(answer));
    must(n >= 0 || n == HL7_LIMIT || n == HL7_CONTROL);
    must(result.outcome == ADT_APPLY ? result.count > 0 : result.count == 0);
    must(result.outcome != ADT_REFUSE ||
         (result.fault.text != NULL && result.verdict != HL7_ACCEPT));
    (void)census_apply(census, result.events, result.count, known_us, NULL, NULL);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"CNN", "MR", NULL};
    static const struct adt_map_entry map[] = {{"GSU^Bay 1^Bed 3", "gsu-1-3"},
                                               {"GSU^^4", "gsu-4"}};
    struct adt_rules rules = {.number_types = types,
                              .map = map,
                              .map_count = 2,
                              .otherwise = ADT_DEFAULT_SLUG};
    static struct adt_site *site; /* made once: it only counts what it meets */
    struct part parts[MESSAGES_MAX];
    uint64_t sums[3] = {0};
    struct census_counts counts[3];
    size_t n = 0, at = 0, i;
    char error[256];
    int pass;

    while (at < size && n < MESSAGES_MAX) {
        const uint8_t *end = memchr(data + at, 0x1c, size - at);
        size_t length = end == NULL ? size - at : (size_t)(end - data) - at;

        parts[n++] = (struct part){(const char *)data + at, length};
        at += length + 1;
    }
    if (site == NULL)
        must(adt_site_new(&rules, &site, error) == 0);
    for (pass = 0; pass < 3; pass++) {
        struct census *census = census_new();

        must(census != NULL);
        for (i = 0; i < n; i++) {
            size_t which = pass == 0 ? i : n - 1 - i;

            apply(site, census, &parts[which], 1000);
            if (pass == 2)
                apply(site, census, &parts[i], 1000);
        }
        census_each(census, add_stay, &sums[pass]);
        census_counts(census, &counts[pass]);
        census_free(census);
    }
    must(sums[0] == sums[1] && sums[0] == sums[2]);
    must(counts[0].stays == counts[1].stays &&
         counts[0].conflicts == counts[1].conflicts &&
         counts[0].events == counts[2].events);
    return 0;
}
