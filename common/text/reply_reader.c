#include "text/reply_reader.h"

#if HIREDIS_MAJOR >= 1
typedef size_t reader_count;
#else
typedef int reader_count;
#endif

/* hiredis' own way to make replies, but for arrays. Written once, before the first reader is used. */
static redisReplyObjectFunctions functions;
static void *(*create_array)(const redisReadTask *task, reader_count elements);


static void *
create_bounded_array(const redisReadTask *task, reader_count elements)
{
    return elements <= CHECKOUT_REPLY_ELEMENTS_MAX ? create_array(task, elements) : NULL;
}


redisReader *
checkout_reply_reader_create(void)
{
    redisReader *reader = redisReaderCreate();

    if (reader == NULL) {
        return NULL;
    }

    if (create_array == NULL) {
        functions = *reader->fn;
        create_array = functions.createArray;
        functions.createArray = create_bounded_array;
    }

    reader->fn = &functions;
    return reader;
}
