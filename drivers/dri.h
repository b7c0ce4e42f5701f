/* SPDX-License-Identifier: Apache-2.0
 *
 * GE Datex-Ohmeda S/5 computer interface (DRI): B20 to B850, CARESCAPE, Cardiocap 5,
 * AS/3, CS/3. The monitor is asked once for its displayed values and then sends them
 * every five seconds. Facts: the maker's two interface specifications (DRI levels 02 to
 * 0B) and three independent implementations that agree on structures, scales and labels.
 *
 *   7E  record, checksum  7E      7E and 7D within are sent as 7D 5E and 7D 5D
 *
 * The checksum is the sum of the record's bytes; a record also says its own length, so
 * that no single wrong bit passes. Numbers are little-endian.
 *
 * Given: heart rate by its source, invasive pressures and temperatures by their label,
 * the cuff, SpO2, the gases CO2, O2, N2O, and the airway's pressures and volumes.
 * Not given: ST, agents, cardiac output, NMT, EEG, and what has a label that says nothing
 * of its place (P1, T1, ...). Not asked for: waveforms, trends, the patient's name.
 *
 * Caveat: the monitor's clock is Unix time of an unnamed zone; no device_time is given.
 */
#ifndef DRIVERS_DRI_H
#define DRIVERS_DRI_H

#include "drivers/driver.h"

#define DRI_FLAG   0x7E
#define DRI_ESCAPE 0x7D

#define DRI_HEADER_SIZE    40
#define DRI_DATA_MAX       1450 /* bytes behind the header */
#define DRI_RECORD_MAX     (DRI_HEADER_SIZE + DRI_DATA_MAX)
#define DRI_SUBRECORD_SIZE 278 /* time, body, marker, class */
#define DRI_BODY_SIZE      270 /* of one class of values */
#define DRI_KEPT_MAX       (DRI_HEADER_SIZE + 2 * DRI_SUBRECORD_SIZE) /* what we ask for */

#define DRI_PRESSURES    4
#define DRI_TEMPERATURES 4
#define DRI_CUFF_VALUES  4

/* What a line remembers from record to record: which modules there were (a module that is
 * pulled out is told as absent values), what the channels were called, and the last cuff
 * measurement, which the monitor shows until the next one. */
struct dri_memory {
    uint32_t seen; /* groups that have existed, a bit each */
    uint16_t pressure_label[DRI_PRESSURES], temperature_label[DRI_TEMPERATURES];
    int16_t cuff[DRI_CUFF_VALUES];
    bool cuff_known, cuff_old, cuff_measuring; /* as the last record had it */
};

extern const struct driver dri; /* 19200 8E1 */

/* Decodes one body of the basic class. Appends to an empty set what its modules have; the
 * set stays empty if there is no module. */
void dri_basic(const uint8_t body[DRI_BODY_SIZE], struct dri_memory *memory,
               struct observation_set *out);

#endif
