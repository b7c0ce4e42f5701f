/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays recorded bytes and recorded values through the decoders;
 * tests/captures/README.md. Prints `pass: `, `fail: ` and `skip: ` lines for
 * tests/run.sh.
 */
#include "drivers/checksum.h"
#include "drivers/decimal.h"
#include "drivers/driver.h"
#include "drivers/emulate/modbus_slave.h"
#include "drivers/emulate/nonin.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX   65536
#define TEXT_MAX    65536
#define COLUMNS_MAX 64
#define LINE_MAX    2048
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *file, *driver;
    uint8_t format;
} captures[] = {
    {"nonin-df2", "nonin-df2", 2},
    {"nonin-df7", "nonin-df7", 7},
    {"nonin-df8", "nonin-df8", 8},
    {"nonin-df13", "nonin-df13", 13},
};

static const enum modbus_framing framings[] = {MODBUS_RTU, MODBUS_TCP};
static int failures;

static void verdict(bool good, const char *format, ...)
{
    va_list arguments;

    printf(good ? "pass: " : "fail: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    failures += !good;
}

/* --- Bytes --- */

struct text { /* what the driver said, a line a set */
    size_t used, sets;
    char at[TEXT_MAX];
};

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(text->at + text->used, sizeof(text->at) - text->used, format,
                      arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof(text->at) - text->used)
        abort(); /* the captures are small */
    text->used += (size_t)n;
}

static void on_set(void *context, const struct observation_set *set)
{
    struct text *text = context;
    const struct device_time *t = &set->device_time;

    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        if (o->kind == OBSERVATION_NUMERIC)
            add(text, "%lld", (long long)o->mantissa);
        else
            add(text, "-");
        add(text, "/%u ", o->quality);
    }
    if (t->present)
        add(text, "%04u-%02u-%02uT%02u:%02u:%02u ", t->year, t->month, t->day, t->hour,
            t->minute, t->second);
    add(text, "%s\n", set->stored ? "stored" : "live");
    text->sets++;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    (void)context;
    (void)fault;
    (void)bytes;
}

static void decode(const char *name, const uint8_t *bytes, size_t size, size_t piece,
                   struct text *out)
{
    const struct driver *driver = driver_by_name(name);
    const struct driver_sink sink = {out, on_set, on_fault};
    void *state = malloc(driver->state_size);

    if (!state)
        abort();
    out->used = out->sets = 0;
    out->at[0] = '\0';
    driver->init(state);
    for (size_t at = 0; at < size; at += piece)
        driver->feed(state, bytes + at, piece < size - at ? piece : size - at, &sink);
    free(state);
}

static size_t load(const char *folder, const char *name, const char *suffix, void *out,
                   size_t size)
{
    char path[512];
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    file = fopen(path, "rb");
    if (!file)
        return 0;
    n = fread(out, 1, size - 1, file);
    fclose(file);
    ((char *)out)[n] = '\0';
    return n;
}

static void replay_one(const char *folder, const char *file, const char *driver)
{
    static const size_t pieces[] = {BYTES_MAX, 1, 3, 64};
    static uint8_t bytes[BYTES_MAX];
    static char want[TEXT_MAX];
    static struct text got;
    size_t size = load(folder, file, ".bin", bytes, sizeof(bytes));
    bool good = load(folder, file, ".txt", want, sizeof(want)) > 0 && size > 0 &&
                driver_by_name(driver) != NULL;

    for (size_t p = 0; good && p < COUNT(pieces); p++) {
        decode(driver, bytes, size, pieces[p], &got);
        good = strcmp(got.at, want) == 0;
    }
    verdict(good, "%s.bin: %zu bytes, %zu sets, %zu ways of cutting it", file, size,
            got.sets, COUNT(pieces));
}

static void replay(const char *folder)
{
    for (size_t i = 0; i < COUNT(captures); i++)
        replay_one(folder, captures[i].file, captures[i].driver);
}

/* What `wardgate record` made: the driver's name stands before the '@'. */
static void replay_recorded(const char *folder)
{
    DIR *files = opendir(folder);
    const struct dirent *file;

    while (files && (file = readdir(files)) != NULL) {
        size_t n = strlen(file->d_name), at = strcspn(file->d_name, "@");
        char name[256], driver[256];
        if (at == n || n < 4 || strcmp(file->d_name + n - 4, ".bin") != 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)n - 4, file->d_name);
        snprintf(driver, sizeof(driver), "%.*s", (int)at, file->d_name);
        replay_one(folder, name, driver);
    }
    if (files)
        closedir(files);
}

/* A minute's course of one patient: rising, finger off and on again, weak and moving. */
static struct nonin_values course(unsigned second)
{
    struct nonin_values v = {.pulse = (int16_t)(72 + second * 5),
                             .spo2 = (int16_t)(98 - second / 2),
                             .smartpoint = second % 4 != 0,
                             .artefact = second == 5,
                             .low_perfusion = second == 6,
                             .sensor_alarm = second == 8,
                             .from_memory = second % 2,
                             .no_measurement = second == 11,
                             .time = {2026, 7, 22, 14, 5, (uint8_t)second, true}};

    if (second == 9)
        v.pulse = v.spo2 = NONIN_MISSING;
    return v;
}

static int record(const char *folder)
{
    static const struct nonin_fault faults[] = {{2, NONIN_FAULT_GARBAGE, 17},
                                                {5, NONIN_FAULT_FLIP, 77},
                                                {8, NONIN_FAULT_DROP, 61},
                                                {13, NONIN_FAULT_SILENT, 0}};
    static uint8_t bytes[BYTES_MAX];
    static struct text text;
    char path[512];

    for (size_t i = 0; i < COUNT(captures); i++) {
        struct nonin_emulator e;
        size_t size = 0;
        nonin_emulator_init(&e, captures[i].format, 0);
        e.faults = faults;
        e.fault_count = COUNT(faults);
        for (unsigned second = 0; second < 16; second++) {
            struct emulate_output out = {0};
            struct nonin_values v = course(second);
            uint64_t again;
            nonin_emulator_measure(&e, &v);
            nonin_emulator_tick(&e, second * 1000000u + 900000u, &out, &again);
            for (size_t b = 0; b < out.count; b++) {
                memcpy(bytes + size, out.bursts[b].bytes, out.bursts[b].size);
                size += out.bursts[b].size;
            }
        }
        decode(captures[i].driver, bytes, size, size, &text);
        for (int part = 0; part < 2; part++) {
            snprintf(path, sizeof(path), "%s/%s%s", folder, captures[i].file,
                     part ? ".txt" : ".bin");
            FILE *file = fopen(path, "wb");
            size_t n = part ? text.used : size;
            if (!file || fwrite(part ? (void *)text.at : bytes, 1, n, file) != n ||
                fclose(file) != 0) {
                perror(path);
                return EXIT_FAILURE;
            }
        }
    }
    return EXIT_SUCCESS;
}

/* --- Values --- */

struct monitor {
    const struct regmap *map;
    struct modbus_unit unit;
    struct modbus_slave slave;
    const char *columns[COLUMNS_MAX];
    size_t column_count;
    size_t rows, values, absent, wrong;
};

/* One request of the plan over the emulated line; returns the reply's data, or NULL. */
static const uint8_t *ask(struct monitor *m, const struct regmap_block *b, uint8_t *reply)
{
    const uint8_t pdu[] = {b->function, (uint8_t)(b->address >> 8), (uint8_t)b->address,
                           (uint8_t)(b->count >> 8), (uint8_t)b->count};
    struct emulate_output out = {0};
    uint8_t frame[16] = {0};
    bool tcp = m->slave.framing == MODBUS_TCP;

    if (tcp) {
        const uint8_t head[] = {0, 7, 0, 0, 0, 6, m->unit.unit};
        memcpy(frame, head, sizeof(head));
        memcpy(frame + 7, pdu, sizeof(pdu));
    } else {
        frame[0] = m->unit.unit;
        memcpy(frame + 1, pdu, sizeof(pdu));
        uint16_t crc = checksum_modbus(frame, 6);
        frame[6] = (uint8_t)crc;
        frame[7] = (uint8_t)(crc >> 8);
    }
    modbus_slave_feed(&m->slave, frame, tcp ? 12 : 8, 0, &out);
    if (out.count != 1)
        return NULL;
    memcpy(reply, out.bursts[0].bytes, out.bursts[0].size);
    if (!tcp && checksum_modbus(reply, out.bursts[0].size) != 0)
        return NULL;
    reply += tcp ? 7 : 1;
    return reply[0] == b->function && reply[1] == b->count * 2 ? reply + 2 : NULL;
}

/* Does this observation read exactly as the cell was written? */
static bool same(const struct observation *o, const char *cell)
{
    char text[DECIMAL_TEXT_MAX] = "";

    if (!cell[0])
        return o->kind == OBSERVATION_ABSENT && o->mantissa == 0;
    decimal_format((struct decimal){o->mantissa, o->exponent}, text, sizeof(text));
    return o->kind == OBSERVATION_NUMERIC && strcmp(text, cell) == 0;
}

static const struct regmap_field *field_by_name(const struct regmap *map,
                                                const char *name)
{
    for (uint16_t i = 0; i < map->field_count; i++)
        if (strcmp(map->fields[i].name, name) == 0 &&
            map->fields[i].role == REGMAP_OBSERVE)
            return &map->fields[i];
    return NULL;
}

/* Serves one row, reads it back and compares it, column by column. */
static void serve(struct monitor *m, char **cells)
{
    static uint8_t reply[REGMAP_BLOCKS_MAX][EMULATE_BURST_MAX];
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {NULL};
    struct observation_set set;
    struct regmap_plan plan;
    char sample[24];

    snprintf(sample, sizeof(sample), "%zu", ++m->rows);
    m->wrong += modbus_unit_set(&m->unit, "sample", sample) != EMULATE_OK;
    for (size_t i = 0; i < m->column_count; i++)
        if (m->columns[i])
            m->wrong += modbus_unit_set(&m->unit, m->columns[i], cells[i]) != EMULATE_OK;
    m->wrong += regmap_plan(m->map, NULL, &plan) != REGMAP_OK;
    for (size_t b = 0; b < plan.count; b++) {
        data[b] = ask(m, &plan.blocks[b], reply[b]);
        m->wrong += data[b] == NULL;
    }
    m->wrong += regmap_decode(m->map, &plan, data, &set, NULL) != REGMAP_OK;
    m->wrong += !set.has_sample || set.sample != m->rows;
    for (size_t i = 0; i < m->column_count; i++) {
        const struct regmap_field *f =
            m->columns[i] ? field_by_name(m->map, m->columns[i]) : NULL;
        for (size_t o = 0; f && o < set.count; o++)
            if (set.items[o].code == f->code) {
                m->wrong +=
                    !same(&set.items[o], cells[i]) || set.items[o].unit != f->unit;
                m->values += cells[i][0] != '\0';
                m->absent += cells[i][0] == '\0';
            }
    }
}

/* Splits a line of CSV without quotes in place; returns how many cells. */
static size_t split(char *line, char **cells)
{
    size_t count = 0;

    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; count < COLUMNS_MAX; at++) {
        cells[count++] = at;
        at += strcspn(at, ",");
        if (!*at)
            break;
        *at = '\0';
    }
    return count;
}

static bool monitor_start(struct monitor *m, enum modbus_framing framing)
{
    memset(m, 0, sizeof(*m));
    m->map = regmap_by_name("wardgate-monitor");
    if (!m->map || modbus_unit_init(&m->unit, 17, m->map))
        return false;
    modbus_slave_init(&m->slave, framing, &m->unit, 1);
    return true;
}

/* A whole recording; lines come from `next`, NULL at the end. */
static void recording(const char *name, enum modbus_framing framing,
                      char *(*next)(void *context, char *line), void *context)
{
    struct monitor m;
    char head[LINE_MAX], line[LINE_MAX], *cells[COLUMNS_MAX] = {NULL};
    size_t left_out = 0;

    if (!monitor_start(&m, framing) || !next(context, head)) {
        verdict(false, "%s: cannot start", name);
        return;
    }
    m.column_count = split(head, cells);
    for (size_t i = 0; i < m.column_count; i++) {
        m.columns[i] = field_by_name(m.map, cells[i]) ? cells[i] : NULL;
        left_out += !m.columns[i];
    }
    while (next(context, line)) {
        if (split(line, cells) != m.column_count) {
            m.wrong++;
            continue;
        }
        if (m.wrong == 0)
            serve(&m, cells);
    }
    verdict(m.wrong == 0 && m.rows > 0 && m.values > 0 && m.slave.writes == 0,
            "%s over %s: %zu rows, %zu values digit for digit, %zu absent, %zu columns "
            "without a field",
            name, framing == MODBUS_TCP ? "TCP" : "RTU", m.rows, m.values, m.absent,
            left_out);
}

static char *from_file(void *context, char *line)
{
    return fgets(line, LINE_MAX, context);
}

static void recordings(const char *folder)
{
    char path[1024];
    struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/vitals", folder);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".csv") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/vitals/%s", folder, entry->d_name);
        for (size_t f = 0; f < COUNT(framings); f++) {
            FILE *file = fopen(path, "r");
            if (!file)
                continue;
            recording(entry->d_name, framings[f], from_file, file);
            fclose(file);
            count++;
        }
    }
    if (dir)
        closedir(dir);
    if (count == 0)
        printf("skip: recordings: no recordings in %s/vitals\n", folder);
}

/* A generated recording: every width of number that the monitor's format has, and gaps.
 */
struct generator {
    size_t line;
    uint64_t seed;
};

static uint64_t draw(struct generator *g)
{
    g->seed ^= g->seed >> 12;
    g->seed ^= g->seed << 25;
    g->seed ^= g->seed >> 27;
    return g->seed * 0x2545F4914F6CDD1Dull;
}

static char *generated(void *context, char *line)
{
    static const char *const names[] = {"HR",     "PULSE",   "RESP",    "SpO2",
                                        "NBPSys", "NBPDias", "NBPMean", "TEMP",
                                        "ABPSys", "ABPDias", "ABPMean", "CVP",
                                        "etCO2",  "ICP",     "PI",      "FiO2",
                                        "PEEP"};
    struct generator *g = context;
    size_t used = 0;

    if (g->line++ == 2000)
        return NULL;
    for (size_t i = 0; i < COUNT(names); i++) {
        char cell[40] = "";
        struct decimal d = {(int64_t)(draw(g) % 16777000) - 8388500,
                            (int16_t) - (int)(draw(g) % 5)};
        if (draw(g) % 2)
            d.mantissa %= 3000;
        if (g->line == 1)
            snprintf(cell, sizeof(cell), "%s", names[i]);
        else if (draw(g) % 5)
            decimal_format(d, cell, sizeof(cell));
        used +=
            (size_t)snprintf(line + used, LINE_MAX - used, "%s%s", i ? "," : "", cell);
    }
    return line;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--record") == 0)
        return record(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--recorded") == 0) {
        replay_recorded(argv[2]);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: captures_replay CAPTURES RECORDINGS\n"
                        "       captures_replay --record CAPTURES\n"
                        "       captures_replay --recorded CAPTURES\n");
        return EXIT_FAILURE;
    }
    replay(argv[1]);
    replay_recorded(argv[1]);
    recordings(argv[2]);
    for (size_t f = 0; f < COUNT(framings); f++) {
        struct generator g = {0, 20260722};
        recording("generated", framings[f], generated, &g);
    }
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
