/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate bundle`: what somebody far away needs to help. No measured value, no key, no
 * certificate; a gateway knows no patient, and this file makes sure that it says nothing
 * about one (P8).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define CONFIG_DEFAULT "/etc/wardgate/wardgated.yaml"
#define CONFIG_MAX     ((size_t)1 << 20)
#define LOG_MAX        ((size_t)64 << 20)
#define LOG_KEPT       ((size_t)256 << 10) /* bytes at the end of a log */
#define RECORDS        500                 /* newest records looked at */

static const char help[] =
    "usage: wardgate bundle [--config FILE] [--log FILE] [--out FILE] [--socket PATH] "
    "[--json]\n"
    "\n"
    "One JSON file for whoever helps from afar: versions, status, devices, queue, the "
    "configuration, the\n"
    "newest events and gaps, and the end of a log. Measured values, device texts and "
    "wristband digests are\n"
    "left out, and so are keys and certificates (the configuration names their paths "
    "only).\n"
    "\n"
    "  wardgate bundle                                     wardgate-bundle.json\n"
    "  journalctl -u wardgated -n 2000 > /tmp/wardgated.log; wardgate bundle --log "
    "/tmp/wardgated.log\n"
    "\n"
    "A daemon that does not answer is no reason to give up: the file says so. FILE of "
    "--config is\n" CONFIG_DEFAULT
    " if not given. --json prints it instead of writing a file.\n"
    "\n"
    "Exit codes: 0 written, 1 written but something did not answer or could not be read, "
    "64 called wrongly,\n"
    "74 the file can't be written.\n";

struct job {
    const char *config, *log, *out, *socket;
    bool json;
    json_t *bundle;
    int missing;
};

/* The daemon's answer under its verb's name. */
static void add_answer(struct job *job, const char *verb)
{
    json_t *answers;

    if (ask(job->socket, SOCKET_GATEWAY, json_pack("{s:s}", "do", verb), &answers) ==
        TOOL_OK) {
        (void)json_object_set(job->bundle, verb, json_array_get(answers, 0));
        json_decref(answers);
        return;
    }
    job->missing++;
    (void)json_object_set_new(job->bundle, verb, json_string("no answer"));
}

/* Events, gaps and clock fixes whole; of a reading which device, when and how many
 * values. Whatever is new in a record stays out until somebody has thought about it. */
static json_t *harmless(const json_t *record)
{
    static const char *const kept[] = {"seq",    "kind",  "device", "place", "time",
                                       "sample", "event", "detail", "gap",   "fix"};
    json_t *out = json_object(), *observations = json_object_get(record, "observations");

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (json_object_get(record, kept[i]) != NULL)
            (void)json_object_set(out, kept[i], json_object_get(record, kept[i]));
    if (observations != NULL)
        (void)json_object_set_new(out, "values",
                                  json_integer(
                                      (json_int_t)json_array_size(observations)));
    return out;
}

static void add_records(struct job *job)
{
    json_t *answers, *row, *list = json_array();
    size_t i;

    (void)json_object_set_new(job->bundle, "records", list);
    if (ask(job->socket, SOCKET_GATEWAY,
            json_pack("{s:s, s:i}", "do", "tail", "count", RECORDS),
            &answers) != TOOL_OK) {
        job->missing++;
        return;
    }
    json_array_foreach(answers, i, row)
    {
        if (json_object_get(row, "kind") != NULL)
            (void)json_array_append_new(list, harmless(row));
    }
    json_decref(answers);
}

/* A file's last bytes as text; what is no text becomes a question mark. */
static void add_file(struct job *job, const char *name, const char *path, size_t maximum,
                     size_t kept)
{
    uint8_t *bytes;
    ssize_t n = file_read(path, maximum, &bytes);
    size_t from;

    if (n < 0) {
        job->missing++;
        (void)tool_fail(0, "%s: %s", path, strerror((int)-n));
        (void)json_object_set_new(job->bundle, name,
                                  json_sprintf("%s", strerror((int)-n)));
        return;
    }
    from = (size_t)n > kept ? (size_t)n - kept : 0;
    for (size_t i = from; i < (size_t)n; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t') || bytes[i] > '~')
            bytes[i] = '?';
    (void)json_object_set_new(job->bundle, name,
                              json_stringn((const char *)bytes + from, (size_t)n - from));
    free(bytes);
}

static void add_machine(struct job *job)
{
    struct utsname machine;

    if (uname(&machine) != 0)
        return;
    (void)json_object_set_new(job->bundle, "machine",
                              json_pack("{s:s, s:s, s:s}", "system", machine.sysname,
                                        "kernel", machine.release, "cpu",
                                        machine.machine));
}

static int write_bundle(const struct job *job)
{
    char *text;
    int error;

    if (job->json) {
        tool_print(json_incref(job->bundle));
        return TOOL_OK;
    }
    if ((text = json_dumps(job->bundle, JSON_INDENT(1))) == NULL)
        return tool_fail(TOOL_IO, "no memory");
    error = file_replace(job->out, text, strlen(text), 0600);
    free(text);
    if (error != 0)
        return tool_fail(TOOL_IO, "%s: %s", job->out, strerror(-error));
    (void)printf("%s: look through it before you send it\n", job->out);
    return TOOL_OK;
}

int verb_bundle(int argc, char **argv)
{
    struct job job = {.config = CONFIG_DEFAULT, .out = "wardgate-bundle.json"};
    const struct tool_option options[] = {{"config", &job.config, NULL},
                                          {"log", &job.log, NULL},
                                          {"out", &job.out, NULL},
                                          {"socket", &job.socket, NULL},
                                          {NULL, NULL, NULL}};
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &job.json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("bundle", "takes no operand");
    job.bundle = json_pack("{s:s}", "wardgate", WARDGATE_VERSION);
    add_machine(&job);
    add_answer(&job, "status");
    add_answer(&job, "devices");
    add_answer(&job, "queue");
    add_records(&job);
    add_file(&job, "config", job.config, CONFIG_MAX, CONFIG_MAX);
    if (job.log != NULL)
        add_file(&job, "log", job.log, LOG_MAX, LOG_KEPT);
    code = write_bundle(&job);
    json_decref(job.bundle);
    return code != TOOL_OK ? code : job.missing > 0 ? TOOL_FINDINGS : TOOL_OK;
}
