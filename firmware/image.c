/* SPDX-License-Identifier: Apache-2.0
 *
 * See image.h. Everything read here may come from an attacker: sizes are only ever
 * compared against what is left, so that no sum can wrap.
 */
#include "firmware/image.h"

#include <stdbool.h>
#include <string.h>

#include "drivers/cursor.h"

#define AREA_HEAD 4 /* bytes of an area's magic and size */

static uint32_t le32(struct cursor *cursor)
{
    uint32_t low = cursor_le16(cursor);

    return low | (uint32_t)cursor_le16(cursor) << 16;
}

/* The sizes are checked one after the other against what the ones before left of the
 * limit. */
int image_read_header(const uint8_t *bytes, size_t n, uint32_t limit, struct image *image)
{
    struct cursor in = cursor_make(bytes, n);
    uint32_t magic = le32(&in), flags, left;

    memset(image, 0, sizeof(*image));
    image->address = le32(&in);
    image->payload_at = cursor_le16(&in);
    image->protected_size = cursor_le16(&in);
    image->payload_size = le32(&in);
    flags = le32(&in);
    image->version.major = cursor_u8(&in);
    image->version.minor = cursor_u8(&in);
    image->version.revision = cursor_le16(&in);
    image->version.build = le32(&in);
    (void)le32(&in);
    if (in.failed)
        return IMAGE_SHORT;
    if (magic != IMAGE_MAGIC)
        return IMAGE_NO_IMAGE;
    if (image->payload_at < IMAGE_HEADER_SIZE ||
        image->payload_at > IMAGE_HEADER_SIZE_MAX || image->payload_at % 4 != 0)
        return IMAGE_HEADER;
    if (flags != IMAGE_FLAG_ROM_FIXED)
        return IMAGE_FLAGS;
    if (limit < image->payload_at)
        return IMAGE_TOO_LARGE;
    left = limit - image->payload_at;
    if (image->payload_size == 0 || image->payload_size > left)
        return IMAGE_TOO_LARGE;
    left -= image->payload_size;
    if (image->protected_size > IMAGE_TLVS_MAX || image->protected_size > left)
        return IMAGE_TOO_LARGE;
    image->hashed_size = limit - left + image->protected_size;
    return IMAGE_OK;
}

/* --- TLVs --- */

static int take_hash(struct cursor *value, struct image *image)
{
    memcpy(image->hash, value->at, IMAGE_HASH_SIZE);
    return IMAGE_OK;
}

static int take_key_hash(struct cursor *value, struct image *image)
{
    memcpy(image->key_hash, value->at, IMAGE_HASH_SIZE);
    return IMAGE_OK;
}

static int take_signature(struct cursor *value, struct image *image)
{
    image->signature_size = value->left;
    memcpy(image->signature, value->at, value->left);
    return IMAGE_OK;
}

static int take_counter(struct cursor *value, struct image *image)
{
    image->counter = le32(value);
    return IMAGE_OK;
}

/* Board names are those of folders; whatever shows one need not fear what is in it. */
static int take_board(struct cursor *value, struct image *image)
{
    for (size_t i = 0; i < value->left; i++) {
        char c = (char)value->at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return IMAGE_WRONG_BOARD;
        image->board[i] = c;
    }
    return IMAGE_OK;
}

/* Where each type must stand, and how long it may be. */
static const struct {
    uint16_t type;
    bool protected;
    uint16_t least, most; /* bytes */
    int (*take)(struct cursor *value, struct image *image);
} types[] = {
    {IMAGE_TLV_KEY_HASH, false, IMAGE_HASH_SIZE, IMAGE_HASH_SIZE, take_key_hash},
    {IMAGE_TLV_SHA256, false, IMAGE_HASH_SIZE, IMAGE_HASH_SIZE, take_hash},
    {IMAGE_TLV_SIGNATURE, false, 8, IMAGE_SIGNATURE_MAX, take_signature},
    {IMAGE_TLV_COUNTER, true, 4, 4, take_counter},
    {IMAGE_TLV_BOARD, true, 1, IMAGE_BOARD_MAX, take_board},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

/* One TLV. Known types may stand once and only in their own area; of the others a
 * protected one was signed and is somebody else's business. */
static int take(uint16_t type, bool protected, struct cursor *value, unsigned *seen,
                struct image *image)
{
    for (unsigned i = 0; i < TYPES; i++) {
        if (types[i].type != type || types[i].protected != protected)
            continue;
        if ((*seen & 1u << i) != 0)
            return IMAGE_TLV_TWICE;
        if (value->left < types[i].least || value->left > types[i].most)
            return IMAGE_TLV_LENGTH;
        *seen |= 1u << i;
        return types[i].take(value, image);
    }
    return protected ? IMAGE_OK : IMAGE_TLV_STRANGE;
}

/* One area, from its magic on; *size is set to its whole size. An area is filled to its
 * last byte: a size that was changed is seen here, whatever lies behind. */
static int read_area(struct cursor *in, uint16_t expected, unsigned *seen, uint32_t *size,
                     struct image *image)
{
    uint16_t magic = cursor_le16(in);
    struct cursor area;

    *size = cursor_le16(in);
    if (in->failed)
        return IMAGE_SHORT;
    if (magic != expected || *size < AREA_HEAD)
        return IMAGE_TLV_AREA;
    if (*size - AREA_HEAD > cursor_remaining(in))
        return IMAGE_SHORT;
    area = cursor_make(cursor_bytes(in, *size - AREA_HEAD), *size - AREA_HEAD);
    while (cursor_remaining(&area) > 0) {
        uint16_t type = cursor_le16(&area), length = cursor_le16(&area);
        const uint8_t *at = cursor_bytes(&area, length);
        struct cursor value;
        int error;
        if (area.failed)
            return IMAGE_TLV_LENGTH;
        value = cursor_make(at, length);
        if ((error = take(type, expected == IMAGE_TLVS_PROTECTED, &value, seen, image)) !=
            IMAGE_OK)
            return error;
    }
    return IMAGE_OK;
}

/* The header says how large the protected area is, and the area says it again. */
int image_read_tlvs(const uint8_t *bytes, size_t n, uint32_t limit, struct image *image)
{
    struct cursor in = cursor_make(bytes, n);
    uint32_t size = 0;
    unsigned seen = 0;
    int error;

    if (image->protected_size > 0) {
        error = read_area(&in, IMAGE_TLVS_PROTECTED, &seen, &size, image);
        if (error != IMAGE_OK)
            return error;
        if (size != image->protected_size)
            return IMAGE_TLV_AREA;
    }
    if ((error = read_area(&in, IMAGE_TLVS, &seen, &size, image)) != IMAGE_OK)
        return error;
    if (seen != (1u << TYPES) - 1)
        return IMAGE_TLV_MISSING;
    if (image->protected_size + size > IMAGE_TLVS_MAX ||
        size > limit - image->hashed_size)
        return IMAGE_TOO_LARGE;
    image->tlvs_size = image->protected_size + size;
    image->total_size = image->hashed_size + size;
    return IMAGE_OK;
}

/* An image of another board may well be signed by the same site. */
int image_fits(const struct image *image, const char *board, uint32_t address)
{
    if (strcmp(image->board, board) != 0)
        return IMAGE_WRONG_BOARD;
    return image->address == address ? IMAGE_OK : IMAGE_WRONG_SLOT;
}

/* Semantic, and the build number decides among the same. */
int image_version_compare(const struct image_version *a, const struct image_version *b)
{
    uint32_t left = (uint32_t)a->major << 24 | (uint32_t)a->minor << 16 | a->revision,
             right = (uint32_t)b->major << 24 | (uint32_t)b->minor << 16 | b->revision;

    if (left != right)
        return left < right ? -1 : 1;
    return (a->build > b->build) - (a->build < b->build);
}

const uint8_t image_trailer_magic[IMAGE_TRAILER_MAGIC] = {0x77, 0xc2, 0x95, 0xf3,
                                                          0x60, 0xd2, 0xef, 0x7f,
                                                          0x35, 0x52, 0x50, 0x0f,
                                                          0x2c, 0xb6, 0x79, 0x80};

void image_trailer_confirmed(uint8_t out[IMAGE_TRAILER])
{
    memset(out, 0xFF, IMAGE_TRAILER);
    memcpy(out + IMAGE_TRAILER - IMAGE_TRAILER_MAGIC, image_trailer_magic,
           IMAGE_TRAILER_MAGIC);
    out[IMAGE_TRAILER - IMAGE_TRAILER_OK] = 0x01;
}

/* Decimal without printf, which a bootloader has no room for. Returns the end. */
static char *put_number(char *at, uint32_t value)
{
    char digits[10];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

const char *image_version_text(const struct image_version *version,
                               char text[IMAGE_VERSION_TEXT_MAX])
{
    char *at = put_number(text, version->major);

    *at++ = '.';
    at = put_number(at, version->minor);
    *at++ = '.';
    at = put_number(at, version->revision);
    *at++ = '+';
    *put_number(at, version->build) = '\0';
    return text;
}

/* By number: 0, 1 for -1, and so on. */
const char *image_error_text(int error)
{
    static const char *const texts[] = {
        "well formed",
        "the image is cut short",
        "there is no image",
        "the header's size is impossible",
        "the image does not fit into the slot",
        "the image is encrypted, for RAM, or not for a fixed address",
        "a TLV area's magic or size is wrong",
        "a TLV's length is wrong",
        "a TLV stands twice",
        "an unprotected TLV is not known",
        "hash, key hash, signature, security counter or board is missing",
        "the image is for another board",
        "the image is linked for another address",
        "the security counter is lower than the node's",
        "the image is signed with another key",
        "the image's bytes are not those that were signed",
        "the signature does not hold",
        "the flash can't be read",
    };
    unsigned i = error > 0 ? 0 : 0u - (unsigned)error;

    return i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : "unknown error";
}
