/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/node.h"

static struct node node; /* 5 KiB: not for the stack */

/* Never ends on a board; the host board's loop ends with its process. */
int main(void)
{
    hal_start();
    node_start(&node);
    for (;;)
        node_rest(&node, node_turn(&node));
}
