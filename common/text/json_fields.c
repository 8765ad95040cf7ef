#include "text/json_fields.h"

#include <string.h>

#include "text/json_reader.h"


static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}


/* The value between start and end, which is JSON, as an integer. */
static enum checkout_field_error
read_integer(struct checkout_field *field, const char *start, const char *end)
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

        if (digit > field->max || n > (field->max - digit) / 10) {
            too_large = 1;
            continue;
        }

        n = n * 10 + digit;
    }

    if (p < end) {
        return CHECKOUT_FIELD_NOT_INTEGER;
    }

    if (*start == '-' || (n < field->min && !too_large)) {
        return CHECKOUT_FIELD_TOO_SMALL;
    }

    field->value = n;
    return too_large ? CHECKOUT_FIELD_TOO_LARGE : CHECKOUT_FIELD_OK;
}


/* Four hexadecimal digits, which skip_escape() has seen. */
static uint32_t
read_hex(const char *p)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        char c = (char) (p[i] | 0x20);

        value = value * 16 + (uint32_t) (is_digit(p[i]) ? p[i] - '0' : c - 'a' + 10);
    }

    return value;
}


/* The character of an escape. *p is moved behind it. 0 for one that no text may have. */
static uint32_t
read_escape(const char **p, const char *end)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint32_t c, low;

    if ((*p)[1] != 'u') {
        c = (uint32_t) values[strchr(letters, (*p)[1]) - letters];
        *p += 2;
        return c;
    }

    c = read_hex(*p + 2);
    *p += 6;

    if (c < 0xd800 || c > 0xdfff) {
        return c;
    }

    if (c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') {
        return 0;
    }

    low = read_hex(*p + 2);
    *p += 6;
    return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0;
}


/* Writes a character in UTF-8 (RFC 3629). Returns the end. */
static char *
write_utf8(char *out, uint32_t c)
{
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };

    *out++ = (char) (first[more] | (c >> (6 * more)));

    while (more-- > 0) {
        *out++ = (char) (0x80 | ((c >> (6 * more)) & 0x3f));
    }

    return out;
}


/* The string between start and end, quotes included, is copied without its escapes. */
static enum checkout_field_error
read_text(struct checkout_field *field, const char *start, const char *end)
{
    const char *p = start + 1;
    char *out = field->text, *limit = field->text + field->size - 5; /* the longest character, and the NUL */
    uint64_t characters = 0;

    if (*start != '"') {
        return CHECKOUT_FIELD_NOT_TEXT;
    }

    for (end--; p < end; characters++) {
        if (characters == field->max || out > limit) {
            return CHECKOUT_FIELD_LENGTH;
        }

        if (*p == '\\') {
            uint32_t c = read_escape(&p, end);

            if (c < 0x20) {
                return CHECKOUT_FIELD_NOT_TEXT;
            }

            out = write_utf8(out, c);
            continue;
        }

        do {
            *out++ = *p++;
        } while (p < end && ((unsigned char) *p & 0xc0) == 0x80);
    }

    *out = '\0';
    return characters < field->min ? CHECKOUT_FIELD_LENGTH : CHECKOUT_FIELD_OK;
}


static size_t
count_digits(const char *p, const char *end)
{
    size_t n = 0;

    while (p + n < end && is_digit(p[n])) {
        n++;
    }

    return n;
}


/* The number between start and end, in quotes or not, is copied as it stands. */
static enum checkout_field_error
read_decimal(struct checkout_field *field, const char *start, const char *end)
{
    size_t whole, cents, len;

    if (*start == '"') {
        start++;
        end--;
    }

    if (start < end && *start == '-') {
        return CHECKOUT_FIELD_TOO_SMALL;
    }

    len = (size_t) (end - start);
    whole = count_digits(start, end);
    cents = whole < len && start[whole] == '.' ? count_digits(start + whole + 1, end) : 0;

    if (whole == 0 || (whole > 1 && *start == '0') || cents > 2 || len != whole + (cents > 0 ? cents + 1 : 0)) {
        return CHECKOUT_FIELD_NOT_DECIMAL;
    }

    if (whole > field->max || len >= field->size) {
        return CHECKOUT_FIELD_TOO_LARGE;
    }

    memcpy(field->text, start, len);
    field->text[len] = '\0';
    return CHECKOUT_FIELD_OK;
}


static enum checkout_field_error
read_boolean(struct checkout_field *field, const char *start)
{
    field->value = *start == 't';
    return *start == 't' || *start == 'f' ? CHECKOUT_FIELD_OK : CHECKOUT_FIELD_NOT_BOOLEAN;
}


static enum checkout_field_error
read_field(struct checkout_field *field, const char *start, const char *end)
{
    if (field->given++) {
        return CHECKOUT_FIELD_DUPLICATE;
    }

    switch (field->kind) {
    case CHECKOUT_FIELD_TEXT:
        return read_text(field, start, end);
    case CHECKOUT_FIELD_DECIMAL:
        return read_decimal(field, start, end);
    case CHECKOUT_FIELD_BOOLEAN:
        return read_boolean(field, start);
    default:
        return read_integer(field, start, end);
    }
}


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
read_member(struct json_reader *r, struct checkout_field *fields, int n)
{
    const char *name = r->at + 1, *name_end, *start;
    struct checkout_field *field = NULL;

    if (json_skip_name(r) != 0) {
        return -1;
    }

    /* Back to the quote that closes the name. */
    for (name_end = r->at - 1; *name_end != '"'; name_end--) {
    }

    for (int i = 0; i < n; i++) {
        if (name_is(fields[i].name, name, name_end)) {
            field = &fields[i];
        }
    }

    json_skip_space(r);
    start = r->at;

    if (json_skip_value(r, 1) != 0) {
        return -1;
    }

    if (field != NULL) {
        field->error = read_field(field, start, r->at);
    }

    return 0;
}


static int
read_object(struct json_reader *r, struct checkout_field *fields, int n)
{
    int more;

    json_skip_space(r);

    if (r->at == r->end) {
        return json_fail(r, "empty");
    }

    if (*r->at != '{') {
        return json_fail(r, "not a JSON object");
    }

    r->at++;
    json_skip_space(r);

    if (r->at < r->end && *r->at == '}') {
        r->at++;
        more = 0;

    } else {
        do {
            if (read_member(r, fields, n) != 0) {
                return -1;
            }

            more = json_next_member(r, '}');
        } while (more > 0);
    }

    if (more < 0) {
        return -1;
    }

    json_skip_space(r);
    return r->at == r->end ? 0 : json_fail(r, "text after the object");
}


int
checkout_json_fields(struct checkout_field *fields, int n, const char *body, size_t len,
                     struct checkout_json_fault *fault)
{
    struct json_reader r = { .at = body, .end = body + len, .depth_max = CHECKOUT_JSON_DEPTH_MAX };
    int result = 0;

    fault->syntax = NULL;
    fault->offset = 0;

    for (int i = 0; i < n; i++) {
        fields[i].given = 0;
        fields[i].value = 0;
        fields[i].error = fields[i].optional ? CHECKOUT_FIELD_OK : CHECKOUT_FIELD_MISSING;
    }

    if (read_object(&r, fields, n) != 0) {
        fault->syntax = r.syntax;
        fault->offset = (size_t) (r.fault - body);
        return -1;
    }

    for (int i = 0; i < n; i++) {
        if (fields[i].error != CHECKOUT_FIELD_OK) {
            result = -1;
        }
    }

    return result;
}
