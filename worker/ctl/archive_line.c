#include "ctl/archive_line.h"

#include <string.h>

#include "text/json_text.h"


static int
is_whole_number(enum enum_field_types type)
{
    return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 || type == MYSQL_TYPE_LONG
           || type == MYSQL_TYPE_LONGLONG || type == MYSQL_TYPE_YEAR;
}


static void
add_name(struct buffer *out, const char *name, const char *ending)
{
    struct buffer whole = { 0 };

    buffer_format(&whole, "%s%s", name, ending);
    json_text_string(out, whole.data, whole.len);
    buffer_free(&whole);
    buffer_text(out, ":");
}


static void
add_member(struct buffer *out, const MYSQL_FIELD *field, const char *value, size_t len)
{
    if (value != NULL && !json_text_is_utf8(value, len)) {
        add_name(out, field->name, "_base64");
        json_text_base64(out, value, len);
        return;
    }

    add_name(out, field->name, "");

    if (value == NULL) {
        buffer_text(out, "null");
    } else if (is_whole_number(field->type)) {
        buffer_add(out, value, len);
    } else {
        json_text_string(out, value, len);
    }
}


void
archive_line_add(struct buffer *out, const char *table, MYSQL_RES *rows, MYSQL_ROW row)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);
    const unsigned long *lengths = mysql_fetch_lengths(rows);

    buffer_format(out, "{\"table\":\"%s\",\"row\":{", table);

    for (unsigned i = 0; i < mysql_num_fields(rows); i++) {
        buffer_text(out, i > 0 ? "," : "");
        add_member(out, &fields[i], row[i], lengths[i]);
    }

    buffer_text(out, "}}\n");
}


uint64_t
archive_line_add_all(struct buffer *out, const char *table, MYSQL_RES *rows)
{
    uint64_t count = 0;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; count++) {
        archive_line_add(out, table, rows, row);
    }

    return count;
}
