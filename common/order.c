/*
 * The order's request and record, read and written without allocation.
 *
 * The request is read by a small strict JSON reader (RFC 8259): it runs once per request at the edge and
 * must tell 2^53 + 1 from 2^53, an integer from 1.0, and a repeated member from a single one, which a
 * general reader that stores numbers as doubles cannot.
 */
#include "order.h"

#include <string.h>


struct reader {
    const char *at, *end;
    const char *syntax;      /* the first fault; everything stops at it */
    const char *fault;
};


static int
fail(struct reader *r, const char *why)
{
    r->syntax = why;
    r->fault = r->at;
    return -1;
}


static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}


static void
skip_space(struct reader *r)
{
    while (r->at < r->end
           && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
    {
        r->at++;
    }
}


/* The length of the UTF-8 sequence at p, 0 when it is none (RFC 3629, section 4). */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

    if (n == 0 || n > left) {
        return 0;
    }

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)
        || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
    {
        return 0;
    }

    return n;
}


static int
skip_escape(struct reader *r)
{
    if (r->end - r->at < 2) {
        return fail(r, "unfinished string");
    }

    if (r->at[1] != 'u') {
        if (r->at[1] == '\0' || !strchr("\"\\/bfnrt", r->at[1])) {
            return fail(r, "unknown escape in a string");
        }

        r->at += 2;
        return 0;
    }

    if (r->end - r->at < 6) {
        return fail(r, "unfinished string");
    }

    for (int i = 2; i < 6; i++) {
        char c = r->at[i];

        if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) {
            return fail(r, "unknown escape in a string");
        }
    }

    r->at += 6;
    return 0;
}


static int
skip_string(struct reader *r)
{
    r->at++;

    while (r->at < r->end) {
        size_t n;

        if (*r->at == '"') {
            r->at++;
            return 0;
        }

        if (*r->at == '\\') {
            if (skip_escape(r) != 0) {
                return -1;
            }

            continue;
        }

        if ((unsigned char) *r->at < 0x20) {
            return fail(r, "control character in a string");
        }

        n = utf8_length((const unsigned char *) r->at, (size_t) (r->end - r->at));

        if (n == 0) {
            return fail(r, "not UTF-8");
        }

        r->at += n;
    }

    return fail(r, "unfinished string");
}


static int
skip_digits(struct reader *r)
{
    if (r->at == r->end || !is_digit(*r->at)) {
        return fail(r, "not a number");
    }

    while (r->at < r->end && is_digit(*r->at)) {
        r->at++;
    }

    return 0;
}


static int
skip_number(struct reader *r)
{
    if (*r->at == '-') {
        r->at++;
    }

    if (r->at < r->end && *r->at == '0') {
        r->at++;

    } else if (skip_digits(r) != 0) {
        return -1;
    }

    if (r->at < r->end && *r->at == '.') {
        r->at++;

        if (skip_digits(r) != 0) {
            return -1;
        }
    }

    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;

        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) {
            r->at++;
        }

        return skip_digits(r);
    }

    return 0;
}


static int
skip_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t) (r->end - r->at) < n || memcmp(r->at, word, n) != 0) {
        return fail(r, "not a JSON value");
    }

    r->at += n;
    return 0;
}


static int skip_value(struct reader *r, int depth);


/* `"name" :` in front of a member's value. */
static int
skip_name(struct reader *r)
{
    if (r->at == r->end || *r->at != '"') {
        return fail(r, "a member's name is missing");
    }

    if (skip_string(r) != 0) {
        return -1;
    }

    skip_space(r);

    if (r->at == r->end || *r->at != ':') {
        return fail(r, "a colon is missing");
    }

    r->at++;
    return 0;
}


/* After a member or an element: 1 when the next one follows, 0 at the end, -1. */
static int
next_member(struct reader *r, char closing)
{
    skip_space(r);

    if (r->at < r->end && *r->at == closing) {
        r->at++;
        return 0;
    }

    if (r->at < r->end && *r->at == ',') {
        r->at++;
        skip_space(r);
        return 1;
    }

    return fail(r, r->at == r->end ? "unfinished" : "a comma is missing");
}


static int
skip_container(struct reader *r, int depth)
{
    char closing = *r->at == '{' ? '}' : ']';
    int more;

    if (depth == CHECKOUT_JSON_DEPTH_MAX) {
        return fail(r, "nested too deeply");
    }

    r->at++;
    skip_space(r);

    if (r->at < r->end && *r->at == closing) {
        r->at++;
        return 0;
    }

    do {
        if ((closing == '}' && skip_name(r) != 0) || skip_value(r, depth + 1) != 0) {
            return -1;
        }

        more = next_member(r, closing);
    } while (more > 0);

    return more;
}


/* Checks the value that follows and passes over it. depth: containers around it. */
static int
skip_value(struct reader *r, int depth)
{
    skip_space(r);

    if (r->at == r->end) {
        return fail(r, "unfinished");
    }

    switch (*r->at) {
    case '"':
        return skip_string(r);
    case '{':
    case '[':
        return skip_container(r, depth);
    case 't':
        return skip_word(r, "true");
    case 'f':
        return skip_word(r, "false");
    case 'n':
        return skip_word(r, "null");
    default:
        if (*r->at == '-' || is_digit(*r->at)) {
            return skip_number(r);
        }

        return fail(r, "not a JSON value");
    }
}


/* The value between start and end, which is JSON, as an integer from 1 to max. */
static enum checkout_field_error
read_integer(uint64_t *value, const char *start, const char *end, uint64_t max)
{
    const char *p = start;
    uint64_t n = 0;
    int too_large = 0;

    if (*p == '-') {
        p++;
    }

    if (p == end || !is_digit(*p)) {
        return CHECKOUT_FIELD_NOT_INTEGER;
    }

    for (; p < end && is_digit(*p); p++) {
        uint64_t digit = (uint64_t) (*p - '0');

        if (n > (max - digit) / 10 || digit > max) {
            too_large = 1;
            continue;
        }

        n = n * 10 + digit;
    }

    if (p < end) {
        return CHECKOUT_FIELD_NOT_INTEGER;
    }

    if (*start == '-' || (n == 0 && !too_large)) {
        return CHECKOUT_FIELD_TOO_SMALL;
    }

    *value = n;
    return too_large ? CHECKOUT_FIELD_TOO_LARGE : CHECKOUT_FIELD_OK;
}


struct field {
    const char *name;
    uint64_t max;
    uint64_t value;
    enum checkout_field_error *error;
};


/* A name may be written with escapes ("product\u005fid"); it then means the same member. */
static int
name_is(const char *name, const char *start, const char *end)
{
    for (; *name != '\0'; name++) {
        char c;

        if (start == end) {
            return 0;
        }

        if (*start != '\\') {
            c = *start++;

        } else if (start[1] == 'u' && start[2] == '0' && start[3] == '0') {
            unsigned v = 0;

            for (int i = 4; i < 6; i++) {
                char h = (char) (start[i] | 0x20);

                v = v * 16 + (unsigned) (is_digit(start[i]) ? start[i] - '0' : h - 'a' + 10);
            }

            c = (char) v;
            start += 6;

        } else {
            return 0;
        }

        if (c != *name) {
            return 0;
        }
    }

    return start == end;
}


static int
read_member(struct reader *r, struct field *fields, int n)
{
    const char *name = r->at + 1, *name_end, *start;
    struct field *field = NULL;

    if (skip_name(r) != 0) {
        return -1;
    }

    for (name_end = r->at - 1; *name_end != '"'; name_end--) { /* the quote that closes the name */ }

    for (int i = 0; i < n; i++) {
        if (name_is(fields[i].name, name, name_end)) {
            field = &fields[i];
        }
    }

    skip_space(r);
    start = r->at;

    if (skip_value(r, 1) != 0) {
        return -1;
    }

    if (field == NULL) {
        return 0;
    }

    *field->error = *field->error == CHECKOUT_FIELD_MISSING
                    ? read_integer(&field->value, start, r->at, field->max)
                    : CHECKOUT_FIELD_DUPLICATE;
    return 0;
}


static int
read_object(struct reader *r, struct field *fields, int n)
{
    int more;

    skip_space(r);

    if (r->at == r->end) {
        return fail(r, "empty");
    }

    if (*r->at != '{') {
        return fail(r, "not a JSON object");
    }

    r->at++;
    skip_space(r);

    if (r->at < r->end && *r->at == '}') {
        r->at++;
        more = 0;

    } else {
        do {
            if (read_member(r, fields, n) != 0) {
                return -1;
            }

            more = next_member(r, '}');
        } while (more > 0);
    }

    if (more < 0) {
        return -1;
    }

    skip_space(r);
    return r->at == r->end ? 0 : fail(r, "text after the object");
}


int
checkout_order_parse(struct checkout_order *order, const char *body, size_t len, uint32_t max_quantity,
                     int user_wanted, struct checkout_order_errors *errors)
{
    struct reader r = { body, body + len, NULL, NULL };
    struct field fields[3] = {
        { "product_id", INT64_MAX, 0, &errors->product_id },
        { "quantity", max_quantity, 0, &errors->quantity },
        { "user_id", UINT64_MAX, 0, &errors->user_id },
    };

    errors->syntax = NULL;
    errors->offset = 0;
    errors->product_id = CHECKOUT_FIELD_MISSING;
    errors->quantity = CHECKOUT_FIELD_MISSING;
    errors->user_id = user_wanted ? CHECKOUT_FIELD_MISSING : CHECKOUT_FIELD_OK;

    if (read_object(&r, fields, user_wanted ? 3 : 2) != 0) {
        errors->syntax = r.syntax;
        errors->offset = (size_t) (r.fault - body);
        return -1;
    }

    if (errors->product_id != CHECKOUT_FIELD_OK || errors->quantity != CHECKOUT_FIELD_OK
        || errors->user_id != CHECKOUT_FIELD_OK)
    {
        return -1;
    }

    order->product_id = fields[0].value;
    order->quantity = (uint32_t) fields[1].value;
    order->user_id = fields[2].value;
    return 0;
}


int
checkout_uint_parse(uint64_t *value, const char *text, size_t len, uint64_t max)
{
    uint64_t n = 0;

    if (len == 0 || len > 20 || (len > 1 && text[0] == '0')) {
        return -1;
    }

    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t) (text[i] - '0');

        if (!is_digit(text[i]) || digit > max || n > (max - digit) / 10) {
            return -1;
        }

        n = n * 10 + digit;
    }

    *value = n;
    return 0;
}


char *
checkout_uint_write(char *out, uint64_t value)
{
    char digits[20];
    int n = 0;

    do {
        digits[n++] = (char) ('0' + value % 10);
        value /= 10;
    } while (value != 0);

    while (n > 0) {
        *out++ = digits[--n];
    }

    return out;
}


static char *
write_word(char *out, const char *word, size_t max)
{
    size_t n = strnlen(word, max);

    memcpy(out, word, n);
    return out + n;
}


size_t
checkout_record_write(char out[CHECKOUT_RECORD_MAX], const char *status, const char *reason,
                      const struct checkout_order *order, uint64_t accepted_ms)
{
    char *p = write_word(out, status, 32);

    *p++ = ' ';
    p = write_word(p, reason[0] == '\0' ? "-" : reason, 64);
    *p++ = ' ';
    p = checkout_uint_write(p, order->product_id);
    *p++ = ' ';
    p = checkout_uint_write(p, order->quantity);
    *p++ = ' ';
    p = checkout_uint_write(p, order->user_id);
    *p++ = ' ';
    p = checkout_uint_write(p, accepted_ms);

    return (size_t) (p - out);
}


/* The next word of a record; its length, 0 when there is none. */
static size_t
next_word(const char **word, const char **at, const char *end)
{
    const char *p = *at;

    while (p < end && *p != ' ') {
        p++;
    }

    *word = *at;
    *at = p < end ? p + 1 : p;
    return (size_t) (p - *word);
}


int
checkout_record_parse(struct checkout_record *record, const char *text, size_t len)
{
    const char *at = text, *end = text + len, *word;
    uint64_t numbers[4];

    if (len > CHECKOUT_RECORD_MAX) {
        return -1;
    }

    record->status_len = next_word(&record->status, &at, end);
    record->reason_len = next_word(&record->reason, &at, end);

    if (record->status_len == 0 || record->reason_len == 0) {
        return -1;
    }

    if (record->reason_len == 1 && record->reason[0] == '-') {
        record->reason_len = 0;
    }

    for (int i = 0; i < 4; i++) {
        size_t n = next_word(&word, &at, end);

        if (checkout_uint_parse(&numbers[i], word, n, i == 1 ? UINT32_MAX : UINT64_MAX) != 0) {
            return -1;
        }
    }

    if (at != end || (len > 0 && text[len - 1] == ' ')) {
        return -1;
    }

    record->order.product_id = numbers[0];
    record->order.quantity = (uint32_t) numbers[1];
    record->order.user_id = numbers[2];
    record->accepted_ms = numbers[3];
    return 0;
}
