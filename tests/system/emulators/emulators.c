/* SPDX-License-Identifier: Apache-2.0
 *
 * emulators RECORDING.csv SECONDS: the recording's rows through every emulated device, as
 * `wardgate emulate` is run by people, over a pty into a real bus. What comes out must be
 * what the file says, to the digits that the device has: rounding is done here a second
 * time and from the file. A set that is of no row, or a row that never came, fails.
 *
 * Devices run at the same time, each with a clock as fast as its driver can bear; those
 * that must be asked show only as many rows as SECONDS allow.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"
#include "tool/emulate_kinds.h"
#include "tool/emulate_source.h"

#define ROWS_MAX  2000
#define KINDS_MAX 64
#define ABSENT    INT64_MIN

extern char **environ;

/* The recording's columns and the quantities that drivers call them. */
static const struct {
    const char *name;
    uint32_t codes[5]; /* 0 ends them */
} columns[] = {
    {"HR", {147842}},
    {"PULSE", {149530}},
    {"RESP", {151562, 151578, 151586, 151594}},
    {"SpO2", {150456}},
    {"NBPSys", {150021}},
    {"NBPDias", {150022}},
    {"NBPMean", {150023}},
};

#define COLUMNS (sizeof columns / sizeof columns[0])

/* How fast a device's clock may run, and for how long it must show a row so that even a
 * rule of agreement lets it through. Any other: its own clock, and rows as it says them.
 */
static const struct pace {
    const char *kind;
    unsigned speed, row_ms;
} paces[] = {
    {"nonin-df2", 20, 145},   {"nonin-df7", 20, 145},    {"nonin-df8", 20, 250},
    {"nonin-df13", 20, 145},  {"contec-v7", 1, 2600},    {"contec-5byte", 10, 300},
    {"nonin-8500", 20, 145},  {"nellcor-n595", 40, 145}, {"masimo-ascii1", 20, 145},
    {"ivy-ansar-b", 20, 145}, {"pb840", 1, 2800},        {"wardgate-monitor", 1, 60},
};

#define ASKED_MS   5100 /* a round of requests of the slowest driver */
#define UNHEARD_MS 400  /* so long the first row is shown before the line is open */

/* A number as the file has it. */
struct value {
    int64_t mantissa; /* ABSENT: none */
    int exponent;
};

static struct value file_rows[ROWS_MAX][COLUMNS];
static size_t file_count;
static char folder[256];
static unsigned seconds;

struct job {
    const char *name; /* of the driver or profile */
    const struct emulate_kind *kind;
    struct pace pace;
    size_t rows[ROWS_MAX], row_count; /* of the file, those that are shown */
    bool carries[COLUMNS];
    size_t at; /* of rows: the newest that came whole */
    bool came[ROWS_MAX];
    uint64_t sets, values, wrong, exact, rounded, beyond;
    char last[200];
    pthread_t thread;
};

/* "" is absent; digits behind the point count. */
static struct value parse(const char *text)
{
    struct value v = {0, 0};
    bool point = false;

    if (*text == '\0')
        return (struct value){ABSENT, 0};
    for (; *text != '\0'; text++) {
        if (*text == '.') {
            point = true;
        } else {
            v.mantissa = v.mantissa * 10 + (*text - '0');
            v.exponent -= point;
        }
    }
    return v;
}

static bool load(const char *path)
{
    struct emulate_source *source;
    struct emulate_row row;
    char error[300];

    if (emulate_source_csv(path, &source, error, sizeof error) != 0) {
        (void)fprintf(stderr, "%s\n", error);
        return false;
    }
    while (file_count < ROWS_MAX && emulate_source_next(source, &row)) {
        for (size_t c = 0; c < COLUMNS; c++)
            file_rows[file_count][c].mantissa = ABSENT;
        for (size_t i = 0; i < emulate_source_columns(source); i++)
            for (size_t c = 0; c < COLUMNS; c++)
                if (strcmp(emulate_source_column(source, i), columns[c].name) == 0)
                    file_rows[file_count][c] = parse(row.values[i]);
        file_count++;
    }
    emulate_source_free(source);
    return file_count > 0;
}

static int64_t power(int n)
{
    int64_t ten = 1;

    while (n-- > 0)
        ten *= 10;
    return ten;
}

/* Half away from zero, straight from the file's digits. */
static int64_t rounded(struct value v, int exponent)
{
    int64_t unit = 1;

    while (v.exponent < exponent) {
        unit *= 10;
        v.exponent++;
    }
    return (v.mantissa + unit / 2) / unit;
}

/* Devices that say whole numbers may round; those of four columns may where the number is
 * longer; a profile may not. */
static bool may_round(const struct job *job, struct value v)
{
    int64_t whole = rounded(v, 0);

    if (job->kind == NULL)
        return false;
    if (strncmp(job->name, "medibus", 7) == 0)
        return v.exponent < -2 || whole >= (v.exponent == -1 ? 100 : 10);
    return v.exponent < 0;
}

/* A value that the device cannot say at all comes as none: the pulse of 277 of a device
 * whose pulse is a byte. */
static bool is_beyond(const struct job *job, size_t column, struct value v)
{
    int64_t whole = rounded(v, 0);

    return strncmp(job->name, "contec", 6) == 0 && column == 1 && whole > 250;
}

/* Whether an observation says what the row has. */
static bool says(struct job *job, const struct observation *o, size_t column,
                 struct value v, bool count)
{
    bool same = false;

    if (o == NULL || o->kind != OBSERVATION_NUMERIC) {
        bool beyond = v.mantissa != ABSENT && is_beyond(job, column, v);

        job->beyond += beyond && count;
        return v.mantissa == ABSENT || beyond;
    }
    if (v.mantissa == ABSENT)
        return false;
    /* Some devices always send two digits behind the point: 87.00 is the file's 87. */
    if (o->exponent <= v.exponent)
        same = o->mantissa == v.mantissa * power(v.exponent - o->exponent);
    if (!same && !(may_round(job, v) && o->exponent > v.exponent &&
                   o->mantissa == rounded(v, o->exponent)))
        return false;
    job->exact += same && count;
    job->rounded += !same && count;
    return true;
}

static const struct observation *find(const struct observation_set *set, size_t column)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < 5 && columns[column].codes[k] != 0; k++)
            if (set->items[i].code == columns[column].codes[k])
                return &set->items[i];
    return NULL;
}

static bool whole_row(struct job *job, const struct observation_set *set, size_t row,
                      bool count)
{
    for (size_t c = 0; c < COLUMNS; c++)
        if (job->carries[c] &&
            !says(job, find(set, c), c, file_rows[job->rows[row]][c], count))
            return false;
    return true;
}

/* Between two rows some values may be of one and some of the other, or missing until they
 * agree; but none may be of neither. */
static bool mixed(struct job *job, const struct observation_set *set)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        const struct observation *o = find(set, c);
        bool good = o == NULL || o->kind != OBSERVATION_NUMERIC;

        if (!job->carries[c])
            continue;
        for (size_t row = job->at; !good && row < job->at + 3 && row < job->row_count;
             row++)
            good = says(job, o, c, file_rows[job->rows[row]][c], false);
        if (!good)
            return false;
    }
    return true;
}

static void judge(struct job *job, const struct observation_set *set)
{
    size_t next = job->at + 1;

    job->sets++;
    for (size_t c = 0; c < COLUMNS; c++) {
        const struct observation *o = find(set, c);

        job->values += job->carries[c] && o != NULL && o->kind == OBSERVATION_NUMERIC;
    }
    if (!job->came[0] && whole_row(job, set, 0, true)) {
        job->came[0] = true;
    } else if (next < job->row_count && whole_row(job, set, next, !job->came[next])) {
        job->came[next] = true;
        job->at = next;
    } else if (!whole_row(job, set, job->at, false) && !mixed(job, set)) {
        if (job->wrong++ == 0)
            (void)printf("%s: a set behind row %zu is of no row\n", job->name,
                         job->rows[job->at]);
    }
}

/* False: it must be asked, and says each row as often as it is. */
static bool is_paced(const struct job *job)
{
    return job->kind == NULL || job->kind->said == NULL || job->pace.row_ms != ASKED_MS;
}

/* Times that the first row is shown once more. */
static size_t unheard(const struct job *job)
{
    bool none = !is_paced(job) || job->kind == NULL || job->pace.row_ms > UNHEARD_MS;

    return none ? 0 : UNHEARD_MS / job->pace.row_ms + 1;
}

/* Which columns the device carries, and the rows that are shown: spread over the file if
 * there is no time for all; one that reads like the one before is left out. */
static void plan(struct job *job)
{
    size_t most = seconds * 1000u / job->pace.row_ms + !is_paced(job) - unheard(job);
    size_t step = 1;
    void *state = job->kind != NULL ? calloc(1, job->kind->state_size) : NULL;

    if (job->kind != NULL)
        job->kind->start(state, 0);
    for (size_t c = 0; c < COLUMNS; c++)
        job->carries[c] = job->kind == NULL ||
                          job->kind->show(state, columns[c].name, "") != EMULATE_NO_FIELD;
    free(state);
    if (most < file_count)
        step = (file_count + most - 1) / most;
    for (size_t row = step / 2; row < file_count; row += step) {
        const struct value *now = file_rows[row], *before;
        bool differs = job->row_count == 0, any = false;

        before = differs ? now : file_rows[job->rows[job->row_count - 1]];
        for (size_t c = 0; c < COLUMNS; c++) {
            if (!job->carries[c])
                continue;
            any = any || now[c].mantissa != ABSENT;
            differs = differs || now[c].mantissa != before[c].mantissa;
        }
        /* A row without any value shows nothing that could be waited for. */
        if (differs && any)
            job->rows[job->row_count++] = row;
    }
}

static void write_row(FILE *file, const struct value *row)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        int64_t unit = 1;

        for (int e = row[c].exponent; e < 0; e++)
            unit *= 10;
        (void)fputs(c > 0 ? "," : "\n", file);
        if (row[c].mantissa == ABSENT)
            continue;
        (void)fprintf(file, "%" PRId64, row[c].mantissa / unit);
        if (row[c].exponent < 0)
            (void)fprintf(file, ".%0*" PRId64, -row[c].exponent, row[c].mantissa % unit);
    }
}

/* The first row comes again until somebody must have been listening. */
static void write_rows(const struct job *job, const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        abort();
    for (size_t c = 0; c < COLUMNS; c++)
        (void)fprintf(file, "%s%s", c > 0 ? "," : "", columns[c].name);
    for (size_t i = 0; i < unheard(job); i++)
        write_row(file, file_rows[job->rows[0]]);
    for (size_t i = 0; i < job->row_count; i++)
        write_row(file, file_rows[job->rows[i]]);
    (void)fputc('\n', file);
    if (fclose(file) != 0)
        abort();
}

/* Starts the program; its last line of output is kept in path.out. */
static pid_t start(const struct job *job, const char *path, const char *csv, bool pace)
{
    char every[16], speed[16], out[400];
    posix_spawn_file_actions_t actions;
    const char *argv[24];
    size_t n = 0;
    pid_t pid;

    (void)snprintf(every, sizeof every, "%ums", pace ? job->pace.row_ms : 1);
    (void)snprintf(speed, sizeof speed, "%u", job->pace.speed);
    (void)snprintf(out, sizeof out, "%s.out", path);
    argv[n++] = "emulate";
    argv[n++] = (job->kind != NULL ? job->name : "modbus");
#define ADD(text) argv[n++] = (text)
    ADD("--pty");
    ADD(path);
    ADD("--baud");
    ADD("0");
    ADD("--every");
    ADD(every);
    ADD("--replay");
    ADD(csv);
    ADD("--exit-at-end");
    if (job->kind != NULL) {
        ADD("--speed");
        ADD(speed);
        ADD("--fit");
    } else {
        ADD("--profile");
        ADD(job->name);
    }
    if (!pace || job->kind == NULL)
        ADD("--each-row-once-read");
    argv[n] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_CREAT | O_WRONLY | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (posix_spawn(&pid, EMULATE, &actions, NULL, (char *const *)argv, environ) != 0)
        abort();
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* One device from its first row to its end. */
static void *work(void *context)
{
    struct job *job = context;
    const struct driver *driver = job->kind != NULL ? driver_by_name(job->name) : NULL;
    struct bus_device device = {.driver = driver};
    struct bus_setting setting = {.devices = &device, .device_count = 1};
    struct bus_item *item = malloc(sizeof *item);
    char path[320], csv[330];
    struct bus *bus;
    int status = -1;
    pid_t pid;

    (void)snprintf(path, sizeof path, "%.200s/%.60s", folder, job->name);
    (void)snprintf(csv, sizeof csv, "%s.csv", path);
    write_rows(job, csv);
    pid = start(job, path, csv, is_paced(job));
    for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
        usleep(5000);
    if (driver == NULL) {
        device = (struct bus_device){.unit = 1,
                                     .map = regmap_by_name(job->name),
                                     .every_ms = 20};
        setting.line = (struct port_line){.baud = 115200, .data_bits = 8, .stop_bits = 1};
    } else {
        /* A pty refuses parity: it has no bits to put it in. */
        setting.line = (struct port_line){.baud = driver->line.baud,
                                          .data_bits = driver->line.data_bits,
                                          .stop_bits = driver->line.stop_bits};
    }
    (void)snprintf(setting.line.path, sizeof setting.line.path, "%.250s", path);
    if (item == NULL || bus_start(&setting, &bus) != 0)
        abort();
    for (bool ended = false; !ended;) {
        ended = waitpid(pid, &status, WNOHANG) == pid;
        while (rig_item(bus, item, 10))
            if (item->kind == BUS_SAMPLE)
                judge(job, &item->sample.set);
    }
    bus_stop(bus);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)printf("%s: the emulator ended with %d\n", job->name, status);
        job->wrong++;
    }
    free(item);
    return NULL;
}

/* A row that never came, on a machine that may have stood still. */
static size_t missing(const struct job *job)
{
    size_t n = 0;

    for (size_t i = 0; i < job->row_count; i++)
        n += !job->came[i];
    return n;
}

static bool report(struct job *job)
{
    bool good;

    /* Once more and slower: what only a late machine lost comes now, what is wrong does
     * not. */
    if (missing(job) > 0 && job->wrong == 0) {
        (void)printf("%s: %zu of %zu rows did not come; again, at half the speed\n",
                     job->name, missing(job), job->row_count);
        job->pace.row_ms *= 2;
        job->at = 0;
        memset(job->came, 0, sizeof job->came);
        (void)work(job);
    }
    good = missing(job) == 0 && job->wrong == 0 && job->exact + job->rounded > 0;
    (void)printf("%s: %s: %zu of %zu rows, %" PRIu64 " sets, %" PRIu64
                 " values, in rows: %" PRIu64 " every digit, %" PRIu64
                 " to the device's digits, %" PRIu64
                 " more than it can say; wrong %" PRIu64 "\n",
                 good ? "pass" : "fail", job->name, job->row_count - missing(job),
                 job->row_count, job->sets, job->values, job->exact, job->rounded,
                 job->beyond, job->wrong);
    return good;
}

static struct job jobs[KINDS_MAX];

int main(int argc, char **argv)
{
    const struct emulate_kind *kind = NULL;
    size_t count = 0;
    bool good = true;

    if (argc != 3 || (seconds = (unsigned)atoi(argv[2])) == 0 || !load(argv[1]) ||
        temporary_folder(folder) != 0)
        return 64;
    for (size_t i = 0; i == 0 || kind != NULL; i++) {
        struct job *job = &jobs[count];

        kind = emulate_kind_at(i);
        job->kind = kind;
        job->name = kind != NULL ? kind->name : "wardgate-monitor";
        job->pace = (struct pace){job->name, 1, ASKED_MS};
        for (size_t p = 0; p < sizeof paces / sizeof paces[0]; p++)
            if (strcmp(paces[p].kind, job->name) == 0)
                job->pace = paces[p];
        plan(job);
        if (job->row_count > 0)
            count++;
        if (count == KINDS_MAX)
            break;
    }
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]) != 0)
            abort();
    for (size_t i = 0; i < count; i++)
        pthread_join(jobs[i].thread, NULL);
    for (size_t i = 0; i < count; i++)
        good = report(&jobs[i]) && good;
    temporary_remove(folder);
    return good ? 0 : 1;
}
