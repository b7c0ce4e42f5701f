/* SPDX-License-Identifier: Apache-2.0
 *
 * The embedded default EPR: a file of JSON lines. It keeps the promises that an EPR
 * should: a message is acknowledged only once it is on the disk, and one that comes again
 * is acknowledged and not written again, even when the program was killed between the
 * writing and the ledger's noting of the acknowledgement.
 *
 * For that the control ids of the file's tail are read back when it is opened. Only
 * messages that the ledger had not noted as charted can come again; they are among the
 * last ones written, far fewer than EPR_FILE_TAIL holds.
 */
#ifndef CHART_EPR_FILE_H
#define CHART_EPR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPR_FILE_TAIL       (INT64_C(8) << 20) /* bytes of the file that are read back */
#define EPR_FILE_REMEMBERED 32768 /* control ids that are remembered; a power of two */

struct epr_file;

/* Opens or makes the file (0600), cuts off a last line that was never finished and reads
 * the tail. Returns 0 or -errno; -EWOULDBLOCK when another process writes it. */
int epr_file_open(const char *path, struct epr_file **out);
void epr_file_close(struct epr_file *file); /* NULL is fine */

/* Takes one line (with its newline) into the batch. Returns 1 when it was taken, 0 when a
 * line with this control id is in the file or the batch already, or -errno. Nothing is
 * promised before epr_file_sync. */
int epr_file_append(struct epr_file *file, const char *control, const char *line,
                    size_t n);

/* Writes and syncs the batch. After an error (-errno) none of it counts: the file is cut
 * back to where it was, and the lines must be appended again. */
int epr_file_sync(struct epr_file *file);

#endif
