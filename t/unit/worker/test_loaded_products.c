/* Keys of products: worker/redis/loaded_products.c. */
#include <string.h>

#include "redis/loaded_products.h"
#include "suite.h"


START_TEST(test_keys_of_products)
{
    static const char *const others[] = {
        "product:",
        "product:1",
        "product::register",
        "product:x:register",
        "product:1:buyers",
        "product:1:register:",
        "product:1:stock",
        "product:0:register",
        "product:01:register",
        "orders:2026-11-21",
        "product:99999999999999999999:register",
    };
    uint64_t id;

    ck_assert_int_eq(loaded_products_id("product:17:register", 19, &id), 0);
    ck_assert_uint_eq(id, 17);
    ck_assert_int_eq(loaded_products_id("product:9223372036854775807:register", 36, &id), 0);
    ck_assert_uint_eq(id, INT64_MAX);

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_msg(loaded_products_id(others[i], strlen(others[i]), &id) == -1, "%s", others[i]);
    }
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker loaded products");
    TCase *tcase = tcase_create("loaded products");

    tcase_add_test(tcase, test_keys_of_products);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
