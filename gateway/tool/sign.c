/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate sign`: makes signed images of a firmware's binaries, one for each slot, in
 * one update file; and what a factory puts into a new board. The format is
 * firmware/image.h's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/sign.h"
#include "tool/tool.h"
#include "tool/update_file.h"
#include "tool/verbs.h"

#define HEADER_SIZE  512 /* bytes: the vector table behind it is aligned to as much */
#define KEY_FILE_MAX 8192

static const char help[] =
    "usage: wardgate sign --key firmware.key --board BOARD --version 1.2.3[+BUILD] "
    "[--counter N]\n"
    "                     --a ADDRESS:FILE [--b ADDRESS:FILE] OUT\n"
    "                     [--factory FILE --slot-size BYTES] [--json]\n"
    "\n"
    "Signs the binaries of one firmware version for 'wardgate update'. Each is the "
    "program "
    "as it is linked\n"
    "for one slot (from 512 bytes behind the slot's address, where its vector table "
    "stands), without a header;\n"
    "an update needs both, because it goes into the slot that is not in use.\n"
    "\n"
    "  --counter N    security counter, 0 if left out: once a node has confirmed this "
    "version it never again\n"
    "                 runs one with a lower counter. Raise it when older versions are "
    "unsafe\n"
    "  --factory FILE the first image as it fills a slot of --slot-size bytes, "
    "confirmed: for a new board\n"
    "\n"
    "Example (addresses are slot_a and slot_b of boards/BOARD/board.yaml):\n"
    "  wardgate sign --key keys/firmware.key --board stm32f405 --version 1.1.0 \\\n"
    "    --a 0x08020000:node-a.bin --b 0x08080000:node-b.bin node-1.1.0.update\n"
    "\n"
    "Exit codes: 0 signed, 64 called wrongly, 74 files, 78 the key is bad.\n";

struct call {
    const char *key, *board, *version, *counter, *a, *b, *factory, *slot_size;
};

/* What is being written, growing. */
struct out {
    uint8_t *bytes;
    size_t size;
};

static void put(struct out *out, const void *bytes, size_t n)
{
    memcpy(out->bytes + out->size, bytes, n);
    out->size += n;
}

static void put16(struct out *out, unsigned value)
{
    put(out, (uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void put32(struct out *out, uint32_t value)
{
    put16(out, value & 0xFFFF);
    put16(out, value >> 16);
}

static void put_tlv(struct out *out, unsigned type, const void *value, size_t n)
{
    put16(out, type);
    put16(out, (unsigned)n);
    put(out, value, n);
}

/* "1.2.3" or "1.2.3+4". */
static bool read_version(const char *text, struct image_version *version)
{
    static const long long most[] = {255, 255, 65535, 4294967295};
    long long parts[4] = {0};
    char copy[64], *at = copy;

    if (strlen(text) >= sizeof(copy))
        return false;
    (void)snprintf(copy, sizeof(copy), "%s", text);
    for (int i = 0; i < 4; i++) {
        size_t n = strcspn(at, i < 2 ? "." : "+");
        bool last = at[n] == '\0';
        at[n] = '\0';
        if (!tool_number(at, 0, most[i], &parts[i]) || (last && i < 2) ||
            (!last && i == 3))
            return false;
        if (last)
            break;
        at += n + 1;
    }
    *version = (struct image_version){(uint8_t)parts[0], (uint8_t)parts[1],
                                      (uint16_t)parts[2], (uint32_t)parts[3]};
    return true;
}

/* "0x08020000:FILE". */
static bool read_slot(const char *text, uint32_t *address, const char **path)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    *address = (uint32_t)value;
    *path = end + 1;
    return *text >= '0' && *text <= '9' && *end == ':' && end[1] != '\0' &&
           value <= UINT32_MAX && value % HEADER_SIZE == 0;
}

/* Header, payload, protected TLVs; then hash and signature over all of that. */
static int build(const struct image *meta, const uint8_t *payload, size_t payload_size,
                 const char *key, struct out *out)
{
    char public_key[PKI_PEM_SIZE];
    uint8_t public_bytes[SIGN_KEY_SIZE], key_hash[DIGEST_SIZE], hash[DIGEST_SIZE];
    uint8_t signature[SIGN_MAX], *start = out->bytes + out->size;
    size_t board_size = strlen(meta->board), n;
    unsigned protected_size = (unsigned)(4 + 4 + 4 + 4 + board_size);
    int error = sign_public(key, public_key);

    if (error == PKI_OK)
        error = sign_public_bytes(public_key, public_bytes);
    if (error != PKI_OK)
        return error;
    put32(out, IMAGE_MAGIC);
    put32(out, meta->address);
    put16(out, HEADER_SIZE);
    put16(out, protected_size);
    put32(out, (uint32_t)payload_size);
    put32(out, IMAGE_FLAG_ROM_FIXED);
    put(out, (uint8_t[]){meta->version.major, meta->version.minor}, 2);
    put16(out, meta->version.revision);
    put32(out, meta->version.build);
    put32(out, 0);
    memset(out->bytes + out->size, 0, HEADER_SIZE - IMAGE_HEADER_SIZE);
    out->size += HEADER_SIZE - IMAGE_HEADER_SIZE;
    put(out, payload, payload_size);
    put16(out, IMAGE_TLVS_PROTECTED);
    put16(out, protected_size);
    put16(out, IMAGE_TLV_COUNTER);
    put16(out, 4);
    put32(out, meta->counter);
    put_tlv(out, IMAGE_TLV_BOARD, meta->board, board_size);
    if (crypto_sha256(start, (size_t)(out->bytes + out->size - start), hash) !=
            CRYPTO_OK ||
        crypto_sha256(public_bytes, sizeof(public_bytes), key_hash) != CRYPTO_OK)
        return PKI_FAILED;
    if ((error = sign_hash(key, hash, signature, &n)) != PKI_OK)
        return error;
    put16(out, IMAGE_TLVS);
    put16(out, (unsigned)(4 + 4 + DIGEST_SIZE + 4 + DIGEST_SIZE + 4 + n));
    put_tlv(out, IMAGE_TLV_SHA256, hash, DIGEST_SIZE);
    put_tlv(out, IMAGE_TLV_KEY_HASH, key_hash, DIGEST_SIZE);
    put_tlv(out, IMAGE_TLV_SIGNATURE, signature, n);
    return PKI_OK;
}

/* Appends the image of one "ADDRESS:FILE". */
static int add(const char *slot, struct image *meta, const char *key, struct out *out)
{
    const char *path;
    uint8_t *payload, *grown;
    ssize_t size;
    int error;

    if (!read_slot(slot, &meta->address, &path))
        return tool_usage("sign",
                          "'%.60s': expected ADDRESS:FILE, with an address that "
                          "is a multiple of 512",
                          slot);
    if ((size = file_read(path, UPDATE_FILE_MAX / 4, &payload)) < 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror((int)-size));
    if (size == 0) {
        free(payload);
        return tool_fail(TOOL_IO, "%s is empty", path);
    }
    grown = realloc(out->bytes, out->size + HEADER_SIZE + (size_t)size + IMAGE_TLVS_MAX);
    if (grown == NULL) {
        free(payload);
        return tool_fail(TOOL_IO, "no memory");
    }
    out->bytes = grown;
    error = build(meta, payload, (size_t)size, key, out);
    free(payload);
    return error == PKI_OK ? TOOL_OK
                           : tool_fail(TOOL_CONFIG, "the key: %s", pki_error_text(error));
}

/* A slot's whole content, 0xFF where nothing stands. */
static int write_factory(const struct call *call, const struct out *first)
{
    long long size;
    uint8_t *slot;
    int error;

    if (call->slot_size == NULL ||
        !tool_number(call->slot_size, 4096, UPDATE_FILE_MAX, &size))
        return tool_usage("sign", "--factory needs --slot-size, 4096..%u",
                          UPDATE_FILE_MAX);
    if (first->bytes == NULL || first->size > (size_t)size - IMAGE_TRAILER)
        return tool_fail(TOOL_CONFIG, "the image has %zu bytes, the slot room for %lld",
                         first->size, size - IMAGE_TRAILER);
    slot = malloc((size_t)size);
    if (slot == NULL)
        return tool_fail(TOOL_IO, "no memory");
    memset(slot, 0xFF, (size_t)size);
    memcpy(slot, first->bytes, first->size);
    image_trailer_confirmed(slot + size - IMAGE_TRAILER);
    error = file_replace(call->factory, slot, (size_t)size, 0644);
    free(slot);
    return error == 0 ? TOOL_OK
                      : tool_fail(TOOL_IO, "%s: %s", call->factory, strerror(-error));
}

/* What the options say of all images. */
static int read_meta(const struct call *call, struct image *meta)
{
    long long counter = 0;
    size_t n = call->board == NULL ? 0 : strlen(call->board);

    if (call->key == NULL || n == 0 || call->version == NULL || call->a == NULL)
        return tool_usage("sign", "--key, --board, --version and --a are needed");
    if (n > IMAGE_BOARD_MAX ||
        strspn(call->board, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return tool_usage("sign", "--board: expected a folder's name of boards/");
    if (!read_version(call->version, &meta->version))
        return tool_usage("sign", "--version '%.40s': expected 1.2.3 or 1.2.3+4",
                          call->version);
    if (call->counter != NULL && !tool_number(call->counter, 0, UINT32_MAX - 1, &counter))
        return tool_usage("sign", "--counter '%.20s': expected 0..4294967294",
                          call->counter);
    meta->counter = (uint32_t)counter;
    memcpy(meta->board, call->board, n + 1);
    return TOOL_OK;
}

/* Reads back what was written, with the public key alone, as a node will. */
static int show(const char *path, const char *key, bool json)
{
    char public_key[PKI_PEM_SIZE];
    struct update_file file;
    int code;

    if (sign_public(key, public_key) != PKI_OK)
        return TOOL_CONFIG;
    code = update_file_read(path, public_key, &file);
    for (size_t i = 0; code == TOOL_OK && i < file.count; i++) {
        const struct image *image = &file.images[i].image;
        char version[IMAGE_VERSION_TEXT_MAX];
        if (json)
            tool_print(update_image_json(image));
        else
            (void)printf("%s: %s for %s at 0x%08x, security counter %u, %u bytes\n", path,
                         image_version_text(&image->version, version), image->board,
                         (unsigned)image->address, (unsigned)image->counter,
                         (unsigned)image->total_size);
    }
    update_file_free(&file);
    return code;
}

int verb_sign(int argc, char **argv)
{
    struct call call = {.key = NULL};
    const struct tool_option options[] = {
        {"key", &call.key, NULL},
        {"board", &call.board, NULL},
        {"version", &call.version, NULL},
        {"counter", &call.counter, NULL},
        {"a", &call.a, NULL},
        {"b", &call.b, NULL},
        {"factory", &call.factory, NULL},
        {"slot-size", &call.slot_size, NULL},
        {NULL, NULL, NULL},
    };
    struct out out = {NULL, 0};
    struct image meta = {.address = 0};
    uint8_t *key = NULL;
    ssize_t key_size;
    bool json = false;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("sign", "expected one file to write");
    if ((code = read_meta(&call, &meta)) != TOOL_OK)
        return code;
    if ((key_size = file_read(call.key, KEY_FILE_MAX, &key)) < 0)
        return tool_fail(TOOL_IO, "%s: %s", call.key, strerror((int)-key_size));
    code = add(call.a, &meta, (const char *)key, &out);
    if (code == TOOL_OK && call.factory != NULL)
        code = write_factory(&call, &out);
    if (code == TOOL_OK && call.b != NULL)
        code = add(call.b, &meta, (const char *)key, &out);
    if (code == TOOL_OK) {
        int error = file_replace(argv[1], out.bytes, out.size, 0644);
        code = error == 0 ? show(argv[1], (const char *)key, json)
                          : tool_fail(TOOL_IO, "%s: %s", argv[1], strerror(-error));
    }
    crypto_wipe(key, (size_t)key_size);
    free(key);
    free(out.bytes);
    return code;
}
