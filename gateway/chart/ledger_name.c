/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for names that recur in every record: gateways, places, devices. Four bytes in
 * a row instead of sixty, and one comparison instead of a string's.
 */
#include "chart/ledger_db.h"

/* FNV-1a into a cache where a later name displaces an earlier one: the names of a
 * batch are few, and a miss costs one read. */
static struct name_slot *name_slot(struct ledger *ledger, const char *text)
{
    uint32_t h = 2166136261U;

    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * 16777619U;
    return &ledger->names[(h ^ h >> 16) & (LEDGER_NAME_SLOTS - 1)];
}

/* Cache, then table. */
static int name_look(struct ledger *ledger, const char *text, uint32_t *number)
{
    struct name_slot *slot = name_slot(ledger, text);
    uint8_t key[1 + LEDGER_NAME_SIZE] = {'n'};
    size_t n = strlen(text);
    struct db_span row;
    int error;

    if (n == 0 || n >= LEDGER_NAME_SIZE)
        return LEDGER_INVALID;
    if (slot->number != 0 && strcmp(slot->text, text) == 0) {
        *number = slot->number;
        return LEDGER_OK;
    }
    memcpy(key + 1, text, n + 1); /* there is room for its NUL */
    if ((error = db_get(ledger, DB_NAMES, key, 1 + n, &row)) != LEDGER_OK)
        return error;
    *number = slot->number = get32(row.bytes);
    memcpy(slot->text, text, n + 1);
    return LEDGER_OK;
}

/* Two rows, so that it can be read in both directions. The number is given when
 * both are written; an abort takes it back. */
int ledger_name(struct ledger *ledger, const char *text, uint32_t *number)
{
    uint8_t by_text[1 + LEDGER_NAME_SIZE] = {'n'}, by_number[5] = {'i'};
    size_t n = strlen(text);
    int error = name_look(ledger, text, number);

    /* Known, or refused, or only asked about. */
    if (error != LEDGER_NOT_FOUND || !ledger->batch)
        return error;
    if (ledger->now.names == UINT32_MAX - 1) /* LEDGER_ANY is no name */
        return LEDGER_FULL;
    *number = ledger->now.names + 1;
    memcpy(by_text + 1, text, n + 1);
    (void)put32(by_number + 1, *number);
    if ((error = db_put(ledger, DB_NAMES, by_text, 1 + n, by_number + 1, 4)) !=
            LEDGER_OK ||
        (error = db_put(ledger, DB_NAMES, by_number, sizeof(by_number), text, n)) !=
            LEDGER_OK)
        return error;
    ledger->now.names = *number;
    return LEDGER_OK;
}

/* 0 is no name's number, so it can say that there is none. */
uint32_t ledger_name_find(struct ledger *ledger, const char *text)
{
    uint32_t number;

    return name_look(ledger, text, &number) == LEDGER_OK ? number : 0;
}

/* For people and for topics; not used in the way of a reading. */
int ledger_name_text(struct ledger *ledger, uint32_t number, char out[LEDGER_NAME_SIZE])
{
    uint8_t key[5] = {'i'};
    struct db_span row;
    int error;

    (void)put32(key + 1, number);
    out[0] = '\0';
    if ((error = db_get(ledger, DB_NAMES, key, sizeof(key), &row)) != LEDGER_OK)
        return error;
    if (row.size >= LEDGER_NAME_SIZE)
        return LEDGER_DAMAGED;
    memcpy(out, row.bytes, row.size);
    out[row.size] = '\0';
    return LEDGER_OK;
}
