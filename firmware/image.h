/* SPDX-License-Identifier: Apache-2.0
 *
 * A firmware image: what stands in it and whether it is well formed. Pure: bytes in,
 * facts out; hash and signature are image_verify.h's. The format is MCUboot's
 * (docs/design.md and imgtool of mcu-tools/mcuboot), all little-endian:
 *
 *   0   u32 magic 0x96f3b83d    4   u32 load address       8  u16 header size
 *   10  u16 protected TLV size  12  u32 payload size       16 u32 flags
 *   20  u8 major, u8 minor, u16 revision, u32 build        28 u32 0
 *   header size: the payload, which begins with the vector table
 *   then  the protected TLVs: u16 magic 0x6908, u16 size of the area with these 4 bytes,
 *         then each u16 type, u16 length, value; hashed like all before them
 *   then  the TLVs: the same with magic 0x6907; not hashed
 *
 * What this project asks beyond the format, because its nodes run images where they lie
 * (direct-XIP): flag ROM_FIXED and the load address of the slot; a security counter and a
 * board's name, both protected; exactly one hash, key hash and signature; nothing else
 * unprotected, for what is not hashed could be anyone's.
 */
#ifndef FIRMWARE_IMAGE_H
#define FIRMWARE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAGIC            0x96f3b83du
#define IMAGE_TLVS             0x6907
#define IMAGE_TLVS_PROTECTED   0x6908
#define IMAGE_FLAG_ROM_FIXED   0x00000100u /* runs at the load address, where it lies */
#define IMAGE_HEADER_SIZE      32          /* bytes of the header's fields */
#define IMAGE_HEADER_SIZE_MAX  4096        /* bytes to the payload: vector tables align */
#define IMAGE_TLVS_MAX         512         /* bytes of both areas */
#define IMAGE_BOARD_MAX        24          /* characters of a board's name */
#define IMAGE_HASH_SIZE        32
#define IMAGE_SIGNATURE_MAX    72 /* bytes of an ECDSA-P256 signature in DER */
#define IMAGE_VERSION_TEXT_MAX 28 /* "255.255.65535+4294967295" and its end */

/* The end of a slot (slots.h says what stands in it). */
#define IMAGE_TRAILER       168 /* bytes that no image may reach */
#define IMAGE_TRAILER_MAGIC 16  /* bytes, the last of the slot */
#define IMAGE_TRAILER_OK    24  /* bytes before the slot's end: image-ok */

enum image_tlv_type {
    IMAGE_TLV_KEY_HASH = 0x01,
    IMAGE_TLV_SHA256 = 0x10,
    IMAGE_TLV_SIGNATURE = 0x22, /* ECDSA-P256 over the hash, DER */
    IMAGE_TLV_COUNTER = 0x50,   /* u32: security counter */
    IMAGE_TLV_BOARD = 0xA0,     /* the board's name; of the range left to vendors */
};

enum image_error {
    IMAGE_OK = 0,
    IMAGE_SHORT = -1,      /* ends within the header or a TLV area */
    IMAGE_NO_IMAGE = -2,   /* not the magic number */
    IMAGE_HEADER = -3,     /* a header size that cannot be */
    IMAGE_TOO_LARGE = -4,  /* does not fit where it is to lie */
    IMAGE_FLAGS = -5,      /* encrypted, loaded to RAM, or not at a fixed address */
    IMAGE_TLV_AREA = -6,   /* an area's magic or size does not hold */
    IMAGE_TLV_LENGTH = -7, /* a TLV reaches over its area, or has not its type's length */
    IMAGE_TLV_TWICE = -8,  /* a type that may stand once */
    IMAGE_TLV_STRANGE = -9,  /* an unprotected TLV that is not known */
    IMAGE_TLV_MISSING = -10, /* hash, key hash, signature, counter or board */
    IMAGE_WRONG_BOARD = -11,
    IMAGE_WRONG_SLOT = -12,  /* linked for another address */
    IMAGE_ROLLED_BACK = -13, /* its security counter is lower than the node's */
    IMAGE_WRONG_KEY = -14,   /* signed with a key that is not ours */
    IMAGE_WRONG_HASH = -15,  /* its bytes are not those that were signed */
    IMAGE_UNSIGNED = -16,    /* the signature does not hold */
    IMAGE_UNREADABLE = -17,  /* the flash gave an error */
};

struct image_version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

struct image {
    uint32_t address;      /* of the header, where the image must lie */
    uint32_t payload_at;   /* bytes from the header's begin: its header size */
    uint32_t payload_size; /* bytes */
    uint32_t hashed_size;  /* bytes from the header's begin: header, payload, protected */
    uint32_t tlvs_size;    /* bytes of both TLV areas */
    uint32_t protected_size; /* bytes of the first of them */
    uint32_t total_size;     /* bytes of the whole image */
    struct image_version version;
    uint32_t counter;                /* security counter */
    char board[IMAGE_BOARD_MAX + 1]; /* printable */
    uint8_t hash[IMAGE_HASH_SIZE];
    uint8_t key_hash[IMAGE_HASH_SIZE];
    uint8_t signature[IMAGE_SIGNATURE_MAX];
    size_t signature_size;
};

/* Reads the header: n bytes from its begin, of which IMAGE_HEADER_SIZE are looked at;
 * limit is the room in bytes for a whole image. Fills *image up to protected_size; the
 * TLVs begin at payload_at + payload_size. IMAGE_OK, or the first thing that is wrong. */
int image_read_header(const uint8_t *bytes, size_t n, uint32_t limit,
                      struct image *image);

/* Reads both TLV areas: n bytes, of which more may be there than the areas take. Fills
 * the rest of *image. IMAGE_OK, or the first thing that is wrong. */
int image_read_tlvs(const uint8_t *bytes, size_t n, uint32_t limit, struct image *image);

/* Whether an image is for this board and this slot. IMAGE_OK, IMAGE_WRONG_BOARD or
 * IMAGE_WRONG_SLOT. */
int image_fits(const struct image *image, const char *board, uint32_t address);

/* < 0, 0, > 0: a's version is lower than b's, the same, higher. The build counts last. */
int image_version_compare(const struct image_version *a, const struct image_version *b);

/* MCUboot's trailer magic, for write alignments up to 8. */
extern const uint8_t image_trailer_magic[IMAGE_TRAILER_MAGIC];

/* The trailer of an image that a factory, or a debug probe, puts into a slot: confirmed.
 */
void image_trailer_confirmed(uint8_t out[IMAGE_TRAILER]);

/* "1.2.3+4", as imgtool writes it. Returns text. */
const char *image_version_text(const struct image_version *version,
                               char text[IMAGE_VERSION_TEXT_MAX]);

/* What an error means, for people. Never NULL. */
const char *image_error_text(int error);

#endif
