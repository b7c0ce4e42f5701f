/* SPDX-License-Identifier: Apache-2.0
 *
 * GE Corometrics fetal monitors in the mode "115 Update", in which they say everything
 * and take no requests. Facts: the maker's manuals of the 120 Series (2015590-001) and
 * the 170 Series (2000947-004), which agree.
 *
 * The manuals' tables of modes were not at hand. So whose heart a channel shows and what
 * uterine activity is measured in is not known from the line: heart rate 1 and activity
 * are questionable always, heart rate 2 (a twin's, or the mother's) is not given at all,
 * and the driver is beta. The serial format but for the speed is not in the manuals
 * either: set it on the bus if it is not 8N1.
 */
#ifndef DRIVERS_COROMETRICS_H
#define DRIVERS_COROMETRICS_H

#include "drivers/driver.h"

#define COROMETRICS_HEART_1  0x60
#define COROMETRICS_ACTIVITY 0x61
#define COROMETRICS_MODES    0x62
#define COROMETRICS_NOTE     0x63 /* annotations and messages: text */
#define COROMETRICS_MARK     0x64
#define COROMETRICS_HEART_2  0x65
#define COROMETRICS_MOVEMENT 0x66
#define COROMETRICS_PAPER    0x67

#define COROMETRICS_NO_ACTIVITY 128 /* the pen is lifted; heart rates say 0 */

extern const struct driver corometrics_115;

#endif
