/* Lanes, identifiers and days: common/order/identifier.c. */
#include <stdlib.h>
#include <string.h>

#include "order/identifier.h"
#include "suite.h"


START_TEST(test_identifier_v7)
{
    static const unsigned char ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    static const unsigned char zeros[8] = { 0 };
    char id[CHECKOUT_IDENTIFIER_LEN + 1] = "";

    /* The timestamp of RFC 9562, appendix A.6. */
    checkout_identifier_v7(id, 0x017F22E279B0, 0xCC3, zeros);
    ck_assert_str_eq(id, "017f22e2-79b0-7cc3-8000-000000000000");
    ck_assert_int_eq(checkout_identifier_check(id, 36), 0);
    ck_assert_uint_eq(checkout_identifier_lane(id), 0xCC3);

    checkout_identifier_v7(id, 0x017F22E279B0, 0, ones);
    ck_assert_str_eq(id, "017f22e2-79b0-7000-bfff-ffffffffffff");
    ck_assert_int_eq(checkout_identifier_check(id, 36), 0);
    ck_assert_uint_eq(checkout_identifier_lane(id), 0);
}
END_TEST


START_TEST(test_every_lane_comes_back)
{
    static const unsigned char random[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    char id[CHECKOUT_IDENTIFIER_LEN];

    for (unsigned lane = 0; lane < CHECKOUT_LANES_MAX; lane++) {
        checkout_identifier_v7(id, 1763700000000, lane, random);
        ck_assert_uint_eq(checkout_identifier_lane(id), lane);
    }

    ck_assert_uint_eq(checkout_lane(17, 1), 0);
    ck_assert_uint_eq(checkout_lane(17, 4), 1);
    ck_assert_uint_eq(checkout_lane(INT64_MAX, 4096), 4095);
}
END_TEST


/* Expected values: SHA-256 of another implementation (Python's hashlib). */
START_TEST(test_G11_identifier_v8)
{
    char id[CHECKOUT_IDENTIFIER_LEN + 1] = "", other[CHECKOUT_IDENTIFIER_LEN + 1] = "";

    ck_assert_int_eq(checkout_identifier_v8(id, 0, 42, "order-1", 7), 0);
    ck_assert_str_eq(id, "629748bb-ad58-8000-94d1-02a4b15b3c07");
    ck_assert_int_eq(checkout_identifier_check(id, 36), 0);
    ck_assert_int_eq(checkout_identifier_v8(id, 4095, UINT64_MAX, "", 0), 0);
    ck_assert_str_eq(id, "0821a549-e392-8fff-bf1a-747ee874faa9");
    ck_assert_uint_eq(checkout_identifier_lane(id), 4095);

    /* User 1 with key "23" is not user 12 with key "3". */
    ck_assert_int_eq(checkout_identifier_v8(id, 0, 1, "23", 2), 0);
    ck_assert_int_eq(checkout_identifier_v8(other, 0, 12, "3", 1), 0);
    ck_assert_str_ne(id, other);
}
END_TEST


static const char *not_identifiers[] = {
    "",
    "x",
    "017f22e2-79b0-7cc3-8000-00000000000",
    "017f22e2-79b0-7cc3-8000-0000000000000",
    "017F22E2-79B0-7CC3-8000-000000000000",
    "017f22e2-79b0-4cc3-8000-000000000000",
    "017f22e2-79b0-7cc3-c000-000000000000",
    "017f22e2a79b0-7cc3-8000-000000000000",
    "017f22e2-79b0-7cc3-8000-00000000000g",
    "017f22e2-79b0-7cc3-8000-0000000000'0",
    "------------------------------------",
};


START_TEST(test_not_identifiers)
{
    ck_assert_int_eq(checkout_identifier_check(not_identifiers[_i], strlen(not_identifiers[_i])), -1);
}
END_TEST


START_TEST(test_days)
{
    static const struct {
        uint64_t ms;
        const char *day;
    } cases[] = {
        { 0, "1970-01-01" },
        { 86399999, "1970-01-01" },
        { 86400000, "1970-01-02" },
        { 951782400000, "2000-02-29" },
        { 1709164799999, "2024-02-28" },
        { 1709164800000, "2024-02-29" },
        { 1735689599999, "2024-12-31" },
        { 1735689600000, "2025-01-01" },
        { 1795219200000, "2026-11-21" },
        { 4107542399999, "2100-02-28" },
        { 4107542400000, "2100-03-01" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char day[CHECKOUT_DAY_LEN + 1] = "";

        checkout_day(day, cases[i].ms);
        ck_assert_str_eq(day, cases[i].day);
    }
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("lane");
    TCase *tcase = tcase_create("lane");

    tcase_add_test(tcase, test_identifier_v7);
    tcase_add_test(tcase, test_every_lane_comes_back);
    tcase_add_test(tcase, test_G11_identifier_v8);
    tcase_add_loop_test(tcase, test_not_identifiers, 0, sizeof not_identifiers / sizeof *not_identifiers);
    tcase_add_test(tcase, test_days);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
