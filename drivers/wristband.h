/* SPDX-License-Identifier: Apache-2.0
 *
 * A barcode scanner on a serial line that reads patients' wristbands: GS1 DataMatrix as
 * the NHS's standard DCB1077 has it. Facts: GS1 General Specifications (application
 * identifiers, check digit) and the NHS data dictionary (NHS number, its check digit).
 *
 * Taken: application identifier 8018, whose 18 digits are a company prefix of seven, the
 * NHS number of ten and a check digit. Both checks must hold, and whoever gets the scan
 * compares the prefix. Everything else on the band (name, date of birth, the local
 * number) is read over and wiped: nothing of it is needed (P8). A band without an NHS
 * number, a staff badge (8017), a place, an asset or a drug names no patient and is
 * refused, as are two scans in one and any application identifier that is not known.
 *
 * The scanner must end a scan with CR or LF and send the group separator 1Dh as it is
 * (no keyboard emulation).
 */
#ifndef DRIVERS_WRISTBAND_H
#define DRIVERS_WRISTBAND_H

#include "drivers/driver.h"

#define WRISTBAND_SCAN_MAX    256  /* bytes of a scan without its end */
#define WRISTBAND_GS          0x1D /* ends a value of variable length */
#define WRISTBAND_PREFIX_SIZE 7
#define WRISTBAND_NHS_SIZE    10

/* What driver_scan's id looks like: "NHS/9990000018". The digest is made of these bytes,
 * so they never change. */
#define WRISTBAND_ID_MARK "NHS/"
#define WRISTBAND_ID_SIZE (sizeof(WRISTBAND_ID_MARK) - 1 + WRISTBAND_NHS_SIZE)

extern const struct driver wristband;

/* True if the ten digits are an NHS number: modulus 11, and not all of them 0. */
bool wristband_nhs_valid(const uint8_t digits[WRISTBAND_NHS_SIZE]);

/* True if the last of n digits is the GS1 check digit of the others. */
bool wristband_gs1_valid(const uint8_t *digits, size_t n);

#endif
