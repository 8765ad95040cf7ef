/* Fuzzer: whatever a row holds, its JSON text is JSON; statements of any text are scanned within their bounds. */
#include <stdlib.h>
#include <string.h>

#include "mysql/prepared.h"
#include "mysql/row_json.h"
#include "text/json_reader.h"
#include "text/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
must_be_json(const struct buffer *b)
{
    if (json_check(b->data, b->len, 1) != 0) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer b = { 0 };
    char *text = malloc(size + 1);
    double number = 0;

    if (text == NULL) {
        return 0;
    }

    memcpy(text, data, size);
    text[size] = '\0';
    memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));

    json_text_string(&b, text, size);
    must_be_json(&b);
    buffer_clear(&b);
    json_text_base64(&b, data, size);
    must_be_json(&b);
    buffer_clear(&b);
    json_text_double(&b, number);
    must_be_json(&b);
    buffer_clear(&b);
    json_text_float(&b, (float) number);
    must_be_json(&b);

    if (prepared_placeholders(text) > size) {
        abort();
    }

    (void) json_check(text, size, ROW_JSON_DEPTH_MAX);
    buffer_free(&b);
    free(text);
    return 0;
}
