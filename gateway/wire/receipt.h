/* SPDX-License-Identifier: Apache-2.0
 *
 * What the chart sends back: which records are durable in its ledger. Losing a receipt
 * costs a re-send; repeating one changes nothing.
 */
#ifndef WIRE_RECEIPT_H
#define WIRE_RECEIPT_H

#include "base/ids.h"
#include "wire/record.h"

#define RECEIPT_RANGES_MAX 128
#define RECEIPT_SIZE_MAX   4096
#define STATE_SIZE_MAX     256

int receipt_encode(const wardgate_Receipt *receipt, uint8_t *out, size_t capacity);

/* Decodes and checks: ranges ascending, not empty, first >= 1, first <= last; no
 * resend_from without resend. WIRE_FOREIGN if gateway or epoch differ from those given.
 */
int receipt_decode(const uint8_t *bytes, size_t n, const char *gateway,
                   const struct epoch *epoch, wardgate_Receipt *receipt,
                   const char **field);

/* WIRE_INVALID names the field: gateway, boot (0), epoch (zero), first_seq, next_seq,
 * version. */
int state_encode(const wardgate_State *state, uint8_t *out, size_t capacity);
int state_decode(const uint8_t *bytes, size_t n, wardgate_State *state,
                 const char **field);

#endif
