/*
 * The words behind a command's name. Those that are taken out leave the others in their order; texts point into argv.
 * Nothing here blocks; messages go to stderr (ctl/report.h).
 */
#ifndef CHECKOUT_WORKER_CTL_WORDS_H
#define CHECKOUT_WORKER_CTL_WORDS_H

#include <stdint.h>

/* Takes out the first word that is `name`. Returns 1, or 0: there is none. */
int words_take_flag(int *argc, char **argv, const char *name);

/*
 * Takes out the first "NAME TEXT", TEXT into *text, which keeps its value where NAME is missing. Returns 0, or -1
 * without a message: no word follows NAME.
 */
int words_take_text(int *argc, char **argv, const char *name, const char **text);

/* The same for a whole number, 0 .. most, into *value. Returns 0, or -1 after a message. */
int words_take_number(int *argc, char **argv, const char *name, uint64_t most, uint64_t *value);

/* Reads a product's id: 1 .. 2^63 - 1. Returns 0, or -1 after a message. */
int words_product_id(const char *word, uint64_t *id);

#endif
