/* SPDX-License-Identifier: Apache-2.0
 *
 * What arrives on `state`, and the topic that it claims to arrive on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/receipt.h"
#include "wire/topics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TOPIC_SIZE * 2], back[TOPIC_SIZE], gateway[NAME_MAX_LENGTH + 1];
    uint8_t again[STATE_SIZE_MAX];
    const char *field = NULL;
    wardgate_State state;
    enum topic topic;

    if (state_decode(data, size, &state, &field) == WIRE_OK) {
        if (state_encode(&state, again, sizeof(again)) <= 0 ||
            state.first_seq > state.next_seq)
            abort();
    } else if (field == NULL)
        abort();

    /* A topic that is taken apart is exactly the one that we would write. */
    if (size < sizeof(text)) {
        memcpy(text, data, size);
        text[size] = '\0';
        if (topic_parse(text, "homerton", &topic, gateway) &&
            (!name_valid(gateway) ||
             strcmp(topic_text(topic, "homerton", gateway, back), text) != 0))
            abort();
    }
    return 0;
}
