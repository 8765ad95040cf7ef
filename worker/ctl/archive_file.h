/*
 * The file that rows go to before they leave MySQL: JSON lines, compressed by gzip, a member for each batch
 * (ctl/archive_member.h).
 *
 * A batch is in the file once archive_file_add() has returned 0: written and synced, and so is the folder's entry of a
 * new file. What a crash left behind the last whole batch is cut off by the next archive_file_open(); no row of it has
 * left MySQL. One process at a time has the file (flock(2)).
 */
#ifndef CHECKOUT_WORKER_CTL_ARCHIVE_FILE_H
#define CHECKOUT_WORKER_CTL_ARCHIVE_FILE_H

#include <stdint.h>

#include "text/buffer.h"

struct archive_file {
    int fd;          /* -1: closed, or none */
    uint64_t size;   /* bytes of whole batches */
    uint64_t cut;    /* bytes that archive_file_open() took off the end */
    char error[512]; /* of the last call that returned -1 */
};

/*
 * Opens a file that was made here to go on with it, or makes one that only its owner may read (mode 0600). path: not
 * kept. Blocks on the disk, for no longer than the last batch takes to read. Returns 0, and archive_file_close() closes
 * it; or -1 with the reason in error: it cannot be opened or synced, another process has it, or it is something else
 * than an archive, and then it stays as it is.
 */
int archive_file_open(struct archive_file *file, const char *path);

/*
 * Adds the lines as one batch and blocks until the disk has it. Returns 0; or -1 with the reason in error: the file may
 * then end with a part of the batch, and must be closed.
 */
int archive_file_add(struct archive_file *file, const struct buffer *lines);

/* Closes the file; also right where none is open. */
void archive_file_close(struct archive_file *file);

#endif
