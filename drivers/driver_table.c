/* SPDX-License-Identifier: Apache-2.0
 *
 * Every streaming driver there is. A new one is one line here.
 */
#include "drivers/alaris.h"
#include "drivers/bcc.h"
#include "drivers/bis_vista.h"
#include "drivers/capnostream.h"
#include "drivers/contec.h"
#include "drivers/corometrics.h"
#include "drivers/dri.h"
#include "drivers/driver.h"
#include "drivers/fresenius.h"
#include "drivers/ivy.h"
#include "drivers/medibus.h"
#include "drivers/nonin.h"
#include "drivers/oximeter_line.h"
#include "drivers/pb840.h"
#include "drivers/series50.h"
#include "drivers/servo_i.h"
#include "drivers/wristband.h"

#include <string.h>

static const struct driver *const drivers[] = {
    &nonin_df2,    &nonin_df7,   &nonin_df8,       &nonin_df13,    &contec_v7,
    &contec_5byte, &nonin_8500,  &nellcor_n595,    &masimo_ascii1, &ivy_ansar_b,
    &medibus,      &medibus_8n1, &series50,        &ge_250cx,      &dri,
    &wristband,    &capnostream, &corometrics_115, &pb840,         &bis_vista,
    &alaris,       &fresenius,   &servo_i,         &bcc,
};

/* For listing: counts up until NULL. */
const struct driver *driver_at(size_t index)
{
    return index < sizeof(drivers) / sizeof(drivers[0]) ? drivers[index] : NULL;
}

/* For a config. Few names: a search by hand is as fast as any table. */
const struct driver *driver_by_name(const char *name)
{
    const struct driver *driver;

    for (size_t i = 0; (driver = driver_at(i)) != NULL; i++)
        if (strcmp(driver->name, name) == 0)
            return driver;
    return NULL;
}
