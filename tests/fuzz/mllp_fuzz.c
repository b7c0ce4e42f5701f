/* SPDX-License-Identifier: Apache-2.0
 *
 * mllp: however a stream is cut into reads, it gives the same frames; a frame that was
 * taken can be sent again.
 */
#include "chart/mllp.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 64
#define PIECES    7 /* sizes of reads tried: 1, 2, 4 .. 64 bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct seen {
    uint64_t hash, frames, oversized;
    struct mllp_decoder decoder;
};

static void decode(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    static char buffer[FRAME_MAX], out[FRAME_MAX + MLLP_OVERHEAD];
    size_t at = 0, taken, i;

    memset(seen, 0, sizeof(*seen));
    mllp_decoder(&seen->decoder, buffer, sizeof(buffer));
    while (at < size) {
        size_t n = size - at < piece ? size - at : piece;
        enum mllp_step step =
            mllp_decode(&seen->decoder, (const char *)data + at, n, &taken);

        must(taken > 0 && taken <= n);
        at += taken;
        if (step == MLLP_OVERSIZED)
            seen->oversized++;
        if (step != MLLP_FRAME)
            continue;
        seen->frames++;
        must(seen->decoder.used > 0 && seen->decoder.used <= FRAME_MAX);
        for (i = 0; i < seen->decoder.used; i++)
            seen->hash = (seen->hash ^ (uint8_t)buffer[i]) * UINT64_C(1099511628211);
        must(mllp_encode(buffer, seen->decoder.used, out, sizeof(out)) ==
             seen->decoder.used + MLLP_OVERHEAD);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen first, other;
    size_t i;

    decode(data, size, 1, &first);
    must(first.decoder.frames == first.frames &&
         first.decoder.oversized == first.oversized);
    for (i = 1; i < PIECES; i++) {
        decode(data, size, (size_t)1 << i, &other);
        must(other.hash == first.hash && other.frames == first.frames &&
             other.oversized == first.oversized);
        must(other.decoder.garbage == first.decoder.garbage &&
             other.decoder.doubled == first.decoder.doubled &&
             other.decoder.truncated == first.decoder.truncated);
    }
    return 0;
}
