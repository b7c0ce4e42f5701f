/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/backup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "chart/ledger_log.h"

#define KEY_COPY "copy" /* big-endian microseconds UTC */

__attribute__((format(printf, 3, 4))) static int refuse(char error[LEDGER_ERROR_SIZE],
                                                        int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(error, LEDGER_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return code;
}

/* Only what this program itself has made: a ledger, its locks, the folder. */
static void remove_copy(const char *folder)
{
    static const char *const files[] = {"ledger.mdb", "ledger.mdb-lock", "lock"};
    char path[FILE_PATH_MAX];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (snprintf(path, sizeof(path), "%s/%s", folder, files[i]) < (int)sizeof(path))
            (void)unlink(path);
    (void)rmdir(folder);
}

/* Opens the copy as the service would, counts all rows, and marks it as a copy. */
static int verify(const struct ledger_options *options, const char *folder,
                  int64_t now_us, struct backup_report *report,
                  char error[LEDGER_ERROR_SIZE])
{
    struct ledger_options copy = *options;
    struct ledger_books books, counted;
    struct ledger *ledger;
    uint8_t mark[8];
    uint64_t wrong = 0;
    int code;

    copy.folder = folder;
    copy.preallocate = copy.free_min = 0;
    if ((code = ledger_open(&copy, &ledger, error)) != LEDGER_OK)
        return code;
    ledger_books(ledger, &books);
    code = ledger_recount(ledger, &counted, &wrong);
    if (code == LEDGER_OK && wrong > 0) {
        ledger_close(ledger);
        return refuse(error, LEDGER_DAMAGED, "the copy has %llu rows that are wrong",
                      (unsigned long long)wrong);
    }
    for (int i = 0; i < 8; i++)
        mark[i] = (uint8_t)((uint64_t)now_us >> (56 - 8 * i));
    if (code == LEDGER_OK && (code = ledger_begin(ledger)) == LEDGER_OK) {
        code = ledger_value_put(ledger, KEY_COPY, sizeof(KEY_COPY) - 1, mark, 8);
        if (code == LEDGER_OK)
            code = ledger_commit(ledger);
        else
            ledger_abort(ledger);
    }
    if (code != LEDGER_OK)
        (void)refuse(error, code, "the copy: %s", ledger_failure(ledger));
    report->readings = books.readings;
    report->adt = ledger_adt_last(ledger);
    ledger_close(ledger);
    return code;
}

/* Under another name until it is whole: whoever finds the name finds a good copy. */
int backup_make(const struct ledger_options *options, const char *to, int64_t now_us,
                struct backup_report *report, char error[LEDGER_ERROR_SIZE])
{
    char fresh[FILE_PATH_MAX], locks[FILE_PATH_MAX + 32];
    struct stat st;
    int code;

    *report = (struct backup_report){.made_us = now_us};
    if (snprintf(fresh, sizeof(fresh), "%s.new", to) >= (int)sizeof(fresh))
        return refuse(error, LEDGER_INVALID, "%s: path too long", to);
    if (lstat(to, &st) == 0)
        return refuse(error, LEDGER_EXISTS, "%s: is there already", to);
    remove_copy(fresh); /* of a backup that was cut short */
    if (mkdir(fresh, 0700) != 0)
        return refuse(error, LEDGER_IO, "%s: %s", fresh, strerror(errno));
    code = ledger_copy(options, fresh, error);
    if (code == LEDGER_OK)
        code = verify(options, fresh, now_us, report, error);
    if (code != LEDGER_OK) {
        remove_copy(fresh);
        return code;
    }
    (void)snprintf(locks, sizeof(locks), "%s/ledger.mdb-lock", fresh);
    (void)unlink(locks);
    (void)snprintf(locks, sizeof(locks), "%s/ledger.mdb", fresh);
    report->bytes = stat(locks, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (file_sync_folder(locks) != 0 || rename(fresh, to) != 0 ||
        file_sync_folder(to) != 0)
        return refuse(error, LEDGER_IO, "%s: %s", to, strerror(errno));
    return LEDGER_OK;
}

int backup_made_us(struct ledger *ledger, int64_t *us)
{
    uint8_t *value;
    uint64_t read = 0;
    size_t n;
    int code = ledger_value_get(ledger, KEY_COPY, sizeof(KEY_COPY) - 1, &value, &n);

    if (code == LEDGER_NOT_FOUND) {
        *us = 0;
        return LEDGER_OK;
    }
    if (code != LEDGER_OK)
        return code;
    for (size_t i = 0; i < n && i < 8; i++)
        read = read << 8 | value[i];
    free(value);
    if (n != 8 || read == 0 || read > INT64_MAX)
        return LEDGER_DAMAGED;
    *us = (int64_t)read;
    return LEDGER_OK;
}

int backup_forget(struct ledger *ledger)
{
    return ledger_value_drop(ledger, KEY_COPY, sizeof(KEY_COPY) - 1);
}
