#include "ctl/sql_split.h"

#include <ctype.h>
#include <string.h>


static const char *
skip_line(const char *p)
{
    const char *end = strchr(p, '\n');

    return end != NULL ? end + 1 : p + strlen(p);
}


/* "--" begins a comment only before a space or the end. */
static int
begins_line_comment(const char *p)
{
    return p[0] == '#' || (p[0] == '-' && p[1] == '-' && (p[2] == '\0' || isspace((unsigned char) p[2])));
}


static const char *
skip_block_comment(const char *p)
{
    const char *end = strstr(p + 2, "*/");

    return end != NULL ? end + 2 : p + strlen(p);
}


/* A doubled quote needs no care: it ends one string and begins the next. */
static const char *
skip_quoted(const char *p)
{
    char quote = *p++;

    for (; *p != '\0' && *p != quote; p++) {
        if (*p == '\\' && quote != '`' && p[1] != '\0') {
            p++;
        }
    }

    return *p != '\0' ? p + 1 : p;
}


/* Over one comment; p itself where none begins. "/ *!" is no comment: the server runs what is in it. */
static const char *
skip_comment(const char *p)
{
    if (begins_line_comment(p)) {
        return skip_line(p);
    }

    return p[0] == '/' && p[1] == '*' ? skip_block_comment(p) : p;
}


static const char *
skip_space(const char *p)
{
    for (const char *before = NULL; p != before;) {
        before = p;

        while (isspace((unsigned char) *p) || *p == ';') {
            p++;
        }

        p = p[0] == '/' && p[1] == '*' && p[2] == '!' ? p : skip_comment(p);
    }

    return p;
}


const char *
sql_next_statement(const char **at, size_t *len)
{
    const char *start = skip_space(*at);
    const char *p = start;

    while (*p != '\0' && *p != ';') {
        const char *behind = *p == '\'' || *p == '"' || *p == '`' ? skip_quoted(p) : skip_comment(p);

        p = behind > p ? behind : p + 1;
    }

    *at = *p == ';' ? p + 1 : p;
    *len = (size_t) (p - start);
    return *len > 0 ? start : NULL;
}
