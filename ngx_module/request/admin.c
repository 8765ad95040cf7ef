/*
 * The administrator's token: "checkout_admin_token_file", and who shows it in a request.
 *
 * Only the token's SHA-256 is kept. What a request shows is digested too, and the digests are compared in constant
 * time, so neither the token's characters nor its length can be told from the time that a refusal takes.
 */
#include "request/admin.h"

#include "conf/conf.h"
#include "request/variables.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>


#define NGX_HTTP_CHECKOUT_TOKEN_MIN  16    /* bytes */


/* The characters of a token in a header: visible ASCII (RFC 6750, section 2.1, allows fewer). */
static ngx_uint_t
ngx_http_checkout_admin_visible(ngx_str_t *token)
{
    size_t  i;

    for (i = 0; i < token->len; i++) {
        if (token->data[i] <= 0x20 || token->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* checkout_admin_token_file file; */
char *
ngx_http_checkout_set_admin_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t  *value, token;

    if (clcf->admin_token != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_checkout_read_secret(cf, &value[1], "admin token", &token) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (token.len < NGX_HTTP_CHECKOUT_TOKEN_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "admin token file \"%V\" has a first line of less than %d bytes",
                           &value[1], NGX_HTTP_CHECKOUT_TOKEN_MIN);
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_checkout_admin_visible(&token)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "admin token file \"%V\" has other characters than visible ASCII in"
                           " its first line", &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf->admin_token = ngx_palloc(cf->pool, SHA256_DIGEST_LENGTH);

    if (clcf->admin_token == NULL) {
        return NGX_CONF_ERROR;
    }

    SHA256(token.data, token.len, clcf->admin_token);
    ngx_explicit_memzero(token.data, token.len);

    return NGX_CONF_OK;
}


/* What follows "Bearer" in the request's Authorization; empty when there is none. */
static void
ngx_http_checkout_admin_shown(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t  *value;

    ngx_str_null(token);

    if (r->headers_in.authorization == NULL) {
        return;
    }

    value = &r->headers_in.authorization->value;

    if (value->len <= 7 || ngx_strncasecmp(value->data, (u_char *) "Bearer ", 7) != 0) {
        return;
    }

    token->data = value->data + 7;
    token->len = value->len - 7;

    while (token->len && *token->data == ' ') {
        token->data++;
        token->len--;
    }
}


/* Does the request show the token of its location? */
ngx_uint_t
ngx_http_checkout_is_admin(ngx_http_request_t *r)
{
    ngx_str_t                      token;
    ngx_http_checkout_loc_conf_t  *clcf;
    u_char                         digest[SHA256_DIGEST_LENGTH];

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_checkout_module);
    ngx_http_checkout_admin_shown(r, &token);

    SHA256(token.len ? token.data : (u_char *) "", token.len, digest);

    return CRYPTO_memcmp(digest, clcf->admin_token, SHA256_DIGEST_LENGTH) == 0;
}
