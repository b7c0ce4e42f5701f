/* SPDX-License-Identifier: Apache-2.0
 *
 * An update file: the images of one firmware version, one linked for each slot, one
 * behind the other. Each image knows its own length, so that nothing stands between them:
 * images that imgtool signed can be put together with `cat`.
 */
#ifndef TOOL_UPDATE_FILE_H
#define TOOL_UPDATE_FILE_H

#include <jansson.h>

#include "firmware/image.h"

#define UPDATE_FILE_MAX   (16u << 20) /* bytes */
#define UPDATE_IMAGES_MAX 4

struct update_file {
    uint8_t *bytes; /* owned */
    size_t size;
    size_t count;
    struct update_image {
        const uint8_t *bytes; /* image.total_size of them, within the file's */
        struct image image;
    } images[UPDATE_IMAGES_MAX];
};

/* Reads and verifies the whole file: form, hashes and, with the public key (PEM), the
 * signatures. Returns 0, or a tool_exit after saying what is wrong with which image. */
int update_file_read(const char *path, const char *public_key, struct update_file *file);
void update_file_free(struct update_file *file);

/* The one image that n bytes (at most UPDATE_FILE_MAX) begin with; what is behind it is
 * not looked at. it->bytes will be bytes. IMAGE_OK, or what is wrong (enum image_error).
 */
int update_image_read(const uint8_t *bytes, size_t n, const char *public_key,
                      struct update_image *it);

/* The image for that board and address, or NULL after saying which there are. */
const struct update_image *update_file_find(const struct update_file *file,
                                            const char *board, uint32_t address);

/* One image as JSON. */
json_t *update_image_json(const struct image *image);

#endif
