#include "order/identifier.h"

#include <openssl/evp.h>
#include <string.h>

#include "text/number.h"


static const char hex[] = "0123456789abcdef";


unsigned
checkout_lane(uint64_t product_id, unsigned lanes)
{
    return (unsigned) (product_id % lanes);
}


/* Writes 16 bytes as a UUID: hyphens stand before bytes 4, 6, 8 and 10. */
static void
write_uuid(char *out, const unsigned char uuid[16])
{
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 15];
    }
}


/* Version, lane and variant (RFC 9562, section 4) over what stands in these bits. */
static void
set_fields(unsigned char uuid[16], unsigned version, unsigned lane)
{
    uuid[6] = (unsigned char) (version << 4 | (lane >> 8 & 0x0f));
    uuid[7] = (unsigned char) lane;
    uuid[8] = (unsigned char) (0x80 | (uuid[8] & 0x3f));
}


void
checkout_identifier_v7(char out[CHECKOUT_IDENTIFIER_LEN], uint64_t unix_ms, unsigned lane,
                       const unsigned char random[CHECKOUT_IDENTIFIER_RANDOM])
{
    unsigned char uuid[16];

    for (unsigned i = 0; i < 6; i++) {
        uuid[i] = (unsigned char) (unix_ms >> (40 - 8 * i));
    }

    memcpy(uuid + 8, random, CHECKOUT_IDENTIFIER_RANDOM);
    set_fields(uuid, 7, lane);
    write_uuid(out, uuid);
}


static int
digest_text(EVP_MD_CTX *digest, const char *text, size_t len)
{
    const unsigned char length[4] = {
        (unsigned char) (len >> 24), (unsigned char) (len >> 16), (unsigned char) (len >> 8), (unsigned char) len
    };

    return EVP_DigestUpdate(digest, length, sizeof length) == 1 && EVP_DigestUpdate(digest, text, len) == 1;
}


int
checkout_identifier_v8(char out[CHECKOUT_IDENTIFIER_LEN], unsigned lane, uint64_t user_id, const char *key,
                       size_t key_len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char user[20];
    size_t user_len = (size_t) (number_write(user, user_id) - user);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 && digest_text(digest, user, user_len)
             && digest_text(digest, key, key_len) && EVP_DigestFinal_ex(digest, hash, NULL) == 1;

    EVP_MD_CTX_free(digest);

    if (!ok) {
        return -1;
    }

    set_fields(hash, 8, lane);
    write_uuid(out, hash);
    return 0;
}


static int
is_hyphen_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}


int
checkout_identifier_check(const char *text, size_t len)
{
    if (len != CHECKOUT_IDENTIFIER_LEN) {
        return -1;
    }

    for (size_t i = 0; i < len; i++) {
        if (is_hyphen_place(i)) {
            if (text[i] != '-') {
                return -1;
            }

        } else if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) {
            return -1;
        }
    }

    if (text[14] != '7' && text[14] != '8') {
        return -1;
    }

    return text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b' ? 0 : -1;
}


static unsigned
hex_value(char c)
{
    return c <= '9' ? (unsigned) (c - '0') : (unsigned) (c - 'a' + 10);
}


unsigned
checkout_identifier_lane(const char *identifier)
{
    return hex_value(identifier[15]) << 8 | hex_value(identifier[16]) << 4 | hex_value(identifier[17]);
}


/* Days to a civil date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
void
checkout_day(char out[CHECKOUT_DAY_LEN], uint64_t unix_ms)
{
    uint64_t z = unix_ms / 86400000 + 719468;
    uint64_t era = z / 146097;
    unsigned doe = (unsigned) (z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = (unsigned) (yoe + era * 400) + (month <= 2);

    out[0] = (char) ('0' + year / 1000 % 10);
    out[1] = (char) ('0' + year / 100 % 10);
    out[2] = (char) ('0' + year / 10 % 10);
    out[3] = (char) ('0' + year % 10);
    out[4] = '-';
    out[5] = (char) ('0' + month / 10);
    out[6] = (char) ('0' + month % 10);
    out[7] = '-';
    out[8] = (char) ('0' + day / 10);
    out[9] = (char) ('0' + day % 10);
}
