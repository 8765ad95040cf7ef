#include "intake/settle_words.h"

#include "redis/keys.h"
#include "redis/push_words.h"
#include "text/buffer.h"


static void
add_keys(struct redis_args *args, const struct batch *b)
{
    size_t buckets = b->entries[b->entry_count - 1].bucket;

    args_script(args, &checkout_script_settle, (unsigned) (3 + buckets + 3 * b->product_count));
    key_queue(args);
    key_gate(args);
    key_dead_letters(args);

    for (size_t i = 0; i < b->entry_count; i++) {
        if (i == 0 || b->entries[i].bucket != b->entries[i - 1].bucket) {
            key_bucket(args, b->entries[i].day);
        }
    }

    for (size_t i = 0; i < b->product_count; i++) {
        key_stock(args, b->products[i].id);
        key_register(args, b->products[i].id);
        key_buyers(args, b->products[i].id);
    }

    args_text(args, CONSUMER_GROUP);
    args_number(args, buckets);
    args_number(args, b->product_count);
}


/* The record of the identifier's one verdict: of a conflict it is the existing order's. */
static void
add_record(struct redis_args *args, const struct order *o)
{
    char record[CHECKOUT_RECORD_MAX];
    int conflict = o->verdict == VERDICT_CONFLICT;
    size_t len = checkout_record_write(record, o->status, o->reason, conflict ? &o->existing : &o->asked,
                                       conflict ? o->existing_ms : o->accepted_ms);

    args_add(args, o->identifier, CHECKOUT_IDENTIFIER_LEN);
    args_add(args, record, len);
}


static void
add_deciding_identifier(struct redis_args *args, const struct order *o)
{
    int by_record = batch_order_gives_back(o) == GIVES_BACK_BY_RECORD;

    args_add(args, by_record ? o->identifier : "-", by_record ? CHECKOUT_IDENTIFIER_LEN : 1);
}


static void
add_buyers(struct redis_args *args, const struct order *orders, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (orders[i].verdict != VERDICT_DEAD && batch_order_gives_back(&orders[i])) {
            args_number(args, orders[i].asked.user_id);
            args_number(args, orders[i].asked.quantity);
            add_deciding_identifier(args, &orders[i]);
        }
    }
}


static void
add_dead(struct redis_args *args, const struct order *orders, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (orders[i].verdict == VERDICT_DEAD) {
            struct buffer text = { 0 };

            buffer_add(&text, orders[i].identifier, CHECKOUT_IDENTIFIER_LEN);
            buffer_text(&text, " ");
            buffer_add(&text, orders[i].record, orders[i].record_len);

            args_number(args, orders[i].asked.quantity);
            args_text(args, orders[i].reason);
            args_add(args, text.data, text.len);
            buffer_free(&text);
        }
    }
}


static void
add_entry(struct redis_args *args, const struct batch *b, size_t entry)
{
    const struct entry *e = &b->entries[entry];
    const struct order *orders = &b->orders[e->first_order];
    uint64_t dead_units = 0;
    size_t dead = 0, back = 0;

    for (size_t i = 0; i < e->orders; i++) {
        if (orders[i].verdict == VERDICT_DEAD) {
            dead++;
            dead_units += orders[i].asked.quantity;
        } else {
            back += batch_order_gives_back(&orders[i]) != GIVES_NOTHING_BACK;
        }
    }

    args_text(args, e->id);
    args_text(args, e->nonce);
    args_number(args, orders[0].product + 1);
    args_number(args, e->bucket);
    args_number(args, e->units - dead_units);
    args_number(args, e->orders);
    args_number(args, e->orders - dead);
    args_number(args, back);
    args_number(args, dead);

    for (size_t i = 0; i < e->orders; i++) {
        if (orders[i].verdict != VERDICT_DEAD) {
            add_record(args, &orders[i]);
        }
    }

    add_buyers(args, orders, e->orders);
    add_dead(args, orders, e->orders);
}


void
settle_words(struct redis_args *args, const struct batch *batch, int64_t epoch)
{
    args_clear(args);
    add_keys(args, batch);
    args_signed(args, epoch);

    for (size_t i = 0; i < batch->product_count; i++) {
        push_words_add(args, &batch->products[i]);
    }

    for (size_t i = 0; i < batch->entry_count; i++) {
        add_entry(args, batch, i);
    }
}
