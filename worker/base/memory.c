#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/buffer.h"


void *
memory_resize(void *old, size_t count, size_t size)
{
    void *p = reallocarray(old, count > 0 ? count : 1, size);

    if (p == NULL) {
        log_error("event=out_of_memory elements=%zu bytes_each=%zu", count, size);
        abort();
    }

    return p;
}


char *
memory_copy(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(memory_resize(NULL, size, 1), text, size);
}


static void
end_with_buffer(size_t size)
{
    log_error("event=out_of_memory elements=%zu bytes_each=1", size);
    abort();
}


void
memory_abort_with_buffers(void)
{
    buffer_on_failure = end_with_buffer;
}
