/* SPDX-License-Identifier: Apache-2.0
 *
 * mosquitto.conf and the ACL file of a site's broker.
 */
#ifndef TOOL_PKI_BROKER_H
#define TOOL_PKI_BROKER_H

#include "tool/pki_site.h"

struct pki_broker {
    const char *listen; /* address; NULL: all */
    long long port;
    const char *user; /* that the broker runs as after it has bound its port; NULL: the
                         one who starts it */
    const char
        *folder; /* where the broker folder will stand; NULL: where it stands now */
};

/* Both return 0, or a tool_exit after saying why. */
int pki_broker_config(const struct pki_site *site, const struct pki_broker *broker);
int pki_broker_acl(const struct pki_site *site);

/* SIGHUP to the mosquitto of that process id (text): it reads lists and ACL again. What
 * is no mosquitto is not signalled. As above. */
int pki_broker_tell(const char *text);

#endif
