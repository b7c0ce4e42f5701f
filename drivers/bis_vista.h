/* SPDX-License-Identifier: Apache-2.0
 *
 * Covidien (Medtronic) BIS VISTA, its binary protocol: depth of anaesthesia, a message of
 * processed values a second. Source: one implementation, hence beta.
 *
 * Given from the first of the message's three blocks: bispectral index, suppression
 * ratio, spectral edge, signal quality. Powers are left out: nobody says against what
 * their decibels are measured.
 */
#ifndef DRIVERS_BIS_VISTA_H
#define DRIVERS_BIS_VISTA_H

#include "drivers/driver.h"

/* No public standard term is known for these; the numbers are those of a large maker's
 * published nomenclature (partition 2, private part), in which four independent
 * implementations agree. */
#define MDC_EEG_RATIO_SUPPRN       192586 /* percent */
#define MDC_EEG_BIS_SIG_QUAL_INDEX 192589 /* percent */
#define MDC_EEG_BISPECTRAL_INDEX   192590 /* no unit */
#define MDC_EEG_SPECTRAL_EDGE      153992 /* Hz */

#define BIS_VISTA_NONE (-3277) /* this and less: the device has no value */

extern const struct driver bis_vista;

#endif
