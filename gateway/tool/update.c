/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate update`: puts new firmware on a bed node over its bus, sees it start, and
 * confirms it. What could not be confirmed is undone by the node itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "drivers/checksum.h"
#include "tool/lend.h"
#include "tool/tool.h"
#include "tool/update_file.h"
#include "tool/update_link.h"
#include "tool/verbs.h"

#define CHECK_SIZE   1024 /* bytes of one check of what is there already */
#define TRIES        5
#define KEY_FILE_MAX 8192
#define BACK_S       30 /* a node's start: verify two images, and its own watchdog */
#define HASH_TRIES   4096
#define STUCK_MAX    16 /* times that a node may go back before it is given up */

static const char help[] =
    "usage: wardgate update NODE FILE (--bus NAME | --port PATH) --key firmware.pub\n"
    "                       [--baud 19200] [--parity even|odd|none] [--socket PATH] "
    "[--json]\n"
    "       wardgate update NODE --port PATH          says what runs on the node\n"
    "\n"
    "Updates the bed node with Modbus address NODE (1-247) with FILE, which 'wardgate "
    "sign' made. A wardgated\n"
    "that runs on this board lends its line for as long as it takes (about a minute for "
    "64 KiB at 19,200 baud):\n"
    "all devices of the bus get a gap that says so, and are read again afterwards, also "
    "if this program is killed.\n"
    "--bus is the name in its configuration; its settings for the line are then used. "
    "Where no wardgated runs,\n"
    "or the line is none of its own: --port, --baud, --parity.\n"
    "\n"
    "  wardgate update 1 node-1.4.bin --bus bay --key firmware.pub\n"
    "\n"
    "Before anything is sent: every image's hash and signature, the board, that the node "
    "has room, a newer\n"
    "version and no lower security counter. The node goes on working until it restarts. "
    "If "
    "the new version does\n"
    "not start, or can't be reached, the node goes back to the old one by itself at its "
    "next start.\n"
    "Interrupted at any point, the same command goes on where it was.\n"
    "\n"
    "Exit codes: 0 the new version runs and is confirmed (or ran already), 1 the node "
    "went back to the old\n"
    "version or refused, 64 called wrongly, 69 no answer or the line is busy, 74 files, "
    "78 "
    "the file is not for\n"
    "this node, or not signed with this key.\n";

/* What one update needs all the way. */
struct job {
    struct update_link *link;
    struct lend *lend; /* the line is wardgated's; NULL: it is not */
    const char *path;
    bool json;
    const struct update_image *it;
    struct update_state state;
    unsigned percent; /* last shown; 101: nothing yet */
    unsigned kept;    /* bytes that were there already */
};

/* A phase, for whoever watches; on stderr for a person, who may have redirected stdout.
 */
static void say(struct job *job, const char *phase)
{
    if (job->json)
        tool_print(json_pack("{s:s, s:I, s:I}", "phase", phase, "bytes",
                             (json_int_t)job->state.next, "of",
                             (json_int_t)job->it->image.total_size));
    else
        (void)fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", phase);
    (void)fflush(stdout);
}

/* Every tenth as JSON or into a file, every percent on a terminal. */
static void progress(struct job *job)
{
    unsigned percent =
        (unsigned)((uint64_t)job->state.next * 100 / job->it->image.total_size);
    bool terminal = isatty(STDERR_FILENO) && !job->json;

    if (!terminal)
        percent = percent / 10 * 10;
    if (percent == job->percent)
        return;
    job->percent = percent;
    if (job->json)
        say(job, "writing");
    else
        (void)fprintf(stderr, terminal ? "\rwriting %u %%" : "writing %u %%\n", percent);
}

static int no_answer(const struct job *job, int error)
{
    return tool_fail(TOOL_UNAVAILABLE, "%s: %s%s", job->path, port_error_text(error),
                     error == PORT_BUSY
                         ? ": another program (wardgated?) holds the line"
                         : "; the node keeps what it has, run this again to go on");
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* What the node refused with; firmware/update_server.h has the numbers. */
static int refused(const struct job *job)
{
    static const char *const own[] = {"it runs a version that is as new, or newer",
                                      "what it runs is not confirmed: restart it first",
                                      "its flash gave an error",
                                      "what it has written is not what was sent"};
    unsigned i = (unsigned)(-64 - job->state.error);

    return tool_fail(TOOL_FINDINGS, "the node refused: %s",
                     i < sizeof(own) / sizeof(own[0])
                         ? own[i]
                         : image_error_text(job->state.error));
}

/* Header and TLVs, by which the node judges before it writes. */
static int begin(struct job *job)
{
    const struct image *image = &job->it->image;
    uint8_t pdu[253] = {UPDATE_FUNCTION, UPDATE_BEGIN};
    const uint8_t *reply;
    size_t n;
    int error;

    if (2 + IMAGE_HEADER_SIZE + image->tlvs_size > sizeof(pdu))
        return tool_fail(TOOL_CONFIG, "the image has more TLVs than one request takes");
    memcpy(pdu + 2, job->it->bytes, IMAGE_HEADER_SIZE);
    memcpy(pdu + 2 + IMAGE_HEADER_SIZE,
           job->it->bytes + image->payload_at + image->payload_size, image->tlvs_size);
    error = update_link_ask(job->link, pdu, 2 + IMAGE_HEADER_SIZE + image->tlvs_size,
                            TRIES, &reply, &n);
    if (error != PORT_OK)
        return no_answer(job, error);
    if (!update_state_read(reply, n, &job->state))
        return no_answer(job, PORT_LENGTH);
    return job->state.state == UPDATE_RECEIVING ? TOOL_OK : refused(job);
}

/* Passes over what an earlier try, or an earlier version, left in place. */
static int keep(struct job *job)
{
    const struct image *image = &job->it->image;

    for (bool same = true; same && job->state.next < image->total_size;) {
        uint8_t pdu[12] = {UPDATE_FUNCTION, UPDATE_CHECK};
        uint32_t at = job->state.next, length = image->total_size - at;
        const uint8_t *reply;
        uint16_t crc;
        size_t n;
        int error;
        if (length > CHECK_SIZE)
            length = CHECK_SIZE;
        crc = checksum_modbus(job->it->bytes + at, length);
        put32(pdu + 2, at);
        put32(pdu + 6, length);
        pdu[10] = (uint8_t)(crc >> 8);
        pdu[11] = (uint8_t)crc;
        error = update_link_ask(job->link, pdu, sizeof(pdu), TRIES, &reply, &n);
        if (error != PORT_OK || n != 7)
            return no_answer(job, error != PORT_OK ? error : PORT_LENGTH);
        /* A reply that was lost makes the second try a check at the wrong place: the
         * node's own number counts. */
        job->state.next = get32(reply + 3);
        same = job->state.next > at;
    }
    job->kept = job->state.next;
    return TOOL_OK;
}

static int write_blocks(struct job *job)
{
    const struct image *image = &job->it->image;
    int stuck = 0;

    while (job->state.next < image->total_size) {
        uint8_t pdu[6 + UPDATE_BLOCK_MAX] = {UPDATE_FUNCTION, UPDATE_DATA};
        uint32_t at = job->state.next, size = image->total_size - at;
        const uint8_t *reply;
        size_t n;
        int error;
        if (size > job->state.block)
            size = job->state.block;
        put32(pdu + 2, at);
        memcpy(pdu + 6, job->it->bytes + at, size);
        error = update_link_ask(job->link, pdu, 6 + size, TRIES, &reply, &n);
        if (error == PORT_EXCEPTION &&
            update_link_state(job->link, UPDATE_STATUS, TRIES, &job->state) == PORT_OK)
            return refused(job);
        if (error != PORT_OK || n != 6)
            return no_answer(job, error != PORT_OK ? error : PORT_LENGTH);
        job->state.next = get32(reply + 2);
        if (job->state.next > image->total_size ||
            (job->state.next <= at && ++stuck > STUCK_MAX))
            return tool_fail(TOOL_FINDINGS, "the node does not get past byte %u",
                             (unsigned)at);
        progress(job);
    }
    return TOOL_OK;
}

/* The node hashes what it has a little with each question. */
static int finish(struct job *job)
{
    int error = update_link_state(job->link, UPDATE_FINISH, 1, &job->state);

    /* Asked twice it refuses: the first answer may have been the one that was lost. */
    for (int i = 0; i < HASH_TRIES; i++) {
        if (error == PORT_OK && job->state.state != UPDATE_HASHING)
            break;
        error = update_link_state(job->link, UPDATE_STATUS, TRIES, &job->state);
    }
    if (error != PORT_OK)
        return no_answer(job, error);
    return job->state.state == UPDATE_READY ? TOOL_OK : refused(job);
}

/* Restarts the node and waits until one of its programs answers. */
static int restart(struct job *job)
{
    const uint8_t pdu[] = {UPDATE_FUNCTION, UPDATE_RESTART}, *reply;
    uint64_t until = clock_monotonic_us() + BACK_S * (uint64_t)US_PER_S;
    size_t n;
    int error;

    (void)update_link_ask(job->link, pdu, sizeof(pdu), 1, &reply, &n);
    do
        error = update_link_state(job->link, UPDATE_STATUS, 1, &job->state);
    while ((error != PORT_OK || job->state.state == UPDATE_READY) &&
           clock_monotonic_us() < until);
    return error == PORT_OK ? TOOL_OK : no_answer(job, error);
}

static bool runs(const struct job *job)
{
    return job->state.running != UPDATE_NO_SLOT &&
           image_version_compare(&job->state.version, &job->it->image.version) == 0;
}

static int confirm(struct job *job)
{
    int error = update_link_state(job->link, UPDATE_CONFIRM, TRIES, &job->state);

    if (error != PORT_OK)
        return no_answer(job, error);
    if (job->state.running_state != UPDATE_CONFIRMED)
        return refused(job);
    say(job, "confirmed");
    return TOOL_OK;
}

/* What can be told before anything is written; *done: there is nothing to write. */
static int judge(struct job *job, const struct update_file *file, bool *done)
{
    const struct update_state *state = &job->state;
    char has[IMAGE_VERSION_TEXT_MAX], is[IMAGE_VERSION_TEXT_MAX];

    *done = false;
    job->it = &file->images[0];
    if (strcmp(state->board, job->it->image.board) == 0 && runs(job)) {
        *done = true;
        return state->running_state == UPDATE_CONFIRMED ? TOOL_OK : confirm(job);
    }
    if (state->running != UPDATE_NO_SLOT && state->running_state != UPDATE_CONFIRMED)
        return tool_fail(TOOL_FINDINGS,
                         "what the node runs is not confirmed: it goes back "
                         "at its next start; restart it first");
    if (state->target == UPDATE_NO_SLOT)
        return tool_fail(TOOL_FINDINGS, "the node has no slot to write to");
    job->it = update_file_find(file, state->board, state->address);
    if (job->it == NULL)
        return TOOL_CONFIG;
    if (job->it->image.total_size > state->room)
        return tool_fail(TOOL_CONFIG, "the image has %u bytes, the node room for %u",
                         (unsigned)job->it->image.total_size, (unsigned)state->room);
    if (job->it->image.counter < state->counter)
        return tool_fail(TOOL_CONFIG,
                         "the image's security counter is %u, the node's %u: "
                         "it would never run there",
                         (unsigned)job->it->image.counter, (unsigned)state->counter);
    if (state->running != UPDATE_NO_SLOT &&
        image_version_compare(&job->it->image.version, &state->version) < 0 &&
        job->it->image.counter == state->counter)
        return tool_fail(TOOL_CONFIG, "the node runs %s, and %s is older",
                         image_version_text(&state->version, has),
                         image_version_text(&job->it->image.version, is));
    return TOOL_OK;
}

static int run(struct job *job, const struct update_file *file)
{
    bool done;
    int code = judge(job, file, &done);

    if (code != TOOL_OK || done) {
        if (code == TOOL_OK)
            say(job, "runs this version already");
        return code;
    }
    if ((code = begin(job)) != TOOL_OK || (code = keep(job)) != TOOL_OK)
        return code;
    if (job->kept > 0)
        say(job, "going on behind what is there");
    if ((code = write_blocks(job)) != TOOL_OK || (code = finish(job)) != TOOL_OK)
        return code;
    say(job, "verified, restarting");
    if ((code = restart(job)) != TOOL_OK)
        return code;
    if (!runs(job))
        return tool_fail(TOOL_FINDINGS, "the new version did not start: the node went "
                                        "back to the old one");
    return confirm(job);
}

/* Without a file: what is there. */
static int show_node(const struct job *job, const char *identity)
{
    static const char *const states[] = {"empty", "pending", "unconfirmed", "confirmed"};
    const struct update_state *state = &job->state;
    char version[IMAGE_VERSION_TEXT_MAX], address[16];
    bool boot = state->running == UPDATE_NO_SLOT;
    const char *is = boot || state->running_state > 3 ? "bootloader, no valid image"
                                                      : states[state->running_state];

    (void)image_version_text(&state->version, version);
    (void)snprintf(address, sizeof(address), "0x%08x", (unsigned)state->address);
    if (job->json)
        tool_print(json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I}", "node", identity,
                             "board", state->board, "version", boot ? "" : version,
                             "state", is, "counter", (json_int_t)state->counter,
                             "spare_slot", address, "room", (json_int_t)state->room));
    else
        (void)printf("%s\nruns %s (%s), security counter %u, spare slot at %s\n",
                     identity, boot ? "nothing" : version, is, (unsigned)state->counter,
                     address);
    return boot ? TOOL_FINDINGS : TOOL_OK;
}

struct call {
    const char *port, *bus, *socket, *key, *baud, *parity;
};

static int read_line(const struct call *call, struct port_line *line)
{
    static const char *const parities[] = {"none", "even", "odd"};
    static const uint8_t values[] = {DRIVER_PARITY_NONE, DRIVER_PARITY_EVEN,
                                     DRIVER_PARITY_ODD};
    long long baud = 19200;
    const char *parity = call->parity == NULL ? "even" : call->parity;
    size_t i = 0;

    memset(line, 0, sizeof(*line));
    if ((call->port == NULL) == (call->bus == NULL))
        return tool_usage("update", "either --bus NAME or --port PATH is needed");
    if (call->bus != NULL)
        return TOOL_OK; /* wardgated knows the rest */
    if (strlen(call->port) > PORT_PATH_MAX)
        return tool_usage("update", "--port: longer than %d bytes", PORT_PATH_MAX);
    if (call->baud != NULL && !tool_number(call->baud, 1200, 4000000, &baud))
        return tool_usage("update", "--baud '%.20s': expected 1200..4000000", call->baud);
    while (i < 3 && strcmp(parity, parities[i]) != 0)
        i++;
    if (i == 3)
        return tool_usage("update", "--parity '%.20s': expected even, odd or none",
                          parity);
    (void)snprintf(line->path, sizeof(line->path), "%s", call->port);
    line->baud = (uint32_t)baud;
    line->data_bits = 8;
    line->parity = values[i];
    line->stop_bits = i == 0 ? 2 : 1;
    return TOOL_OK;
}

/* Opens the line, makes sure of who answers, and does what was asked. */
static int talk(struct job *job, const struct port_line *line, uint8_t unit,
                const struct update_file *file)
{
    char identity[128];
    int error = update_link_open(line, unit, &job->link), code;

    if (error == PORT_GONE)
        return tool_fail(TOOL_UNAVAILABLE, "%s: %s", job->path, strerror(errno));
    if (error != PORT_OK)
        return no_answer(job, error);
    update_link_lease(job->link, job->lend);
    error = update_link_identify(job->link, identity, sizeof(identity));
    if (error == PORT_FOREIGN)
        code = tool_fail(TOOL_CONFIG, "address %u is not one of wardgate's nodes", unit);
    else if (error != PORT_OK)
        code = no_answer(job, error);
    else if ((error = update_link_state(job->link, UPDATE_STATUS, TRIES, &job->state)) ==
             PORT_EXCEPTION)
        code = tool_fail(TOOL_CONFIG, "%s takes no updates: it runs without a bootloader",
                         identity);
    else if (error != PORT_OK)
        code = no_answer(job, error);
    else
        code = file == NULL ? show_node(job, identity) : run(job, file);
    update_link_close(job->link);
    return code;
}

/* The line is borrowed where it must be, and given back when it is closed. */
static int with_line(struct job *job, const struct call *call, struct port_line *line,
                     uint8_t unit, const struct update_file *file)
{
    int code = lend_take(call->socket, call->bus, "update", line, &job->lend);

    if (code != TOOL_OK)
        return code;
    if (job->lend == NULL && call->bus != NULL)
        return tool_fail(TOOL_UNAVAILABLE, "bus '%.40s' was not lent", call->bus);
    job->path = line->path;
    code = talk(job, line, unit, file);
    lend_return(job->lend);
    return code;
}

int verb_update(int argc, char **argv)
{
    struct call call = {.key = NULL};
    struct job job = {.percent = 101};
    const struct tool_option options[] = {
        {"port", &call.port, NULL},
        {"bus", &call.bus, NULL},
        {"key", &call.key, NULL},
        {"baud", &call.baud, NULL},
        {"parity", &call.parity, NULL},
        {"socket", &call.socket, NULL},
        {NULL, NULL, NULL},
    };
    struct update_file file = {NULL, 0, 0, {{NULL, {.address = 0}}}};
    struct port_line line;
    uint8_t *key = NULL;
    ssize_t key_size;
    long long unit;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &job.json, &code);

    if (operands < 0)
        return code;
    if (operands < 1 || operands > 2)
        return tool_usage("update", "expected a node's address and a file");
    if (!tool_number(argv[1], 1, 247, &unit))
        return tool_usage("update", "node '%.20s': expected an address of 1..247",
                          argv[1]);
    if ((code = read_line(&call, &line)) != TOOL_OK)
        return code;
    if (operands == 1)
        return with_line(&job, &call, &line, (uint8_t)unit, NULL);
    if (call.key == NULL)
        return tool_usage("update", "--key firmware.pub is needed: nothing is sent that "
                                    "is not known to be good");
    if ((key_size = file_read(call.key, KEY_FILE_MAX, &key)) < 0)
        return tool_fail(TOOL_IO, "%s: %s", call.key, strerror((int)-key_size));
    code = update_file_read(argv[2], (const char *)key, &file);
    if (code == TOOL_OK)
        code = with_line(&job, &call, &line, (uint8_t)unit, &file);
    update_file_free(&file);
    free(key);
    return code;
}
