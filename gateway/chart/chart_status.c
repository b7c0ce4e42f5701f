/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core tells about itself: counts, and reasons in words that a nurse can read.
 */
#include <string.h>

#include "chart/chart_core.h"

void chart_count(const struct chart *c, struct chart_counts *counts)
{
    *counts = c->counts;
    counts->open = c->open_count;
    counts->windows = c->windows_count;
    counts->census_until_us = c->census_until_us;
}

const char *chart_trouble(const struct chart *c)
{
    return c->trouble;
}

const struct census *chart_census(const struct chart *c)
{
    return c->census;
}

struct ledger *chart_ledger(const struct chart *c)
{
    return c->ledger;
}

void chart_intake_counts(const struct chart *c, struct intake_counts *counts)
{
    intake_count(c->intake, counts);
}

static const struct {
    uint8_t reason;
    const char *name, *text;
} reasons[] = {
    {LEDGER_REASON_NONE, "none", "Nothing is wrong."},
    {LEDGER_IDENTITY_CONFLICT, "identity-conflict",
     "Two different readings came under one number."},
    {LEDGER_SOURCE_DOUBTED, "source-doubted",
     "This gateway's store was set back or copied; an engineer must look."},
    {LEDGER_TIME_UNKNOWN, "time-unknown",
     "The gateway's clock was not set, so the time of measurement is not known."},
    {LEDGER_TIME_DISPUTED, "time-disputed",
     "Two clocks disagree about when it was measured."},
    {LEDGER_TIME_STORED, "time-stored",
     "It came from the device's memory, whose clock nobody has compared."},
    {LEDGER_RECORD_DAMAGED, "damaged", "Its stored bytes are damaged."},
    {CHART_REFUSED, "refused", "The record system refused it."},
    {CHART_NO_ANSWER, "no-answer",
     "The record system never answered it; it may have it or not."},
    {CHART_NOT_WITHDRAWN, "not-withdrawn",
     "It stands, or may stand, in the wrong patient's chart and the record system would "
     "not take it back: correct it by hand."},
    {CHART_DISCARDED, "discarded", "A person discarded it."},
    {CHART_UNPRINTABLE, "unprintable", "No message could be made of it."},
    {CHART_MAY_STAND, "may-stand",
     "The record system gave no answer, and refused it when it was sent again: look "
     "whether it stands in the chart."},
};

const char *chart_reason_text(uint8_t reason)
{
    if (reason >= CHART_REASON_MATCH && reason < CHART_REFUSED)
        return match_reason_text((enum match_reason)(reason - CHART_REASON_MATCH));
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].reason == reason)
            return reasons[i].text;
    return "The reason is not known to this version.";
}

const char *chart_reason_name(uint8_t reason)
{
    if (reason >= CHART_REASON_MATCH && reason < CHART_REFUSED)
        return match_reason_name((enum match_reason)(reason - CHART_REASON_MATCH));
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].reason == reason)
            return reasons[i].name;
    return "unknown";
}
