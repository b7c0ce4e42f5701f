/* SPDX-License-Identifier: Apache-2.0
 *
 * The profile loader on arbitrary text: loads, or refuses with "file:line: key: message".
 */
#include "ports/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[PROFILE_ERROR_MAX];
    struct profile *profile;
    struct regmap_plan plan;
    int result = profile_load_string("f", (const char *)data, size, &profile, error,
                                     sizeof(error));

    if (result == PROFILE_OK) {
        if (error[0] || regmap_plan(profile_regmap(profile), NULL, &plan) != REGMAP_OK)
            abort();
        profile_free(profile);
        return 0;
    }
    if (profile || strncmp(error, "f:", 2) != 0)
        abort();
    char *end = error + 2;
    strtoul(error + 2, &end, 10);
    if (end == error + 2 || strncmp(end, ": ", 2) != 0 || !strstr(end + 2, ": "))
        abort();
    return 0;
}
