/*
 * The client library writes numbers and times into the columns' areas when it reads a row; texts and bytes stay in its
 * own memory until their length has been seen and found small enough, and are then taken over into `text`.
 */
#include "mysql/row_json.h"

#include <stdlib.h>
#include <string.h>

#include "text/json_reader.h"
#include "text/json_text.h"

#define BINARY_CHARSET  63 /* the number of the character set "binary" */
#define FRACTION_DIGITS 6  /* more decimals than these mean that their number is not known */

#define JSON_SUFFIX ":json"

/* my_bool, or bool since MySQL 8.0.1 */
typedef __typeof__(*((MYSQL_BIND *) 0)->is_null) mysql_flag;

enum column_kind {
    COLUMN_NULL,
    COLUMN_INTEGER,
    COLUMN_FLOAT,
    COLUMN_DOUBLE,
    COLUMN_DATE,
    COLUMN_DATETIME,
    COLUMN_TIME,
    COLUMN_BIT,
    COLUMN_JSON,
    COLUMN_DECIMAL,
    COLUMN_TEXT,
    COLUMN_BINARY
};

struct column {
    enum column_kind kind;
    int is_unsigned;
    unsigned decimals; /* of a time; more than FRACTION_DIGITS: as many as there are */
    const char *name;  /* the field's */
    size_t name_start; /* `"name":` in names */
    size_t name_len;
    mysql_flag is_null, error;
    unsigned long length; /* of the value in this row */

    union {
        int64_t integer;
        float single;
        double number;
        MYSQL_TIME time;
        char unused[1];
    } area;
};

struct row_json {
    MYSQL_STMT *stmt;
    MYSQL_RES *fields;
    struct buffer names; /* the members' names, escaped */
    struct buffer text;  /* the value under work */
    const char *broken;
    unsigned ncolumns;
    MYSQL_BIND *binds;
    struct column columns[];
};


/* MariaDB has no type for JSON: that a text holds JSON stands in the field's extended metadata. */
static int
is_declared_json(const MYSQL_FIELD *field)
{
#ifdef MARIADB_FIELD_ATTR_LAST
    MARIADB_CONST_STRING format = { 0 };

    return mariadb_field_attr(&format, field, MARIADB_FIELD_ATTR_FORMAT_NAME) == 0 && format.length == 4
           && memcmp(format.str, "json", 4) == 0;
#else
    (void) field;
    return 0;
#endif
}


static int
has_json_suffix(const MYSQL_FIELD *field)
{
    size_t n = sizeof(JSON_SUFFIX) - 1;

    return field->name_length > n && memcmp(field->name + field->name_length - n, JSON_SUFFIX, n) == 0;
}


static enum column_kind
kind_of(const MYSQL_FIELD *field)
{
    if (has_json_suffix(field)) {
        return COLUMN_JSON;
    }

    switch ((int) field->type) {
    case MYSQL_TYPE_NULL:
        return COLUMN_NULL;

    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return COLUMN_INTEGER;

    case MYSQL_TYPE_FLOAT:
        return COLUMN_FLOAT;

    case MYSQL_TYPE_DOUBLE:
        return COLUMN_DOUBLE;

    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
        return COLUMN_DATE;

    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
        return COLUMN_DATETIME;

    case MYSQL_TYPE_TIME:
        return COLUMN_TIME;

    case MYSQL_TYPE_BIT:
        return COLUMN_BIT;

    case MYSQL_TYPE_JSON:
        return COLUMN_JSON;

    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return COLUMN_DECIMAL;

    default:
        return is_declared_json(field) ? COLUMN_JSON : field->charsetnr == BINARY_CHARSET ? COLUMN_BINARY : COLUMN_TEXT;
    }
}


/* Only what fits into the area is bound; the rest stays in the client library, for mysql_stmt_fetch_column(). */
static void
bind(MYSQL_BIND *b, struct column *c)
{
    static const struct {
        enum enum_field_types type;
        size_t size;
    } areas[] = {
        [COLUMN_INTEGER] = { MYSQL_TYPE_LONGLONG, sizeof(int64_t) },
        [COLUMN_FLOAT] = { MYSQL_TYPE_FLOAT, sizeof(float) },
        [COLUMN_DOUBLE] = { MYSQL_TYPE_DOUBLE, sizeof(double) },
        [COLUMN_DATE] = { MYSQL_TYPE_DATE, sizeof(MYSQL_TIME) },
        [COLUMN_DATETIME] = { MYSQL_TYPE_DATETIME, sizeof(MYSQL_TIME) },
        [COLUMN_TIME] = { MYSQL_TYPE_TIME, sizeof(MYSQL_TIME) },
    };

    if (c->kind < sizeof(areas) / sizeof(areas[0]) && areas[c->kind].size > 0) {
        b->buffer_type = areas[c->kind].type;
        b->buffer_length = areas[c->kind].size;

    } else {
        b->buffer_type = MYSQL_TYPE_STRING;
        b->buffer_length = 0;
    }

    b->buffer = &c->area;
    b->is_unsigned = c->is_unsigned;
    b->is_null = &c->is_null;
    b->length = &c->length;
    b->error = &c->error;
}


static void
add_name(struct row_json *rows, struct column *c, const MYSQL_FIELD *field)
{
    size_t len = field->name_length - (has_json_suffix(field) ? sizeof(JSON_SUFFIX) - 1 : 0);

    c->name = field->name;
    c->name_start = rows->names.len;
    json_text_string(&rows->names, field->name, len);
    buffer_text(&rows->names, ":");
    c->name_len = rows->names.len - c->name_start;
}


struct row_json *
row_json_open(MYSQL_STMT *stmt)
{
    MYSQL_RES *fields = mysql_stmt_result_metadata(stmt);

    if (fields == NULL) {
        return NULL;
    }

    unsigned n = mysql_num_fields(fields);
    struct row_json *rows = calloc(1, sizeof(*rows) + n * sizeof(struct column));
    MYSQL_BIND *binds = calloc(n + 1, sizeof(MYSQL_BIND));

    if (rows == NULL || binds == NULL) {
        mysql_free_result(fields);
        free(rows);
        free(binds);
        return NULL;
    }

    *rows = (struct row_json) { .stmt = stmt, .fields = fields, .ncolumns = n, .binds = binds };

    for (unsigned i = 0; i < n; i++) {
        const MYSQL_FIELD *field = mysql_fetch_field_direct(fields, i);
        struct column *c = &rows->columns[i];

        c->kind = kind_of(field);
        c->is_unsigned = (field->flags & UNSIGNED_FLAG) != 0;
        c->decimals = field->decimals;
        add_name(rows, c, field);
        bind(&binds[i], c);
    }

    if (rows->names.failed || mysql_stmt_bind_result(stmt, binds)) {
        row_json_close(rows);
        return NULL;
    }

    return rows;
}


/* Takes the text of this row's value over. */
static enum row_json_step
take_text(struct row_json *rows, struct column *c, unsigned i, size_t max)
{
    unsigned long length = c->length;

    if (length > max) {
        return ROW_JSON_TOO_LARGE;
    }

    buffer_clear(&rows->text);

    if (buffer_reserve(&rows->text, length) == -1) {
        return ROW_JSON_NO_MEMORY;
    }

    MYSQL_BIND b = {
        .buffer_type = MYSQL_TYPE_STRING,
        .buffer = rows->text.data,
        .buffer_length = length,
        .is_null = &c->is_null,
        .length = &c->length,
        .error = &c->error
    };

    if (length > 0 && mysql_stmt_fetch_column(rows->stmt, &b, i, 0)) {
        return ROW_JSON_FAILED;
    }

    rows->text.len = length;
    return ROW_JSON_ROW;
}


/* The bits of a BIT column, high byte first. */
static void
add_bits(struct buffer *out, const struct buffer *bits)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bits->len; i++) {
        value = value << 8 | (unsigned char) bits->data[i];
    }

    buffer_number(out, value);
}


static enum row_json_step
add_text(struct row_json *rows, struct column *c, unsigned i, struct buffer *out, size_t max)
{
    enum row_json_step step = take_text(rows, c, i, max);
    const struct buffer *text = &rows->text;

    if (step != ROW_JSON_ROW) {
        return step;
    }

    switch (c->kind) {
    case COLUMN_BIT:
        add_bits(out, text);
        return ROW_JSON_ROW;

    case COLUMN_BINARY:
        json_text_base64(out, text->data, text->len);
        return ROW_JSON_ROW;

    case COLUMN_JSON:
        if (json_check(text->data, text->len, ROW_JSON_DEPTH_MAX) != 0) {
            rows->broken = c->name;
            return ROW_JSON_NO_JSON;
        }

        buffer_add(out, text->data, text->len);
        return ROW_JSON_ROW;

    default:
        json_text_string(out, text->data, text->len);
        return ROW_JSON_ROW;
    }
}


/* ".123", or nothing where no fraction is declared. */
static void
add_fraction(struct buffer *out, const struct column *c)
{
    unsigned long fraction = c->area.time.second_part; /* microseconds */
    unsigned digits = c->decimals <= FRACTION_DIGITS ? c->decimals : fraction > 0 ? FRACTION_DIGITS : 0;

    if (digits > 0) {
        for (unsigned i = digits; i < FRACTION_DIGITS; i++) {
            fraction /= 10;
        }

        buffer_format(out, ".%0*lu", (int) digits, fraction);
    }
}


static void
add_time(struct buffer *out, const struct column *c)
{
    const MYSQL_TIME *t = &c->area.time;

    switch (c->kind) {
    case COLUMN_DATE:
        buffer_format(out, "\"%04u-%02u-%02u\"", t->year, t->month, t->day);
        return;

    case COLUMN_TIME:
        buffer_format(out, "\"%s%02u:%02u:%02u", t->neg ? "-" : "", t->day * 24 + t->hour, t->minute, t->second);
        add_fraction(out, c);
        buffer_text(out, "\"");
        return;

    default: /* COLUMN_DATETIME */
        buffer_format(out, "\"%04u-%02u-%02uT%02u:%02u:%02u", t->year, t->month, t->day, t->hour, t->minute, t->second);
        add_fraction(out, c);
        buffer_text(out, "Z\"");
    }
}


static void
add_integer(struct buffer *out, const struct column *c)
{
    int64_t value = c->area.integer;

    if (value < 0 && !c->is_unsigned) {
        buffer_text(out, "-");
        buffer_number(out, -(uint64_t) value);

    } else {
        buffer_number(out, (uint64_t) value);
    }
}


/* max: the most bytes that the value may have. */
static enum row_json_step
add_value(struct row_json *rows, unsigned i, struct buffer *out, size_t max)
{
    struct column *c = &rows->columns[i];

    if (c->is_null || c->kind == COLUMN_NULL) {
        buffer_text(out, "null");
        return ROW_JSON_ROW;
    }

    switch (c->kind) {
    case COLUMN_INTEGER:
        add_integer(out, c);
        return ROW_JSON_ROW;

    case COLUMN_FLOAT:
        json_text_float(out, c->area.single);
        return ROW_JSON_ROW;

    case COLUMN_DOUBLE:
        json_text_double(out, c->area.number);
        return ROW_JSON_ROW;

    case COLUMN_DATE:
    case COLUMN_DATETIME:
    case COLUMN_TIME:
        add_time(out, c);
        return ROW_JSON_ROW;

    default:
        return add_text(rows, c, i, out, max);
    }
}


enum row_json_step
row_json_skip(struct row_json *rows)
{
    switch (mysql_stmt_fetch(rows->stmt)) {
    case 0:
    case MYSQL_DATA_TRUNCATED: /* texts were not taken over yet */
        return ROW_JSON_ROW;

    case MYSQL_NO_DATA:
        return ROW_JSON_END;

    default:
        return ROW_JSON_FAILED;
    }
}


enum row_json_step
row_json_next(struct row_json *rows, struct buffer *out, size_t max)
{
    enum row_json_step step = row_json_skip(rows);

    for (unsigned i = 0; i < rows->ncolumns && step == ROW_JSON_ROW; i++) {
        const struct column *c = &rows->columns[i];

        buffer_text(out, i == 0 ? "{" : ",");
        buffer_add(out, rows->names.data + c->name_start, c->name_len);

        step = out->len <= max ? add_value(rows, i, out, max - out->len) : ROW_JSON_TOO_LARGE;
    }

    if (step != ROW_JSON_ROW) {
        return step;
    }

    buffer_text(out, "}");
    return out->failed ? ROW_JSON_NO_MEMORY : out->len > max ? ROW_JSON_TOO_LARGE : ROW_JSON_ROW;
}


const char *
row_json_broken_column(const struct row_json *rows)
{
    return rows->broken;
}


/*
 * The client libraries keep what was bound, and libmysqlclient writes lengths there when it executes the statement
 * again. So the statement is bound to nothing before the columns go.
 */
void
row_json_unbind(struct row_json *rows)
{
    memset(rows->binds, 0, rows->ncolumns * sizeof(MYSQL_BIND));

    for (unsigned i = 0; i < rows->ncolumns; i++) {
        rows->binds[i].buffer_type = MYSQL_TYPE_NULL;
    }

    (void) mysql_stmt_bind_result(rows->stmt, rows->binds);
}


void
row_json_close(struct row_json *rows)
{
    if (rows == NULL) {
        return;
    }

    mysql_free_result(rows->fields);
    buffer_free(&rows->names);
    buffer_free(&rows->text);
    free(rows->binds);
    free(rows);
}
