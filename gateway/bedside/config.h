/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgated's configuration. The tables in config.c are the manual of every key: type,
 * limits, preset and help; `wardgated -T` prints them with what is in force.
 * wardgated.example.yaml explains them with examples.
 */
#ifndef BEDSIDE_CONFIG_H
#define BEDSIDE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/ids.h"
#include "bedside/bus.h"
#include "drivers/driver.h"

#define BEDSIDE_PATH_SIZE   256
#define BEDSIDE_TEXT_SIZE   96
#define BEDSIDE_BUSES_MAX   32
#define BEDSIDE_DEVICES_MAX 256 /* as STORE_DEVICES_MAX */

enum bedside_trust { BEDSIDE_TRUST_KERNEL, BEDSIDE_TRUST_WALL };
enum bedside_kind { BEDSIDE_RTU, BEDSIDE_TCP, BEDSIDE_SERIAL };
enum bedside_subject { BEDSIDE_PATIENT, BEDSIDE_FETUS, BEDSIDE_NEWBORN };

struct profile;

struct bedside_device {
    char id[64];
    int64_t address;
    char profile[BEDSIDE_PATH_SIZE]; /* a name in the folder of profiles, or a path */
    char driver[NAME_MAX_LENGTH + 1];
    bool beta; /* its driver or profile may be one that is not stable yet */
    char place[64];
    int64_t subject, number;
    int64_t every_ms, response_ms, turnaround_ms, silence_ms;
    char identity[BEDSIDE_TEXT_SIZE]; /* expected; empty: the first one seen is */
    /* Looked up by bedside_config_load; owned. */
    struct profile *loaded;
    const struct driver *streams;
    char profile_name[48]; /* as the wire calls it */
    int64_t profile_time_ns,
        profile_size; /* of the file: one that was edited is another */
};

struct bedside_bus {
    char name[NAME_MAX_LENGTH + 1];
    int64_t kind;
    char port[BEDSIDE_PATH_SIZE], host[BEDSIDE_PATH_SIZE];
    int64_t tcp_port, baud, parity, data_bits, stop_bits;
    int64_t framing; /* enum port_framing */
    bool rs485;
    struct config_list devices; /* struct bedside_device */
};

struct bedside_config {
    char site[NAME_MAX_LENGTH + 1], gateway[NAME_MAX_LENGTH + 1];
    char run[BEDSIDE_PATH_SIZE], profiles[BEDSIDE_PATH_SIZE];
    char digest_key[BEDSIDE_PATH_SIZE]; /* of wristbands; empty: there is no scanner */
    char band_prefix[8];                /* GS1 company prefix of the bands */
    struct {
        char folder[BEDSIDE_PATH_SIZE], key[BEDSIDE_PATH_SIZE];
        int64_t size, commit_ms, batch, high_water;
    } store;
    struct {
        int64_t trust, uncertainty_ms;
    } clock;
    struct {
        char host[BEDSIDE_PATH_SIZE];
        int64_t port;
        char ca[BEDSIDE_PATH_SIZE], certificate[BEDSIDE_PATH_SIZE],
            key[BEDSIDE_PATH_SIZE], crl[BEDSIDE_PATH_SIZE];
        int64_t keepalive_ms, handshake_ms, reconnect_min_ms, reconnect_max_ms, window,
            backlog_rate;
    } broker;
    struct config_list buses; /* struct bedside_bus */
    struct config *file;
};

/* config_keys.c */
extern const struct config_field bedside_fields[], bedside_broker_fields[],
    bedside_bus_fields[], bedside_device_fields[];

/* Reads and checks path (or text, see config_load). files: also that folders are there
 * and certificates and key are such and belong together (-t). Returns 0, or -1 and
 * "file:line: key: message". On success free *config with bedside_config_free. */
int bedside_config_load(const char *path, const char *text, bool files,
                        struct bedside_config *config, char error[CONFIG_ERROR_SIZE]);
void bedside_config_free(struct bedside_config *config);

/* What is in force, as YAML with comments. */
void bedside_config_print(const struct bedside_config *config, void *file /* FILE * */);

static inline struct bedside_bus *bedside_bus(const struct bedside_config *config,
                                              size_t i)
{
    return (struct bedside_bus *)config->buses.items + i;
}

static inline struct bedside_device *bedside_device(const struct bedside_bus *bus,
                                                    size_t i)
{
    return (struct bedside_device *)bus->devices.items + i;
}

/* The settings of a bus for bus_start. devices has room for the bus's. Borrows from bus.
 */
void bedside_setting(const struct bedside_bus *bus, struct bus_device *devices,
                     struct bus_setting *setting);

/* True if nothing that the bus's thread sees differs. */
bool bedside_bus_same(const struct bedside_bus *a, const struct bedside_bus *b);
bool bedside_broker_same(const struct bedside_config *a, const struct bedside_config *b);

#endif
