/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of `wardgate`: argv[0] is the verb's own name; the result is the program's
 * exit code (tool.h).
 */
#ifndef TOOL_VERBS_H
#define TOOL_VERBS_H

int verb_boards(int argc, char **argv);
int verb_bundle(int argc, char **argv);
int verb_certify(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_devices(int argc, char **argv);
int verb_emulate(int argc, char **argv);
int verb_flash(int argc, char **argv);
int verb_enrol(int argc, char **argv);
int verb_held(int argc, char **argv);
int verb_keygen(int argc, char **argv);
int verb_pki(int argc, char **argv);
int verb_probe(int argc, char **argv);
int verb_queue(int argc, char **argv);
int verb_read(int argc, char **argv);
int verb_record(int argc, char **argv);
int verb_replace(int argc, char **argv);
int verb_resend(int argc, char **argv);
int verb_scan(int argc, char **argv);
int verb_sign(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_survey(int argc, char **argv);
int verb_tail(int argc, char **argv);
int verb_update(int argc, char **argv);
int verb_wipe(int argc, char **argv);

#endif
