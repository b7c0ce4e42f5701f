/* SPDX-License-Identifier: Apache-2.0
 *
 * What the keys must mean together.
 */
#include "bedside/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/pki.h"
#include "bedside/store.h"
#include "ports/profile.h"

struct check {
    struct bedside_config *config;
    char *error;
    bool files;
};

#define PEM_MAX 262144 /* bytes of one file, as tls_files.c takes them */
#define WRONG(check, at, ...)                                                            \
    config_error((check)->config->file, (at), (check)->error, __VA_ARGS__)

/* Loads the map that a profile names. */
static int find_profile(struct check *check, struct bedside_device *device)
{
    char path[2 * BEDSIDE_PATH_SIZE + 8], error[PROFILE_ERROR_MAX];
    const char *base, *name = device->profile;
    struct stat st;
    size_t n;

    if (strchr(name, '/') != NULL || strstr(name, ".yaml") != NULL)
        snprintf(path, sizeof(path), "%s", name);
    else
        snprintf(path, sizeof(path), "%s/%s.yaml", check->config->profiles, name);
    if (profile_load(path, &device->loaded, error, sizeof(error)) != PROFILE_OK)
        return WRONG(check, device->profile, "%s", error);
    if (!profile_regmap(device->loaded)->stable && !device->beta)
        return WRONG(check, device->profile,
                     "this profile is beta: 'beta: true' allows it");
    if (stat(path, &st) == 0) {
        device->profile_time_ns =
            (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        device->profile_size = st.st_size;
    }
    base = profile_regmap(device->loaded)->name;
    n = strnlen(base, sizeof(device->profile_name) - 1);
    memcpy(device->profile_name, base, n);
    device->profile_name[n] = '\0';
    return 0;
}

/* A scanner is of no use without the key, and of harm without the prefix: one number in
 * eleven on another kind of card passes for an NHS number. */
static int check_scanner(struct check *check, const struct bedside_device *device)
{
    const struct bedside_config *config = check->config;
    struct key key;
    int error;

    if (config->digest_key[0] == '\0')
        return WRONG(check, device->driver, "a scanner needs the gateway's digest_key");
    if (strlen(config->band_prefix) != 7 ||
        strspn(config->band_prefix, "0123456789") != 7)
        return WRONG(check, device->driver, "a scanner needs band_prefix, seven digits");
    if (!check->files)
        return 0;
    error = key_file(config->digest_key, 0, &key);
    crypto_wipe(&key, sizeof(key));
    if (error != CRYPTO_OK)
        return WRONG(check, config->digest_key,
                     "%s must be a file of 32 bytes and mode 0600", config->digest_key);
    return 0;
}

static int find_driver(struct check *check, struct bedside_device *device)
{
    device->streams = driver_by_name(device->driver);
    if (device->streams == NULL)
        return WRONG(check, device->driver, "there is no driver of this name");
    if (!device->streams->stable && !device->beta)
        return WRONG(check, device->driver,
                     "this driver is beta: 'beta: true' allows it");
    memcpy(device->profile_name, device->driver, sizeof(device->driver));
    if (device->streams->scan != NULL)
        return check_scanner(check, device);
    return 0;
}

static int check_device(struct check *check, const struct bedside_bus *bus,
                        struct bedside_device *device)
{
    bool patient = device->subject == BEDSIDE_PATIENT;

    if (bus->kind == BEDSIDE_SERIAL) {
        if (device->profile[0] != '\0')
            return WRONG(check, device->profile,
                         "a serial bus takes a driver, not a profile");
        if (device->driver[0] == '\0')
            return WRONG(check, device->id, "a serial bus needs a driver");
        if (find_driver(check, device) != 0)
            return -1;
    } else {
        if (device->driver[0] != '\0')
            return WRONG(check, device->driver,
                         "a Modbus bus takes a profile, not a driver");
        if (device->profile[0] == '\0')
            return WRONG(check, device->id, "a Modbus bus needs a profile");
        /* Only Modbus TCP itself knows other addresses. */
        if ((bus->kind == BEDSIDE_RTU || bus->framing != PORT_FRAMING_USUAL) &&
            (device->address < 1 || device->address > 247))
            return WRONG(check,
                         device->address > 0 ? (const void *)&device->address
                                             : device->id,
                         "address %lld is not 1 to 247", (long long)device->address);
        if (find_profile(check, device) != 0)
            return -1;
    }
    if (patient != (device->number == 0))
        return WRONG(check,
                     patient ? (const void *)&device->number
                             : (const void *)&device->subject,
                     patient ? "a patient has no number"
                             : "a fetus or newborn needs its number");
    return 0;
}

/* A streaming device may be behind a device server, or speak TCP itself. */
static bool over_tcp(const struct bedside_bus *bus)
{
    return bus->kind == BEDSIDE_TCP ||
           (bus->kind == BEDSIDE_SERIAL && bus->host[0] != '\0');
}

static bool same_line(const struct bedside_bus *a, const struct bedside_bus *b)
{
    if (over_tcp(a) != over_tcp(b))
        return false;
    if (over_tcp(a))
        return strcmp(a->host, b->host) == 0 && a->tcp_port == b->tcp_port;
    return strcmp(a->port, b->port) == 0;
}

static int check_bus(struct check *check, size_t index)
{
    struct bedside_bus *bus = bedside_bus(check->config, index);
    size_t most = bus->kind == BEDSIDE_SERIAL ? 1 : BUS_DEVICES_MAX;

    if (bus->kind == BEDSIDE_TCP && bus->host[0] == '\0')
        return WRONG(check, bus->name, "a tcp bus needs a host");
    if (!over_tcp(bus) && bus->port[0] == '\0')
        return WRONG(check, bus->name, "a bus of this kind needs a port");
    if (bus->kind == BEDSIDE_SERIAL && over_tcp(bus) && bus->port[0] != '\0')
        return WRONG(check, bus->host, "a serial bus has a port or a host, not both");
    if (bus->data_bits != 0 && bus->data_bits != 7 && bus->data_bits != 8)
        return WRONG(check, &bus->data_bits, "must be 7 or 8");
    if (bus->kind == BEDSIDE_SERIAL && bus->framing != PORT_FRAMING_USUAL)
        return WRONG(check, bus->name, "framing is for Modbus");
    if (bus->kind == BEDSIDE_RTU && bus->framing != PORT_FRAMING_ASCII &&
        bus->data_bits == 7)
        return WRONG(check, &bus->data_bits, "Modbus RTU needs 8");
    if (bus->devices.count == 0 || bus->devices.count > most)
        return WRONG(check, bus->name,
                     "%zu devices: 1 to %zu are possible on a bus of this kind",
                     bus->devices.count, most);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(bedside_bus(check->config, i)->name, bus->name) == 0)
            return WRONG(check, bus->name, "another bus has this name");
        if (same_line(bedside_bus(check->config, i), bus))
            return WRONG(check, over_tcp(bus) ? bus->host : bus->port,
                         "bus '%s' has this line already",
                         bedside_bus(check->config, i)->name);
    }
    for (size_t i = 0; i < bus->devices.count; i++) {
        struct bedside_device *device = bedside_device(bus, i);
        for (size_t j = 0; j < i; j++)
            if (bus->kind != BEDSIDE_SERIAL &&
                bedside_device(bus, j)->address == device->address)
                return WRONG(check, &device->address,
                             "device '%s' has address %lld already",
                             bedside_device(bus, j)->id, (long long)device->address);
        if (check_device(check, bus, device) != 0)
            return -1;
    }
    return 0;
}

/* Ids are unique over all buses. */
static int check_ids(struct check *check)
{
    size_t count = 0;

    for (size_t b = 0; b < check->config->buses.count; b++) {
        const struct bedside_bus *bus = bedside_bus(check->config, b);
        for (size_t d = 0; d < bus->devices.count; d++, count++) {
            const struct bedside_device *device = bedside_device(bus, d);
            for (size_t b2 = 0; b2 <= b; b2++) {
                const struct bedside_bus *other = bedside_bus(check->config, b2);
                for (size_t d2 = 0; d2 < (b2 == b ? d : other->devices.count); d2++)
                    if (strcmp(bedside_device(other, d2)->id, device->id) == 0)
                        return WRONG(check, device->id,
                                     "bus '%s' has a device of this id", other->name);
            }
        }
    }
    if (count > BEDSIDE_DEVICES_MAX)
        return WRONG(check, NULL, "%zu devices: at most %d on one gateway", count,
                     BEDSIDE_DEVICES_MAX);
    return 0;
}

/* What the three files say, and whether key and certificate belong together. An expired
 * certificate is good here: the broker decides about it, and it must not keep a board
 * from being installed (its status says so). */
static int check_pem(struct check *check, const char *const files[3], uint8_t *texts[3])
{
    struct pki_info info;

    for (size_t i = 0; i < 3; i++) {
        ssize_t n = file_read(files[i], PEM_MAX, &texts[i]);

        if (n < 0)
            return WRONG(check, files[i], "%s can't be read: %s", files[i],
                         strerror((int)-n));
        if (i < 2 && pki_read((const char *)texts[i], &info) != PKI_OK)
            return WRONG(check, files[i], "%s is no certificate", files[i]);
        if (i < 2 && info.not_after_us <= info.not_before_us)
            return WRONG(check, files[i], "%s: its certificate was never valid",
                         files[i]);
    }
    switch (pki_matches((const char *)texts[1], (const char *)texts[2])) {
    case PKI_OK:
        return 0;
    case PKI_MISMATCH:
        return WRONG(check, files[2], "%s does not belong to the certificate %s",
                     files[2], files[1]);
    default:
        return WRONG(check, files[2], "%s is no private key", files[2]);
    }
}

/* Files and folders that must be there before the first reading can leave. */
static int check_files(struct check *check)
{
    struct bedside_config *config = check->config;
    const char *const files[] = {config->broker.ca, config->broker.certificate,
                                 config->broker.key};
    uint8_t *texts[3] = {NULL};
    int error;
    const char *const folders[] = {config->store.folder, config->run};
    struct stat st;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (access(files[i], R_OK) != 0)
            return WRONG(check, files[i], "%s can't be read", files[i]);
    error = check_pem(check, files, texts);
    if (texts[2] != NULL)
        crypto_wipe(texts[2], strlen((const char *)texts[2]));
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
    if (error != 0)
        return error;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (stat(folders[i], &st) != 0 || !S_ISDIR(st.st_mode))
            return WRONG(check, folders[i], "%s is no folder", folders[i]);
        if ((st.st_mode & 077) != 0)
            return WRONG(check, folders[i], "%s must have mode 0700", folders[i]);
    }
    return 0;
}

static int check_all(struct check *check)
{
    struct bedside_config *config = check->config;

    if (config->broker.reconnect_min_ms > config->broker.reconnect_max_ms)
        return WRONG(check, &config->broker.reconnect_max_ms,
                     "is less than reconnect_min");
    if (config->buses.count > BEDSIDE_BUSES_MAX)
        return WRONG(check, NULL, "%zu buses: at most %d", config->buses.count,
                     BEDSIDE_BUSES_MAX);
    for (size_t i = 0; i < config->buses.count; i++)
        if (check_bus(check, i) != 0)
            return -1;
    if (check_ids(check) != 0)
        return -1;
    return check->files ? check_files(check) : 0;
}

int bedside_config_load(const char *path, const char *text, bool files,
                        struct bedside_config *config, char error[CONFIG_ERROR_SIZE])
{
    struct check check = {config, error, files};

    memset(config, 0, sizeof(*config));
    if (config_load(path, text, bedside_fields, config, &config->file, error) != 0)
        return -1;
    if (check_all(&check) == 0)
        return 0;
    bedside_config_free(config);
    return -1;
}

void bedside_config_free(struct bedside_config *config)
{
    for (size_t b = 0; b < config->buses.count; b++)
        for (size_t d = 0; d < bedside_bus(config, b)->devices.count; d++)
            profile_free(bedside_device(bedside_bus(config, b), d)->loaded);
    config_free(config->file);
    memset(config, 0, sizeof(*config));
}

void bedside_config_print(const struct bedside_config *config, void *file)
{
    config_print(bedside_fields, config, file);
}

/* --- for the bus --- */

static void set_line(const struct bedside_bus *bus, struct port_line *line)
{
    const struct driver *driver = bedside_device(bus, 0)->streams;
    const char *path = over_tcp(bus) ? bus->host : bus->port;

    memset(line, 0, sizeof(*line));
    memcpy(line->path, path, strlen(path) + 1);
    line->tcp_port = over_tcp(bus) ? (uint16_t)bus->tcp_port : 0;
    line->baud = bus->baud != 0   ? (uint32_t)bus->baud
                 : driver != NULL ? driver->line.baud
                                  : 19200;
    line->framing = (uint8_t)bus->framing;
    line->data_bits = bus->data_bits != 0                  ? (uint8_t)bus->data_bits
                      : driver != NULL                     ? driver->line.data_bits
                      : bus->framing == PORT_FRAMING_ASCII ? 7
                                                           : 8;
    line->parity = bus->parity != 0 ? (uint8_t)(bus->parity - 1)
                   : driver != NULL ? driver->line.parity
                                    : DRIVER_PARITY_EVEN;
    if (bus->stop_bits != 0)
        line->stop_bits = (uint8_t)bus->stop_bits;
    else if (driver != NULL)
        line->stop_bits = driver->line.stop_bits;
    else
        line->stop_bits = line->parity == DRIVER_PARITY_NONE ? 2 : 1;
    line->rs485 = bus->rs485;
}

void bedside_setting(const struct bedside_bus *bus, struct bus_device *devices,
                     struct bus_setting *setting)
{
    set_line(bus, &setting->line);
    for (size_t i = 0; i < bus->devices.count; i++) {
        const struct bedside_device *from = bedside_device(bus, i);
        devices[i] = (struct bus_device){
            .unit = (uint8_t)from->address,
            .map = from->loaded != NULL ? profile_regmap(from->loaded) : NULL,
            .driver = from->streams,
            .every_ms = (uint32_t)from->every_ms,
            .response_ms = (uint32_t)from->response_ms,
            .turnaround_ms = (uint32_t)from->turnaround_ms,
        };
    }
    setting->devices = devices;
    setting->device_count = bus->devices.count;
    setting->digest_key = NULL; /* the daemon's to give */
    setting->band_prefix = NULL;
}

/* Compares what the keys of a table hold; lists are the caller's. */
static bool same_values(const struct config_field *table, const void *a, const void *b)
{
    for (; table->key != NULL; table++) {
        const char *x = (const char *)a + table->offset,
                   *y = (const char *)b + table->offset;
        switch (table->type) {
        case CONFIG_TEXT:
        case CONFIG_NAME:
        case CONFIG_PATH:
            if (strcmp(x, y) != 0)
                return false;
            break;
        case CONFIG_BOOLEAN:
            if (*(const bool *)x != *(const bool *)y)
                return false;
            break;
        case CONFIG_SECTION:
            if (!same_values(table->of, x, y))
                return false;
            break;
        case CONFIG_LIST:
            break;
        case CONFIG_INTEGER:
        case CONFIG_CHOICE:
        case CONFIG_DURATION:
        case CONFIG_SIZE:
            if (memcmp(x, y, sizeof(int64_t)) != 0)
                return false;
            break;
        }
    }
    return true;
}

bool bedside_bus_same(const struct bedside_bus *a, const struct bedside_bus *b)
{
    if (!same_values(bedside_bus_fields, a, b) || a->devices.count != b->devices.count)
        return false;
    for (size_t i = 0; i < a->devices.count; i++) {
        const struct bedside_device *p = bedside_device(a, i), *q = bedside_device(b, i);
        /* A profile that was edited is another, though its name is the same. */
        if (!same_values(bedside_device_fields, p, q) ||
            p->profile_time_ns != q->profile_time_ns ||
            p->profile_size != q->profile_size)
            return false;
    }
    return true;
}

bool bedside_broker_same(const struct bedside_config *a, const struct bedside_config *b)
{
    return same_values(bedside_broker_fields, &a->broker, &b->broker);
}
