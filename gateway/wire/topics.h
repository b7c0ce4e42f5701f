/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate/1/<site>/<gateway>/ + up | state | down/receipt | down/order. No identifier of
 * a patient is ever in a topic.
 */
#ifndef WIRE_TOPICS_H
#define WIRE_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

#define TOPIC_SIZE 160

enum topic { TOPIC_UP, TOPIC_STATE, TOPIC_RECEIPT, TOPIC_ORDER };

/* out has TOPIC_SIZE bytes. gateway "+" makes the chart's subscription filter. Returns
 * out. */
const char *topic_text(enum topic topic, const char *site, const char *gateway,
                       char *out);

/* Takes a topic apart; false if it is not one of ours for this site. gateway has
 * NAME_MAX_LENGTH + 1 bytes. */
bool topic_parse(const char *text, const char *site, enum topic *topic, char *gateway);

#endif
