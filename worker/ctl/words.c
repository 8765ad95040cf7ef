#include "ctl/words.h"

#include <inttypes.h>
#include <string.h>

#include "ctl/report.h"
#include "text/number.h"


/* Takes out n words at i. */
static void
take_out(int *argc, char **argv, int i, int n)
{
    *argc -= n;
    memmove(argv + i, argv + i + n, (size_t) (*argc - i) * sizeof(char *));
}


int
words_take_flag(int *argc, char **argv, const char *name)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            take_out(argc, argv, i, 1);
            return 1;
        }
    }

    return 0;
}


int
words_take_text(int *argc, char **argv, const char *name, const char **text)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) != 0) {
            continue;
        }

        if (i + 1 == *argc) {
            return -1;
        }

        *text = argv[i + 1];
        take_out(argc, argv, i, 2);
        return 0;
    }

    return 0;
}


int
words_take_number(int *argc, char **argv, const char *name, uint64_t most, uint64_t *value)
{
    const char *text = NULL;

    if (words_take_text(argc, argv, name, &text) == -1
        || (text != NULL && number_parse(value, text, strlen(text), most) == -1))
    {
        (void) report_error("%s needs a whole number up to %" PRIu64, name, most);
        return -1;
    }

    return 0;
}


int
words_product_id(const char *word, uint64_t *id)
{
    if (number_parse(id, word, strlen(word), INT64_MAX) == -1 || *id == 0) {
        (void) report_error("%s is no product id (a whole number from 1)", word);
        return -1;
    }

    return 0;
}
