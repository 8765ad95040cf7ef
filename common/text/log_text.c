#include "text/log_text.h"


void
log_clean(char *out, size_t size, const char *text)
{
    size_t i = 0;

    for (; text[i] != '\0' && i + 1 < size; i++) {
        unsigned char c = (unsigned char) text[i];

        out[i] = c < 0x20 || c == 0x7f ? ' ' : c == '"' ? '\'' : c == '\\' ? '/' : (char) c;
    }

    out[i] = '\0';
}
