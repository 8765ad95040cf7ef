#include "redis/push_words.h"


void
push_words_add(struct redis_args *args, const struct product_row *row)
{
    if (row->found) {
        args_number(args, row->version);
    } else {
        args_text(args, "-");
    }

    args_signed(args, row->stock);
    args_number(args, row->terms.opens_at);
    args_number(args, row->terms.closes_at);
    args_number(args, row->terms.per_user_limit);
    args_number(args, row->terms.max_quantity);
    args_text(args, row->terms.state[0] != '\0' ? row->terms.state : "open");
}
