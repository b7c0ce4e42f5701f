/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core remembers, made from the ledger: the census from the ADT log, what waits
 * from the lists of states. A restart, and the recovery from a lost batch, are this and
 * nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "chart/backup.h"
#include "chart/chart_core.h"
#include "chart/ledger_log.h"

#define KEY_JUDGED                                                                       \
    "chart.adt_judged" /* history up to this ADT message has been looked at again */

/* --- Places --- */

/* Places are looked up for every reading; the hash and the site's table are asked once
 * for each. */
const struct place_slot *chart_place(struct chart *c, uint32_t number)
{
    static const struct place_slot nowhere;
    char text[LEDGER_NAME_SIZE];
    if (number == 0)
        return &nowhere;
    if (number >= c->places_count) {
        size_t count = (size_t)number + 64;
        struct place_slot *grown = realloc(c->places, count * sizeof *grown);
        if (!grown)
            return &nowhere; /* held as "no place": never charted for want of memory */
        memset(grown + c->places_count, 0, (count - c->places_count) * sizeof *grown);
        c->places = grown, c->places_count = count;
    }
    struct place_slot *slot = &c->places[number];
    if (!slot->known && ledger_name_text(c->ledger, number, text) == 0) {
        slot->id = census_place_id(text);
        slot->mapped = c->options.any_place || adt_site_has_place(c->options.site, text);
        slot->known = true;
    }
    return slot;
}

/* Names are numbered from 1 without holes; few windows come, so looking at all of them is
 * cheap enough. */
uint32_t chart_place_number(struct chart *c, uint64_t place)
{
    for (uint32_t number = 1;; number++) {
        const struct place_slot *slot = chart_place(c, number);
        if (!slot->known)
            return 0;
        if (slot->id == place)
            return number;
    }
}

/* --- Windows --- */

/* The list is a queue in an array: what was done is squeezed out before the array grows.
 */
static bool windows_room(struct chart *c)
{
    if (c->windows_first + c->windows_count < c->windows_capacity)
        return true;
    if (c->windows_first > 0) {
        memmove(c->windows, c->windows + c->windows_first,
                c->windows_count * sizeof *c->windows);
        c->windows_first = 0;
        return true;
    }
    size_t capacity = c->windows_capacity ? 2 * c->windows_capacity : 64;
    struct window *grown = realloc(c->windows, capacity * sizeof *grown);
    if (!grown)
        return false;
    c->windows = grown, c->windows_capacity = capacity;
    return true;
}

/* One that lies within the newest waiting one of its place, not begun, needs no second
 * look. */
static bool is_covered(const struct chart *c, const struct window *window)
{
    for (size_t i = 0; i < c->windows_count && i < 256; i++) {
        const struct window *w = &c->windows[c->windows_first + c->windows_count - 1 - i];
        if (w->place == window->place && w->from_us <= window->from_us &&
            w->to_us >= window->to_us && w->cursor.size == 0)
            return true;
    }
    return false;
}

/* Windows are widened to whole charting intervals, because taking the newest value of one
 * away may make an earlier one due. */
bool chart_windows_add(struct chart *c, const struct census_window *windows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct window window = {.place = windows[i].place,
                                .from_us = windows[i].from_us,
                                .to_us = windows[i].to_us};
        due_widen(c->due, &window.from_us, &window.to_us);
        if (is_covered(c, &window))
            continue;
        if (!windows_room(c))
            return false;
        c->windows[c->windows_first + c->windows_count++] = window;
    }
    return true;
}

/* --- Deriving --- */

/* The ring, the windows and the slots only repeat what the ledger says; dropping them
 * loses nothing. */
void chart_forget(struct chart *c)
{
    census_free(c->census);
    due_free(c->due);
    c->census = NULL;
    c->due = NULL;
    if (c->open)
        memset(c->open, 0, OPEN_SLOTS * sizeof *c->open);
    c->open_count = c->urgent.count = c->backlog.count = 0;
    c->windows_first = c->windows_count = 0;
    c->charted.valid = false;
    deliver_reset(c);
}

/* The same calls as when the message came, with the time at which it came, so the census
 * is the same. What could not be read then is skipped as it was then. */
static int replay_one(struct chart *c, uint64_t number)
{
    struct adt_result result;
    const struct census_window *windows;
    uint8_t *raw;
    size_t n, count;
    int64_t received_us;
    int error = ledger_adt_read(c->ledger, number, &raw, &n, &received_us);
    if (error == LEDGER_NOT_FOUND)
        return 0; /* dropped after its retention */
    if (error != 0)
        return error;
    if (hl7_parse((const char *)raw, n, c->scratch, NULL) == HL7_OK) {
        adt_read(c->options.site, c->scratch, &result);
        if (result.outcome == ADT_APPLY) {
            int applied = census_apply(c->census, result.events, result.count,
                                       received_us, &windows, &count);
            if (applied == 0 && number > c->adt_judged &&
                !chart_windows_add(c, windows, count))
                applied = CENSUS_MEMORY;
            error = applied == 0 || applied == CENSUS_INCOMPLETE ? 0 : LEDGER_IO;
        }
    }
    free(raw);
    return error;
}

/* Windows are collected only from messages whose consequences may not have been drawn
 * before the end. */
static int replay(struct chart *c)
{
    uint8_t *value;
    size_t n;
    c->adt_judged = 0;
    int error =
        ledger_value_get(c->ledger, KEY_JUDGED, sizeof KEY_JUDGED - 1, &value, &n);
    if (error == 0) {
        if (n == sizeof c->adt_judged)
            memcpy(&c->adt_judged, value, n);
        free(value);
    } else if (error != LEDGER_NOT_FOUND) {
        return error;
    }
    c->adt_applied = ledger_adt_last(c->ledger);
    for (uint64_t number = 1; number <= c->adt_applied; number++)
        if ((error = replay_one(c, number)) != 0)
            return error;
    return 0;
}

/* After this everything that waits in the ledger is found by the scans that the flags ask
 * for, page by page. */
int chart_derive(struct chart *c)
{
    const struct due_options due = {.table = c->options.intervals,
                                    .table_count = c->options.interval_count,
                                    .grace_us = c->options.grace_us,
                                    .was_charted = chart_was_charted,
                                    .context = c};
    chart_forget(c);
    c->counts.rebuilds++;
    c->census = census_new();
    c->due = due_new(&due);
    if (!c->census || !c->due)
        return LEDGER_INVALID;
    int error = backup_made_us(c->ledger, &c->census_until_us);
    if (error == 0)
        error = replay(c);
    c->rescan = true;
    c->rescan_state = LEDGER_RECEIVED;
    memset(&c->rescan_cursor, 0, sizeof c->rescan_cursor);
    c->remap = c->retime = true;
    memset(&c->remap_cursor, 0, sizeof c->remap_cursor);
    c->first_run = true;
    return error;
}

/* Written with the batch that did the last of the work, so that a restart repeats what is
 * missing and no more. */
bool chart_history_looked_at(struct chart *c)
{
    if (c->adt_judged == c->adt_applied || c->windows_count > 0)
        return true;
    int error = ledger_value_put(c->ledger, KEY_JUDGED, sizeof KEY_JUDGED - 1,
                                 &c->adt_applied, sizeof c->adt_applied);
    if (error != 0)
        return chart_fail(c, error);
    c->adt_judged = c->adt_applied;
    return true;
}
