/*
 * The administrator's token: "checkout_admin_token_file".
 *
 * Only the token's SHA-256 is kept. The one of a request is digested too, and
 * the digests are compared in constant time, so neither the token's characters
 * nor its length can be found from the time that a refusal takes.
 */
#include "request/admin.h"

#include "request/settings.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>


/*
 * What follows "Bearer" in the request's Authorization; empty when there is
 * none.
 */
static void
ngx_http_checkout_admin_bearer(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t  *value;

    ngx_str_null(token);

    if (r->headers_in.authorization == NULL) {
        return;
    }

    value = &r->headers_in.authorization->value;

    if (value->len <= 7
        || ngx_strncasecmp(value->data, (u_char *) "Bearer ", 7) != 0)
    {
        return;
    }

    token->data = value->data + 7;
    token->len = value->len - 7;

    while (token->len && *token->data == ' ') {
        token->data++;
        token->len--;
    }
}


ngx_uint_t
ngx_http_checkout_is_admin(ngx_http_request_t *r)
{
    ngx_str_t  token;
    u_char     digest[SHA256_DIGEST_LENGTH];

    ngx_http_checkout_admin_bearer(r, &token);

    SHA256(token.len ? token.data : (u_char *) "", token.len, digest);

    return CRYPTO_memcmp(digest,
                         ngx_http_checkout_request_settings(r)->admin_token,
                         SHA256_DIGEST_LENGTH)
           == 0;
}
