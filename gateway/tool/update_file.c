/* SPDX-License-Identifier: Apache-2.0
 *
 * See update_file.h. Everything is verified before anything is sent: a node should not
 * have to find out what its engineer could have been told.
 */
#include "tool/update_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/sign.h"
#include "tool/tool.h"

/* Its bytes are those that were hashed, and the hash was signed by this key. */
static int verify(const struct update_image *it, const char *public_key)
{
    const struct image *image = &it->image;
    uint8_t key[SIGN_KEY_SIZE], hash[DIGEST_SIZE];

    if (crypto_sha256(it->bytes, image->hashed_size, hash) != CRYPTO_OK ||
        memcmp(hash, image->hash, DIGEST_SIZE) != 0)
        return IMAGE_WRONG_HASH;
    if (sign_public_bytes(public_key, key) != PKI_OK ||
        crypto_sha256(key, sizeof(key), hash) != CRYPTO_OK ||
        memcmp(hash, image->key_hash, DIGEST_SIZE) != 0)
        return IMAGE_WRONG_KEY;
    return sign_verify(public_key, image->hash, image->signature,
                       image->signature_size) == PKI_OK
               ? IMAGE_OK
               : IMAGE_UNSIGNED;
}

int update_image_read(const uint8_t *bytes, size_t n, const char *public_key,
                      struct update_image *it)
{
    struct image *image = &it->image;
    uint32_t left = (uint32_t)n, tlvs;
    int error;

    it->bytes = bytes;
    error = image_read_header(it->bytes, left, left, image);
    if (error == IMAGE_OK) {
        tlvs = image->payload_at + image->payload_size;
        error = image_read_tlvs(it->bytes + tlvs, left - tlvs, left, image);
    }
    return error == IMAGE_OK ? verify(it, public_key) : error;
}

int update_file_read(const char *path, const char *public_key, struct update_file *file)
{
    size_t at = 0;
    ssize_t size = file_read(path, UPDATE_FILE_MAX, &file->bytes);

    file->count = 0;
    if (size < 0) {
        file->bytes = NULL;
        return tool_fail(TOOL_IO, "%s: %s", path, strerror((int)-size));
    }
    file->size = (size_t)size;
    do {
        int error;
        if (file->count == UPDATE_IMAGES_MAX)
            return tool_fail(TOOL_CONFIG, "%s: more than %d images", path,
                             UPDATE_IMAGES_MAX);
        error = update_image_read(file->bytes + at, file->size - at, public_key,
                                  &file->images[file->count]);
        if (error != IMAGE_OK)
            return tool_fail(TOOL_CONFIG, "%s: image %zu: %s", path, file->count + 1,
                             image_error_text(error));
        at += file->images[file->count++].image.total_size;
    } while (at < file->size);
    return TOOL_OK;
}

void update_file_free(struct update_file *file)
{
    free(file->bytes);
    file->bytes = NULL;
}

const struct update_image *update_file_find(const struct update_file *file,
                                            const char *board, uint32_t address)
{
    const char *found = file->images[0].image.board;

    for (size_t i = 0; i < file->count; i++)
        if (image_fits(&file->images[i].image, board, address) == IMAGE_OK)
            return &file->images[i];
    if (strcmp(found, board) != 0)
        (void)tool_fail(TOOL_CONFIG, "the file is for board '%s', the node is a '%s'",
                        found, board);
    else
        (void)tool_fail(TOOL_CONFIG,
                        "the file has no image for the node's spare slot at 0x%08x: sign "
                        "one image for each slot",
                        (unsigned)address);
    return NULL;
}

json_t *update_image_json(const struct image *image)
{
    char version[IMAGE_VERSION_TEXT_MAX], address[16];

    (void)snprintf(address, sizeof(address), "0x%08x", (unsigned)image->address);
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "board", image->board, "version",
                     image_version_text(&image->version, version), "address", address,
                     "counter", (json_int_t)image->counter, "bytes",
                     (json_int_t)image->total_size);
}
