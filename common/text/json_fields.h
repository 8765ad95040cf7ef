/*
 * Named members of one JSON object, read strictly and without allocation (RFC 8259, UTF-8): what requests at the
 * edge are made of. Other members are checked and passed over.
 */
#ifndef CHECKOUT_TEXT_JSON_FIELDS_H
#define CHECKOUT_TEXT_JSON_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#define CHECKOUT_JSON_DEPTH_MAX 16

/* What is wrong with a member; CHECKOUT_FIELD_OK where nothing is. */
enum checkout_field_error {
    CHECKOUT_FIELD_OK,
    CHECKOUT_FIELD_MISSING,
    CHECKOUT_FIELD_NOT_INTEGER, /* another JSON type, a fraction or an exponent */
    CHECKOUT_FIELD_TOO_SMALL,   /* under its least value, or negative */
    CHECKOUT_FIELD_TOO_LARGE,
    CHECKOUT_FIELD_DUPLICATE,
    CHECKOUT_FIELD_NOT_TEXT,    /* another JSON type, a control character, half of a surrogate pair */
    CHECKOUT_FIELD_LENGTH,      /* fewer or more characters than allowed */
    CHECKOUT_FIELD_NOT_DECIMAL, /* no number with at most two decimals */
    CHECKOUT_FIELD_NOT_BOOLEAN,
    CHECKOUT_FIELD_DIFFERENT, /* from another member that it must be equal to */
    CHECKOUT_FIELD_NOT_UTF8,
    CHECKOUT_FIELD_TOO_LONG /* in bytes */
};

enum checkout_field_kind {
    CHECKOUT_FIELD_INTEGER, /* no fraction, exponent, text or sign but a minus, which is too small */
    CHECKOUT_FIELD_TEXT,
    CHECKOUT_FIELD_DECIMAL, /* a number, or a text that holds one: "19.80", 19.8, 19 */
    CHECKOUT_FIELD_BOOLEAN
};

struct checkout_field {
    const char *name;
    enum checkout_field_kind kind;
    int optional;
    uint64_t min, max; /* of an INTEGER; characters of a TEXT; of a DECIMAL, digits before the point (max alone) */
    char *text;        /* TEXT, DECIMAL: where its value goes, closed by a NUL */
    size_t size;       /* bytes there; a TEXT needs 4 * max + 1, a DECIMAL max + 4 */

    /* out */
    enum checkout_field_error error;
    int given;
    uint64_t value; /* INTEGER; BOOLEAN: 0 or 1 */
};

struct checkout_json_fault {
    const char *syntax; /* why the body is not a JSON object; NULL when it is. Constant text. */
    size_t offset;      /* where, in bytes from the start of the body */
};

/*
 * Reads the members. A name that is given twice is an error of its field. A field's value means something only where it
 * was given and its error is CHECKOUT_FIELD_OK; a text that was not given is left as it was.
 *
 * Returns 0 when all fields are right, or -1 with *fault or a field's error filled in.
 */
int checkout_json_fields(struct checkout_field *fields, int n, const char *body, size_t len,
                         struct checkout_json_fault *fault);

#endif
