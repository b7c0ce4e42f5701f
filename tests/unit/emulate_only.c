/* SPDX-License-Identifier: Apache-2.0
 *
 * The verb `wardgate emulate` as a program of its own, for tests that need only that.
 */
#include "tool/emulate.h"

int main(int argc, char **argv)
{
    return verb_emulate(argc, argv);
}
