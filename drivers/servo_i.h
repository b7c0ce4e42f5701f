/* SPDX-License-Identifier: Apache-2.0
 *
 * Maquet Servo-i and Servo-s ventilators, computer interface (CIE), extended mode. The
 * ventilator only answers. Facts: the maker's CIE reference manual (protocol versions 001
 * to 005) and one independent implementation; the form of RCCO's answer is from the
 * latter alone, and an answer of another form gives no values.
 *
 *   text, two hex digits of the exclusive or of the text, EOT
 *
 * RCTY      enters extended mode               Servo-i0
 * RHVE      highest protocol version           005
 * SPVE005   use this one                       *
 * RCCO200   how channel 200 is scaled          020;200,+1000E-004,+0000E+000,06,BT,...;
 * SDADB200  which breath values RADAB reads    *
 * RADAB     four digits a channel              0148
 *
 * Scale and unit are those that the device tells; a channel whose scale or unit is none
 * that the manual lists for it is not read. 9999 is a missing value. The check finds
 * every single bit; a reply must also be digits only, and of the length that was asked.
 *
 * Given: rate, tidal volume (expired), minute volumes, peak, plateau and end-expiratory
 * pressure, oxygen, end-tidal CO2. Not asked for: settings, alarms, curves, the clock.
 */
#ifndef DRIVERS_SERVO_I_H
#define DRIVERS_SERVO_I_H

#include "drivers/driver.h"

#define SERVO_I_EOT      0x04
#define SERVO_I_ESC      0x1B
#define SERVO_I_CHANNELS 10 /* that this driver reads */
#define SERVO_I_DIGITS   4  /* of a value */
#define SERVO_I_MISSING  9999

/* How one channel is scaled on this device: unit 0 if it is not read. */
struct servo_i_scale {
    uint32_t unit; /* MDC */
    int8_t exponent;
    int16_t least, most; /* technical limits in the unit */
};

/* What a device has told in this session; all zero: nothing. `seen` has a bit for each
 * channel that had a value: a gas analyser that is not there is not spoken of. */
struct servo_i_device {
    struct servo_i_scale scale[SERVO_I_CHANNELS];
    uint16_t seen;
};

extern const struct driver servo_i; /* 9600 8E1 */

/* The number of channel i, 200 to 299. */
unsigned servo_i_channel(size_t i);

/* The index of a channel; SERVO_I_CHANNELS if it is not read. */
size_t servo_i_find(unsigned channel);

/* Reads an answer to RCCO for channel i, without its check. False if it is none for this
 * channel. True with scale->unit 0: an answer, but not as the manual lists it. */
bool servo_i_configuration(const uint8_t *text, size_t n, size_t i,
                           struct servo_i_scale *scale);

/* Reads an answer to RADAB, without its check: digits of every channel with a unit. False
 * if it is not that; true with an empty set if the device has none of them. n = 0 means
 * standby: all values are absent. */
bool servo_i_values(const uint8_t *text, size_t n, struct servo_i_device *device,
                    struct observation_set *out);

#endif
