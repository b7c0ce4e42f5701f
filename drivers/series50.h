/* SPDX-License-Identifier: Apache-2.0
 *
 * Philips/HP Series 50 fetal monitors (M1350A/B/C, M1351A, M1353A) and others that speak
 * their digital interface, GE's Corometrics 250cx among them. Facts: the maker's
 * Programmer's Guide M1350-9074S (2002); an independent reader of a 250cx's real traffic,
 * which agrees in framing, check and the two requests.
 *
 * Three subjects, never in one set: the mother (her heart rate, uterine activity, cuff,
 * saturation, temperature), fetus 1 and fetus 2. A heart rate whose transducer belongs to
 * the other is nobody's and is not given.
 *
 * Of the four samples a second the newest is given; the trace itself is not carried.
 * Uterine activity by an external transducer is relative and has no unit; a rate of 0 is
 * a lifted pen and no value.
 */
#ifndef DRIVERS_SERIES50_H
#define DRIVERS_SERIES50_H

#include "drivers/driver.h"

/* No public standard term exists for these; the numbers are those of the maker's own
 * IntelliVue nomenclature (partition 2, private part), in which three independent
 * implementations agree. */
#define MDC_FETAL_HEART_RATE_ULTRASOUND 192715
#define MDC_FETAL_HEART_RATE_ECG        192719
#define MDC_UTERINE_ACTIVITY            192724 /* relative, no unit */
#define MDC_INTRAUTERINE_PRESSURE       192728 /* mmHg */

#define SERIES50_DLE         0x10
#define SERIES50_STX         0x02
#define SERIES50_ETX         0x03
#define SERIES50_SAMPLES     4      /* of each rate in a block, the newest last */
#define SERIES50_BLOCK_SIZE  35     /* bytes of a CTG block without its frame */
#define SERIES50_CANNOT      0xFFFF /* a rate that the device cannot measure */
#define SERIES50_MODE_NONE   0      /* transducers of a heart rate */
#define SERIES50_MODE_US     1
#define SERIES50_MODE_DECG   2 /* fetal scalp electrode */
#define SERIES50_MODE_MECG   3
#define SERIES50_MODE_EXTERN 4 /* the mother's rate from another device */
#define SERIES50_TOCO_EXTERN 4 /* transducers of uterine activity */
#define SERIES50_TOCO_IUP    5

extern const struct driver series50; /* Philips and HP */
extern const struct driver ge_250cx; /* the same; one source says that it speaks it */

/* Decodes a block's content: its type character and what follows, stuffing undone. Calls
 * the sink once for each subject that it speaks of; *twin keeps whether fetus 2 was ever
 * there: once it was, its silence is told. False, and no call, if the block has not the
 * length of its type; a type of which nothing is charted is fine and says nothing. */
bool series50_block(const uint8_t *bytes, size_t n, bool *twin,
                    const struct driver_sink *sink);

#endif
