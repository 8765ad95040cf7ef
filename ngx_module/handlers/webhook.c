/*
 * POST webhook: a payment provider reports an event.
 *
 * The signature over the raw body is checked here, and the event is kept in
 * MySQL (lifecycle/payment_inbox.h) before the provider is told that it has
 * arrived. The worker finds out what it means: of the body only Stripe's "id"
 * is read here, because Stripe sends its event's id nowhere else.
 *
 * The event is copied into the job's pool, so that it outlives the request.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "handlers/steps.h"
#include "request/body.h"
#include "request/context.h"
#include "request/count.h"
#include "request/outcome.h"
#include "request/response.h"
#include "sql/job.h"
#include "lifecycle/payment_inbox.h"
#include "text/json_fields.h"
#include "text/signature.h"


#define NGX_HTTP_CHECKOUT_WEBHOOK_OK  "{\"status\":\"received\"}"


static enum checkout_signature_result ngx_http_checkout_webhook_read(
    ngx_http_request_t *r, struct checkout_signed *s);
static enum checkout_signature_result ngx_http_checkout_webhook_read_standard(
    ngx_http_request_t *r, struct checkout_signed *s);
static enum checkout_signature_result ngx_http_checkout_webhook_read_stripe(
    ngx_http_request_t *r, struct checkout_signed *s);
static ngx_int_t ngx_http_checkout_webhook_header(ngx_http_request_t *r,
    const char *name, struct checkout_text *text);
static ngx_http_checkout_outcome_e ngx_http_checkout_webhook_code(
    enum checkout_signature_result result);
static void ngx_http_checkout_webhook_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_checkout_webhook_verify(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_checkout_webhook_accept(ngx_http_request_t *r,
    const struct checkout_signed *s, ngx_str_t *body);
static ngx_int_t ngx_http_checkout_webhook_stripe_id(ngx_str_t *body, char *id,
    size_t size);
static ngx_int_t ngx_http_checkout_webhook_keep(ngx_http_request_t *r,
    const char *id, size_t id_len, ngx_str_t *body);
static ngx_int_t ngx_http_checkout_webhook_input(ngx_http_checkout_job_t *job,
    const char *provider, const char *id, size_t id_len, ngx_str_t *body);
static void ngx_http_checkout_webhook_done(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result);


ngx_int_t
ngx_http_checkout_webhook_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    struct checkout_signed           s;
    ngx_http_checkout_ctx_t         *ctx;
    enum checkout_signature_result   result;

    ctx = ngx_http_checkout_ctx_create_main(
        r, NGX_HTTP_CHECKOUT_REQUEST_WEBHOOK, "checkout_webhook");

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_checkout_refuse_method(r, "POST");
    }

    if (r->headers_in.content_length_n > INBOX_BODY_MAX) {
        return ngx_http_checkout_refuse_unread(
            r, NGX_HTTP_CHECKOUT_BODY_TOO_LARGE);
    }

    result = ngx_http_checkout_webhook_read(r, &s);

    if (result != CHECKOUT_SIGNATURE_OK) {
        return ngx_http_checkout_refuse_unread(
            r, ngx_http_checkout_webhook_code(result));
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_checkout_webhook_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static enum checkout_signature_result
ngx_http_checkout_webhook_read(ngx_http_request_t *r,
    struct checkout_signed *s)
{
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    return clcf->webhook == CHECKOUT_SCHEME_STRIPE
               ? ngx_http_checkout_webhook_read_stripe(r, s)
               : ngx_http_checkout_webhook_read_standard(r, s);
}


static enum checkout_signature_result
ngx_http_checkout_webhook_read_standard(ngx_http_request_t *r,
    struct checkout_signed *s)
{
    struct checkout_text  id, timestamp, signatures;

    if (ngx_http_checkout_webhook_header(r, "webhook-id", &id) != NGX_OK
        || ngx_http_checkout_webhook_header(r, "webhook-timestamp", &timestamp)
               != NGX_OK
        || ngx_http_checkout_webhook_header(r, "webhook-signature",
                                            &signatures)
               != NGX_OK)
    {
        return CHECKOUT_SIGNATURE_MALFORMED;
    }

    return checkout_signed_standard(s, id, timestamp, signatures);
}


static enum checkout_signature_result
ngx_http_checkout_webhook_read_stripe(ngx_http_request_t *r,
    struct checkout_signed *s)
{
    struct checkout_text  header;

    if (ngx_http_checkout_webhook_header(r, "Stripe-Signature", &header)
        != NGX_OK)
    {
        return CHECKOUT_SIGNATURE_MALFORMED;
    }

    return checkout_signed_stripe(s, header);
}


/*
 * The header of that name. data NULL: there is none; NGX_DECLINED: it is there
 * twice.
 */
static ngx_int_t
ngx_http_checkout_webhook_header(ngx_http_request_t *r, const char *name,
    struct checkout_text *text)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;
    header = part->elts;
    text->data = NULL;
    text->len = 0;

    for (i = 0; /* void */; i++) {
        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len != len
            || ngx_strncasecmp(header[i].key.data, (u_char *) name, len) != 0)
        {
            continue;
        }

        if (text->data != NULL) {
            return NGX_DECLINED;
        }

        text->data = (char *) header[i].value.data;
        text->len = header[i].value.len;
    }
}


/* result: other than OK and BROKEN */
static ngx_http_checkout_outcome_e
ngx_http_checkout_webhook_code(enum checkout_signature_result result)
{
    switch (result) {

    case CHECKOUT_SIGNATURE_MISSING:
        return NGX_HTTP_CHECKOUT_MISSING_SIGNATURE;

    case CHECKOUT_SIGNATURE_STALE:
        return NGX_HTTP_CHECKOUT_STALE_TIMESTAMP;

    default:
        return NGX_HTTP_CHECKOUT_BAD_SIGNATURE;
    }
}


/* The body has arrived. */
static void
ngx_http_checkout_webhook_body(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_checkout_body_text(r, INBOX_BODY_MAX, &body);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_BODY_TOO_LARGE,
                                      NULL, 0);

    } else if (rc != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        if (body.len == 0) {
            body.data = (u_char *) "";
        }

        rc = ngx_http_checkout_webhook_verify(r, &body);

        if (rc == NGX_DONE) {
            return; /* the job will answer */
        }
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_int_t
ngx_http_checkout_webhook_verify(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_array_t                     *secrets;
    struct checkout_signed           s;
    ngx_http_checkout_loc_conf_t    *clcf;
    enum checkout_signature_result   result;

    clcf = ngx_http_checkout_location(r);
    secrets = clcf->webhook_secrets;
    result = ngx_http_checkout_webhook_read(r, &s);

    if (result == CHECKOUT_SIGNATURE_OK) {
        result = checkout_signed_verify(
            &s, secrets->elts, secrets->nelts, (char *) body->data, body->len,
            (uint64_t) ngx_time(), (uint64_t) clcf->webhook_tolerance);
    }

    if (result == CHECKOUT_SIGNATURE_BROKEN) {
        ngx_log_error(
            NGX_LOG_CRIT, r->connection->log, 0,
            "checkout_webhook: libcrypto cannot compute a signature");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (result != CHECKOUT_SIGNATURE_OK) {
        return ngx_http_checkout_refuse(
            r, ngx_http_checkout_webhook_code(result), NULL, 0);
    }

    return ngx_http_checkout_webhook_accept(r, &s, body);
}


/* The event was signed by somebody who has a secret. */
static ngx_int_t
ngx_http_checkout_webhook_accept(ngx_http_request_t *r,
    const struct checkout_signed *s, ngx_str_t *body)
{
    char  id[4 * CHECKOUT_WEBHOOK_ID_MAX + 1];

    if (s->id.data != NULL) {
        return ngx_http_checkout_webhook_keep(r, s->id.data, s->id.len, body);
    }

    if (ngx_http_checkout_webhook_stripe_id(body, id, sizeof(id)) != NGX_OK) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_INVALID_EVENT,
                                        NULL, 0);
    }

    return ngx_http_checkout_webhook_keep(r, id, ngx_strlen(id), body);
}


/*
 * Stripe's id of the event, strictly: one member "id" of the object, 1 to 255
 * visible ASCII characters.
 */
static ngx_int_t
ngx_http_checkout_webhook_stripe_id(ngx_str_t *body, char *id, size_t size)
{
    u_char                      *p;
    struct checkout_field        field;
    struct checkout_json_fault   fault;

    ngx_memzero(&field, sizeof(struct checkout_field));
    field.name = "id";
    field.kind = CHECKOUT_FIELD_TEXT;
    field.min = 1;
    field.max = CHECKOUT_WEBHOOK_ID_MAX;
    field.text = id;
    field.size = size;

    if (checkout_json_fields(&field, 1, (char *) body->data, body->len, &fault)
        != 0)
    {
        return NGX_DECLINED;
    }

    for (p = (u_char *) id; *p; p++) {
        if (*p < 0x21 || *p > 0x7e) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* The request waits for the job from now on: NGX_DONE. */
static ngx_int_t
ngx_http_checkout_webhook_keep(ngx_http_request_t *r, const char *id,
    size_t id_len, ngx_str_t *body)
{
    const char                    *provider;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_job_t       *job;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);
    provider = clcf->webhook == CHECKOUT_SCHEME_STRIPE ? "stripe" : "standard";
    job = ngx_http_checkout_job_create(&ngx_http_checkout_location(r)->sql);

    if (job == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    if (ngx_http_checkout_webhook_input(job, provider, id, id_len, body)
        != NGX_OK)
    {
        ngx_http_checkout_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->run = payment_inbox_store;
    job->done = ngx_http_checkout_webhook_done;
    job->primary = 1;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout webhook: asks MySQL");

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_job_start(job, &ctx->waiting);
    ngx_http_checkout_waiting_begin_with_body(&ctx->waiting, clcf->clock);

    return NGX_DONE;
}


/* What the job needs, in its own memory. */
static ngx_int_t
ngx_http_checkout_webhook_input(ngx_http_checkout_job_t *job,
    const char *provider, const char *id, size_t id_len, ngx_str_t *body)
{
    char                *copy;
    struct inbox_event  *event;

    event = ngx_palloc(job->pool, sizeof(struct inbox_event));
    copy = ngx_pnalloc(job->pool, id_len + 1 + body->len);

    if (event == NULL || copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, id, id_len);
    copy[id_len] = '\0';
    ngx_memcpy(copy + id_len + 1, body->data, body->len);

    event->id = copy;
    event->provider = provider;
    event->body = copy + id_len + 1;
    event->len = body->len;
    job->input = event;

    return NGX_OK;
}


static void
ngx_http_checkout_webhook_done(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_checkout_ctx_t  *ctx;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout webhook: MySQL answered, outcome %d", outcome);

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (outcome != NGX_HTTP_CHECKOUT_SQL_DONE) {
        ngx_http_checkout_waiting_finish(
            &ctx->waiting, ngx_http_checkout_sql_refuse(r, outcome));
        return;
    }

    ngx_http_checkout_count_outcome(
        ctx, result->kind == INBOX_REPEATED
                 ? NGX_HTTP_CHECKOUT_EVENT_REPEATED
                 : NGX_HTTP_CHECKOUT_EVENT_RECEIVED);

    b = ngx_create_temp_buf(r->pool, sizeof(NGX_HTTP_CHECKOUT_WEBHOOK_OK) - 1);

    if (b == NULL) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        b->last = ngx_cpymem(b->pos, NGX_HTTP_CHECKOUT_WEBHOOK_OK,
                             sizeof(NGX_HTTP_CHECKOUT_WEBHOOK_OK) - 1);
        rc = ngx_http_checkout_send(r, NGX_HTTP_OK, b);
    }

    ngx_http_checkout_waiting_finish(&ctx->waiting, rc);
}
