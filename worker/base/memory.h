/*
 * Memory that either is there or ends the program.
 *
 * Both programs survive being killed at any moment, so running out of memory is treated as such a moment:
 * a line in the log, and abort(). Callers need no error path, and every size asked for is bounded by them.
 */
#ifndef CHECKOUT_WORKER_BASE_MEMORY_H
#define CHECKOUT_WORKER_BASE_MEMORY_H

#include <stddef.h>

void *memory_resize(void *old, size_t count, size_t size);   /* free() it */
char *memory_copy(const char *text);                         /* free() it */

/* From here on a buffer (text/buffer.h) that cannot grow ends the program too. For main(), before there are threads. */
void memory_abort_with_buffers(void);

#endif
