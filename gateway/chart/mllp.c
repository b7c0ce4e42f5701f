/* SPDX-License-Identifier: Apache-2.0
 *
 * MLLP framing. A frame is over at its 0x1C: some senders never send the 0x0D after it,
 * and waiting for it would leave both sides waiting.
 */
#include "chart/mllp.h"

#include <string.h>

#define MLLP_CR 0x0d

/* The buffer is the limit: a frame never needs more memory than was given. */
void mllp_decoder(struct mllp_decoder *decoder, char *buffer, size_t capacity)
{
    *decoder = (struct mllp_decoder){.buffer = buffer, .capacity = capacity};
}

/* A start inside a frame begins anew: what came before has lost its end. */
static void begin_frame(struct mllp_decoder *decoder)
{
    if (decoder->inside && decoder->used == 0)
        decoder->doubled++;
    /* its sender was restarted: what came so far is half a message */
    else if (decoder->inside)
        decoder->truncated++;
    decoder->inside = true;
    decoder->too_long = false;
    decoder->used = 0;
}

/* Says whether there is a message in the buffer. */
static enum mllp_step end_frame(struct mllp_decoder *decoder)
{
    decoder->inside = false;
    if (decoder->too_long) {
        decoder->oversized++;
        return MLLP_OVERSIZED;
    }
    if (decoder->used == 0) { /* nothing between start and end says nothing */
        decoder->garbage += 2;
        return MLLP_MORE;
    }
    decoder->frames++;
    return MLLP_FRAME;
}

/* Counted, not refused: engines pad and repeat, and the next frame is as good as any. */
static void outside_byte(struct mllp_decoder *decoder, char c)
{
    if ((unsigned char)c == MLLP_END)
        decoder->doubled++;
    /* line ends between frames are part of the ending */
    else if (c != MLLP_CR && c != '\n')
        decoder->garbage++;
}

/* Stops after each frame, so that its caller can deal with one message before the next
 * overwrites it. */
enum mllp_step mllp_decode(struct mllp_decoder *decoder, const char *bytes, size_t n,
                           size_t *taken)
{
    size_t i;

    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == MLLP_START) {
            begin_frame(decoder);
        } else if (!decoder->inside) {
            outside_byte(decoder, bytes[i]);
        } else if (c == MLLP_END) {
            enum mllp_step step = end_frame(decoder);

            if (step != MLLP_MORE) {
                *taken = i + 1;
                return step;
            }
        } else if (decoder->used == decoder->capacity) {
            decoder->too_long = true;
        } else {
            decoder->buffer[decoder->used++] = bytes[i];
        }
    }
    *taken = n;
    return MLLP_MORE;
}

/* A framing byte inside would cut the message in two at the other side. */
size_t mllp_encode(const char *message, size_t n, char *out, size_t capacity)
{
    if (n == 0 || capacity < MLLP_OVERHEAD || n > capacity - MLLP_OVERHEAD ||
        memchr(message, MLLP_START, n) != NULL || memchr(message, MLLP_END, n) != NULL)
        return 0;
    out[0] = MLLP_START;
    memcpy(out + 1, message, n);
    out[n + 1] = MLLP_END;
    out[n + 2] = MLLP_CR;
    return n + MLLP_OVERHEAD;
}
