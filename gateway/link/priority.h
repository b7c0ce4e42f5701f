/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which the event loop serves the link when several things are ready: first
 * take all that has arrived, then write what that led to, then encrypt it. So that
 * acknowledgements which arrive together lead to one write and one TLS record, and not to
 * one of each for every message. None of them can starve: what the stages above have to
 * do is bounded by the window (MQTT_INFLIGHT_MAX each way).
 */
#ifndef LINK_PRIORITY_H
#define LINK_PRIORITY_H

#include <systemd/sd-event.h>

#define LINK_PRIORITY_WRITE                                                              \
    (SD_EVENT_PRIORITY_NORMAL + 1) /* libmosquitto's queue to the socket */
#define LINK_PRIORITY_SEND (SD_EVENT_PRIORITY_NORMAL + 2) /* the socket to the peer */

#endif
