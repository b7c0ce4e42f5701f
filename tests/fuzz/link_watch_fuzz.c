/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers tls_watch_feed: whatever a peer sends, and however it is cut, the watch sees the
 * same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "link/tls_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_watch whole = {.seen = 0}, cut = {.seen = 0};
    size_t step;

    if (size == 0)
        return 0;
    step = data[0] % 16 + 1U;
    data++, size--;
    tls_watch_feed(&whole, data, size);
    for (size_t i = 0; i < size; i += step)
        tls_watch_feed(&cut, data + i, size - i < step ? size - i : step);
    if (whole.seen != size || cut.seen != size || whole.not_tls != cut.not_tls ||
        whole.asked_certificate != cut.asked_certificate ||
        whole.server_version != cut.server_version || whole.alerted != cut.alerted ||
        whole.alert != cut.alert || whole.last_message != cut.last_message)
        abort();
    return 0;
}
