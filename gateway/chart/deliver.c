/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/deliver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"

#define QUALITY_INVALID      0x01u
#define QUALITY_SENSOR_OFF   0x04u
#define QUALITY_OUT_OF_RANGE 0x08u
#define QUALITY_DEMO         0x10u
#define QUALITY_TEST         0x20u
#define QUALITY_STALE        0x80u
#define QUALITY_NEVER                                                                    \
    (QUALITY_INVALID | QUALITY_SENSOR_OFF | QUALITY_OUT_OF_RANGE | QUALITY_DEMO |        \
     QUALITY_TEST | QUALITY_STALE)

/* One rule for everything: what is due, what is written, what is withdrawn. */
bool deliver_chartable(const wardgate_Observation *observation)
{
    return observation->which_value != 0 && (observation->quality & QUALITY_NEVER) == 0;
}

/* Spelled out, so that an engineer finds the reading in the ledger from a screen of the
 * EPR. */
const char *deliver_filler(const char *gateway, const struct epoch *epoch, uint64_t seq,
                           uint32_t generation, char *out)
{
    char hex[2 * EPOCH_SIZE + 1];
    snprintf(out, DELIVER_FILLER_SIZE, "%s.%s.%" PRIu64 ".%" PRIu32, gateway,
             hex_text(epoch->bytes, EPOCH_SIZE, hex), seq, generation);
    return out;
}

/* MSH-10 is too short to spell the identity out, so it carries 100 bits of the identity's
 * digest: a thousand million messages collide with a chance of less than one in 10^12.
 * The letters are Crockford's: no I, L, O or U to misread on the telephone. */
int deliver_control(const struct deliver_message *message, char *out)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char filler[DELIVER_FILLER_SIZE], text[2 * DELIVER_FILLER_SIZE];
    uint8_t digest[DIGEST_SIZE];
    deliver_filler(message->gateway, &message->epoch, message->record->seq,
                   message->generation, filler);
    int n = snprintf(text, sizeof text, "%s/%.64s/%d", filler, message->destination,
                     (int)message->kind);
    if (crypto_sha256(text, (size_t)n, digest) != 0)
        return -1;

    for (size_t i = 0; i < DELIVER_CONTROL_SIZE - 1; i++) {
        size_t bit = 5 * i;
        unsigned pair = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];
        out[i] = letters[pair >> (11 - bit % 8) & 31];
    }
    out[DELIVER_CONTROL_SIZE - 1] = '\0';
    return 0;
}
