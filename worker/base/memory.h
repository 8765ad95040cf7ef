/*
 * Memory without an error path: where there is none left, a line goes to the log and the process aborts.
 *
 * Both programs survive being killed at any moment, so running out of memory is treated as such a moment. Callers bound
 * every size that they ask for. All functions may be called from every thread.
 */
#ifndef CHECKOUT_WORKER_BASE_MEMORY_H
#define CHECKOUT_WORKER_BASE_MEMORY_H

#include <stddef.h>

/*
 * reallocarray(3): count elements of size bytes each, at least one. old: NULL, or what this returned before, which is
 * freed or moved. Returns memory that the caller frees; never NULL.
 */
void *memory_resize(void *old, size_t count, size_t size);

/* Returns a copy that the caller frees; never NULL. */
char *memory_copy(const char *text);

/* From here on a buffer (text/buffer.h) that cannot grow aborts too. For main(), before the first thread. */
void memory_abort_with_buffers(void);

#endif
