#include "text/json_reader.h"

#include <string.h>

#include "text/utf8.h"


int
json_fail(struct json_reader *r, const char *why)
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


void
json_skip_space(struct json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}


static int
skip_escape(struct json_reader *r)
{
    if (r->end - r->at < 2) {
        return json_fail(r, "unfinished string");
    }

    if (r->at[1] != 'u') {
        if (r->at[1] == '\0' || !strchr("\"\\/bfnrt", r->at[1])) {
            return json_fail(r, "unknown escape in a string");
        }

        r->at += 2;
        return 0;
    }

    if (r->end - r->at < 6) {
        return json_fail(r, "unfinished string");
    }

    for (int i = 2; i < 6; i++) {
        char c = r->at[i];

        if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) {
            return json_fail(r, "unknown escape in a string");
        }
    }

    r->at += 6;
    return 0;
}


int
json_skip_string(struct json_reader *r)
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
            return json_fail(r, "control character in a string");
        }

        n = checkout_utf8_length(r->at, (size_t) (r->end - r->at));

        if (n == 0) {
            return json_fail(r, "not UTF-8");
        }

        r->at += n;
    }

    return json_fail(r, "unfinished string");
}


static int
skip_digits(struct json_reader *r)
{
    if (r->at == r->end || !is_digit(*r->at)) {
        return json_fail(r, "not a number");
    }

    while (r->at < r->end && is_digit(*r->at)) {
        r->at++;
    }

    return 0;
}


static int
skip_number(struct json_reader *r)
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
skip_word(struct json_reader *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t) (r->end - r->at) < n || memcmp(r->at, word, n) != 0) {
        return json_fail(r, "not a JSON value");
    }

    r->at += n;
    return 0;
}


int
json_skip_name(struct json_reader *r)
{
    if (r->at == r->end || *r->at != '"') {
        return json_fail(r, "a member's name is missing");
    }

    if (json_skip_string(r) != 0) {
        return -1;
    }

    json_skip_space(r);

    if (r->at == r->end || *r->at != ':') {
        return json_fail(r, "a colon is missing");
    }

    r->at++;
    return 0;
}


int
json_next_member(struct json_reader *r, char closing)
{
    json_skip_space(r);

    if (r->at < r->end && *r->at == closing) {
        r->at++;
        return 0;
    }

    if (r->at < r->end && *r->at == ',') {
        r->at++;
        json_skip_space(r);
        return 1;
    }

    return json_fail(r, r->at == r->end ? "unfinished" : "a comma is missing");
}


static int
skip_container(struct json_reader *r, int depth)
{
    char closing = *r->at == '{' ? '}' : ']';
    int more;

    if (depth == r->depth_max) {
        return json_fail(r, "nested too deeply");
    }

    r->at++;
    json_skip_space(r);

    if (r->at < r->end && *r->at == closing) {
        r->at++;
        return 0;
    }

    do {
        if ((closing == '}' && json_skip_name(r) != 0) || json_skip_value(r, depth + 1) != 0) {
            return -1;
        }

        more = json_next_member(r, closing);
    } while (more > 0);

    return more;
}


int
json_skip_value(struct json_reader *r, int depth)
{
    json_skip_space(r);

    if (r->at == r->end) {
        return json_fail(r, "unfinished");
    }

    switch (*r->at) {
    case '"':
        return json_skip_string(r);
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

        return json_fail(r, "not a JSON value");
    }
}


int
json_check(const char *text, size_t len, int depth_max)
{
    struct json_reader r = { .at = text, .end = text + len, .depth_max = depth_max };

    if (json_skip_value(&r, 0) != 0) {
        return -1;
    }

    json_skip_space(&r);
    return r.at == r.end ? 0 : -1;
}
