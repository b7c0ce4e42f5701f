/* SPDX-License-Identifier: Apache-2.0
 *
 * A site's rules, compiled once: lists of names, and the map from PV1-3 to places as a
 * hash table over ward and bed. Room, facility and the rest are compared afterwards,
 * because an entry may leave them free.
 */
#include "chart/adt_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "chart/adt_hash.h"

#define WARD 0
#define ROOM 1
#define BED  2

/* --- Texts that are compared --- */

/* Lower case (ASCII), runs of blanks as one, none at the ends: "Bed  03 " and "BED 03"
 * are one bed. In place. */
static char *fold(char *text)
{
    char *from = text, *to = text;

    for (; *from != '\0'; from++) {
        char c = *from;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c == ' ' && (to == text || to[-1] == ' '))
            continue;
        *to++ = c;
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
    return text;
}

/* NULL: memory. */
static char *folded_copy(const char *text)
{
    char *copy = strdup(text);

    return copy == NULL ? NULL : fold(copy);
}

/* Lists have a handful of names, so they are gone through. */
bool adt_site_accepts(const struct adt_site *site, enum adt_names list, const char *name)
{
    char text[ADT_TEXT_SIZE];
    size_t i;

    if (site->names[list] == NULL)
        return true;
    (void)snprintf(text, sizeof(text), "%s", name);
    fold(text);
    for (i = 0; site->names[list][i] != NULL; i++)
        if (strcmp(site->names[list][i], text) == 0)
            return true;
    return false;
}

/* --- Locations --- */

/* Takes all nine components whether or not the map uses them: which ones tell two beds
 * apart is the site's affair. */
bool adt_location_read(const struct hl7_message *message, struct hl7_text text,
                       struct adt_location *location)
{
    size_t i;

    location->any = location->bed = false;
    for (i = 0; i < ADT_LOCATION_PARTS; i++) {
        /* Ward, room and bed are names (HD in later versions): their first subcomponent
         * counts. */
        struct hl7_text part =
            hl7_subcomponent(message, hl7_component(message, text, i + 1), 1);
        int n = hl7_value(message, part, location->part[i], ADT_TEXT_SIZE);

        if (n < 0)
            return false;
        location->any = location->any || n > 0;
    }
    location->bed = location->part[BED][0] != '\0';
    return true;
}

/* Adds a part to a name: what is neither letter nor digit becomes one '-', and one '-'
 * stands between parts. Returns the new length; a name that is full stays so, and is then
 * no valid one. */
static size_t add_part(char *name, size_t used, const char *part)
{
    bool gap = used > 0;

    for (; *part != '\0' && used < ADT_PLACE_SIZE - 2; part++) {
        bool keep = (*part >= 'a' && *part <= 'z') || (*part >= '0' && *part <= '9');

        if (keep && gap)
            name[used++] = '-';
        if (keep)
            name[used++] = *part;
        gap = !keep && used > 0;
    }
    name[used] = '\0';
    return used;
}

/* ward-room-bed; a room that only repeats its ward says nothing. */
static void slug(char part[][ADT_TEXT_SIZE], char *out)
{
    size_t used = add_part(out, 0, part[WARD]);

    if (strcmp(part[ROOM], part[WARD]) != 0)
        used = add_part(out, used, part[ROOM]);
    (void)add_part(out, used, part[BED]);
    if (part[WARD][0] == '\0' || !name_valid(out))
        out[0] = '\0';
}

/* Room is left out, because an entry may leave it free; ward and bed are always given. */
static uint64_t bucket_hash(const char *ward, const char *bed)
{
    return adt_hash(bed, strlen(bed), adt_hash(ward, strlen(ward), 0));
}

/* An empty component of an entry agrees with anything. */
static bool agrees(const struct adt_mapped *entry, char part[][ADT_TEXT_SIZE])
{
    size_t i;

    for (i = 0; i < ADT_LOCATION_PARTS; i++)
        if (entry->part[i][0] != '\0' && strcmp(entry->part[i], part[i]) != 0)
            return false;
    return true;
}

/* No bed, no place: a ward alone must never look like one of its beds. */
void adt_location_place(const struct adt_site *site, const struct adt_location *location,
                        char *out)
{
    char part[ADT_LOCATION_PARTS][ADT_TEXT_SIZE];
    const struct adt_mapped *entry, *best = NULL;
    size_t i;

    out[0] = '\0';
    if (!location->bed)
        return;
    for (i = 0; i < ADT_LOCATION_PARTS; i++) {
        memcpy(part[i], location->part[i], strlen(location->part[i]) + 1);
        fold(part[i]);
    }
    if (site->bucket_count > 0) {
        entry =
            site->buckets[bucket_hash(part[WARD], part[BED]) & (site->bucket_count - 1)];
        for (; entry != NULL; entry = entry->next)
            if (agrees(entry, part) && (best == NULL || entry->given > best->given))
                best = entry;
    }
    if (best != NULL)
        memcpy(out, best->place, ADT_PLACE_SIZE);
    else if (site->otherwise == ADT_DEFAULT_SLUG)
        slug(part, out);
}

/* A text of ours, in the standard's usual delimiters. */
static bool read_standard(const char *text, struct adt_location *location)
{
    struct hl7_message message;

    message.field = '|';
    message.component = '^';
    message.repetition = '~';
    message.escape = '\\';
    message.subcomponent = '&';
    return adt_location_read(&message, (struct hl7_text){text, strlen(text)}, location);
}

/* The same way as a message's, so that `check` shows what the feed will get. */
void adt_site_place(const struct adt_site *site, const char *location, char *out)
{
    struct adt_location parts;

    out[0] = '\0';
    if (read_standard(location, &parts))
        adt_location_place(site, &parts, out);
}

/* Asked once per place and kept by the caller, so a plain search will do. */
bool adt_site_has_place(const struct adt_site *site, const char *place)
{
    size_t i;

    if (site->otherwise == ADT_DEFAULT_SLUG)
        return name_valid(place);
    for (i = 0; i < site->entry_count; i++)
        if (strcmp(site->entries[i].place, place) == 0)
            return true;
    return false;
}

/* The location is already without patient data: PV1-3 has none. */
void adt_site_note_unmapped(struct adt_site *site, const char *location)
{
    size_t i;

    for (i = 0; i < site->unmapped_count; i++)
        if (strcmp(site->unmapped[i].location, location) == 0)
            break;
    /* the list is for a person to mend the map by: this many will do */
    if (i == ADT_UNMAPPED_MAX)
        return;
    if (i == site->unmapped_count) {
        (void)snprintf(site->unmapped[i].location, ADT_LOCATION_SIZE, "%s", location);
        site->unmapped[i].count = 0;
        site->unmapped_count++;
    }
    site->unmapped[i].count++;
}

/* In the order in which they were first met. */
const char *adt_site_unmapped(const struct adt_site *site, size_t index, uint64_t *count)
{
    if (index >= site->unmapped_count)
        return NULL;
    *count = site->unmapped[index].count;
    return site->unmapped[index].location;
}

/* --- Compiling --- */

/* Folded once, so that every comparison later is a plain one. */
static int copy_names(struct adt_site *site, enum adt_names list,
                      const char *const *names)
{
    size_t n = 0, i;

    if (names == NULL)
        return 0;
    while (names[n] != NULL)
        n++;
    site->names[list] = calloc(n + 1, sizeof(char *));
    if (site->names[list] == NULL)
        return -1;
    for (i = 0; i < n; i++) {
        site->names[list][i] = folded_copy(names[i]);
        if (site->names[list][i] == NULL)
            return -1;
    }
    return 0;
}

/* Whether two entries would catch exactly the same messages. */
static bool same_location(const struct adt_mapped *a, const struct adt_mapped *b)
{
    size_t i;

    for (i = 0; i < ADT_LOCATION_PARTS; i++)
        if (strcmp(a->part[i], b->part[i]) != 0)
            return false;
    return true;
}

/* Everything wrong with an entry is found here, at start, rather than as a patient in
 * no bed later on. */
static int add_entry(struct adt_site *site, const struct adt_map_entry *from,
                     struct adt_wrong *wrong, char error[256])
{
    struct adt_mapped *entry = &site->entries[site->entry_count], *other, **bucket;
    struct adt_location location;
    size_t i;

    wrong->entry = site->entry_count;
    if (!name_valid(from->place)) {
        (void)snprintf(error, 256,
                       "place \"%.60s\" of location \"%.100s\" is not 1-47 of a-z 0-9 -",
                       from->place, from->location);
        return -1;
    }
    if (!read_standard(from->location, &location) || !location.bed ||
        location.part[WARD][0] == '\0') {
        (void)snprintf(error, 256,
                       "location \"%.100s\" of place \"%.60s\" needs ward^room^bed",
                       from->location, from->place);
        return -1;
    }
    site->entry_count++;
    (void)snprintf(entry->place, sizeof(entry->place), "%s", from->place);
    for (i = 0; i < ADT_LOCATION_PARTS; i++) {
        entry->part[i] = folded_copy(location.part[i]);
        if (entry->part[i] == NULL) {
            (void)snprintf(error, 256, "out of memory");
            return -1;
        }
        entry->given += entry->part[i][0] != '\0';
    }
    bucket = &site->buckets[bucket_hash(entry->part[WARD], entry->part[BED]) &
                            (site->bucket_count - 1)];
    for (other = *bucket; other != NULL; other = other->next)
        if (same_location(entry, other) && strcmp(entry->place, other->place) != 0) {
            wrong->earlier = (size_t)(other - site->entries);
            (void)snprintf(
                error, 256,
                "location \"%.80s\" leads to two places, \"%.50s\" and \"%.50s\"",
                from->location, other->place, entry->place);
            return -1;
        }
    entry->next = *bucket;
    *bucket = entry;
    wrong->entry = ADT_NO_ENTRY;
    return 0;
}

/* Twice as many buckets as entries, so that a look-up is one comparison as a rule. */
static int compile_map(struct adt_site *site, const struct adt_rules *rules,
                       struct adt_wrong *wrong, char error[256])
{
    size_t i, n = 16;

    while (n < 2 * rules->map_count)
        n *= 2;
    site->bucket_count = n;
    site->buckets = calloc(n, sizeof(struct adt_mapped *));
    site->entries = calloc(rules->map_count + 1, sizeof(*site->entries));
    site->unmapped = calloc(ADT_UNMAPPED_MAX, sizeof(*site->unmapped));
    if (site->buckets == NULL || site->entries == NULL || site->unmapped == NULL) {
        (void)snprintf(error, 256, "out of memory");
        return -1;
    }
    for (i = 0; i < rules->map_count; i++)
        if (add_entry(site, &rules->map[i], wrong, error) < 0)
            return -1;
    return 0;
}

/* The defaults are those of the feed in reference: Homerton's words first, then what
 * the standard and other London sites use. */
int adt_site_compile(const struct adt_rules *rules, struct adt_site **out,
                     struct adt_wrong *wrong, char error[256])
{
    static const char *const number_types[] = {"CNN", "MRN", "MR", "PI", NULL};
    static const char *const nhs_types[] = {"NH", "NHS", "NHSNMBR", "NHSNBR", NULL};
    struct adt_site *site = calloc(1, sizeof(*site));
    const char *zone = rules->zone != NULL ? rules->zone : "Europe/London";

    wrong->entry = wrong->earlier = ADT_NO_ENTRY;
    (void)snprintf(error, 256, "out of memory");
    if (site == NULL)
        return -1;
    if (zone_parse(zone, &site->zone) < 0) {
        (void)snprintf(
            error, 256,
            "unknown time zone \"%.100s\": expected Europe/London, UTC or a POSIX rule",
            zone);
        goto err0;
    }
    site->nhs_elsewhere = rules->nhs_elsewhere;
    site->update_moves = rules->update_moves;
    site->prior_untrusted = rules->prior_untrusted;
    site->visit = rules->visit;
    site->admitted = rules->admitted;
    site->otherwise = rules->otherwise;
    site->foreign = rules->foreign;
    site->content = rules->content == HL7_ACCEPT ? HL7_ERROR : rules->content;
    if (copy_names(site, ADT_FACILITIES, rules->facilities) < 0 ||
        copy_names(site, ADT_PLACE_FACILITIES, rules->place_facilities) < 0 ||
        copy_names(site, ADT_NUMBER_TYPES,
                   rules->number_types != NULL ? rules->number_types : number_types) <
            0 ||
        copy_names(site, ADT_NHS_TYPES,
                   rules->nhs_types != NULL ? rules->nhs_types : nhs_types) < 0 ||
        compile_map(site, rules, wrong, error) < 0)
        goto err0;
    error[0] = '\0';
    *out = site;
    return 0;

err0:
    adt_site_free(site);
    return -1;
}

/* For rules that come from no file. */
int adt_site_new(const struct adt_rules *rules, struct adt_site **out, char error[256])
{
    struct adt_wrong wrong;

    return adt_site_compile(rules, out, &wrong, error);
}

/* Also of a site that was made by half. */
void adt_site_free(struct adt_site *site)
{
    size_t i, j;

    if (site == NULL)
        return;
    for (i = 0; i < ADT_NAME_LISTS; i++) {
        for (j = 0; site->names[i] != NULL && site->names[i][j] != NULL; j++)
            free(site->names[i][j]);
        free(site->names[i]);
    }
    for (i = 0; i < site->entry_count; i++)
        for (j = 0; j < ADT_LOCATION_PARTS; j++)
            free(site->entries[i].part[j]);
    free(site->entries);
    free(site->buckets);
    free(site->unmapped);
    free(site);
}
