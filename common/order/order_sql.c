#include "order/order_sql.h"

#include <inttypes.h>

#include "order/identifier.h"


/* A literal, without a connection to ask: sessions speak utf8mb4, where no byte of a longer character is a quote. */
static void
add_literal(struct buffer *sql, const char *text)
{
    buffer_text(sql, "'");

    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            buffer_text(sql, "\\");
        }

        buffer_add(sql, text, 1);
    }

    buffer_text(sql, "'");
}


void
order_sql_add_tombstone(struct buffer *sql, const struct tombstone *t)
{
    buffer_format(sql, "('%.*s',%" PRIu64 ",", CHECKOUT_IDENTIFIER_LEN, t->identifier, t->user);
    add_literal(sql, t->status);
    buffer_text(sql, ",");

    if (t->failure_code[0] == '\0') {
        buffer_text(sql, "NULL");
    } else {
        add_literal(sql, t->failure_code);
    }

    if (t->product == 0) {
        buffer_text(sql, ",0,NULL,NULL,NULL)");
    } else {
        buffer_format(sql, ",0,NULL,%" PRIu64 ",%" PRIu64 ")", t->product, t->quantity);
    }
}


void
order_sql_add_item(struct buffer *sql, const char *identifier, uint64_t product, uint64_t quantity,
                   const char *unit_price)
{
    buffer_format(sql, "('%.*s',%" PRIu64 ",%" PRIu64 ",%s)", CHECKOUT_IDENTIFIER_LEN, identifier, product, quantity,
                  unit_price);
}
