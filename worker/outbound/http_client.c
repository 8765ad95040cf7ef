#include "outbound/http_client.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define CONNECT_MOST_MS  5000L
#define RETRY_AFTER_MOST 3600


/* CURLOPT_WRITEFUNCTION(3): returning another number than size * n ends the transfer. */
static size_t
receive(char *data, size_t size, size_t n, void *user)
{
    struct http_request *r = user;
    size_t len = size * n, space = HTTP_ANSWER_MOST - r->answer.len;

    r->cut = len > space;
    buffer_add(&r->answer, data, r->cut ? space : len);
    return r->cut || r->answer.failed ? CURL_WRITEFUNC_ERROR : len;
}


int
http_client_open(struct http_client *c, const char *url, const char *ca_file)
{
    *c = (struct http_client) { .url = url, .ca_file = ca_file, .multi = curl_multi_init() };
    return c->multi != NULL ? 0 : -1;
}


static int
set_up(const struct http_client *c, struct http_request *r)
{
    CURL *e = r->easy;
    long connect_ms = (long) r->timeout_ms < CONNECT_MOST_MS ? (long) r->timeout_ms : CONNECT_MOST_MS;
    int failed = 0;

    failed |= curl_easy_setopt(e, CURLOPT_URL, c->url) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
    failed |= c->ca_file[0] != '\0' && curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_USERAGENT, "checkout-worker") != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) r->timeout_ms) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long) r->len) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, receive) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_WRITEDATA, r) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->curl_error) != CURLE_OK;
    failed |= curl_easy_setopt(e, CURLOPT_PRIVATE, r) != CURLE_OK;
    return failed ? -1 : 0;
}


int
http_client_start(struct http_client *c, struct http_request *r)
{
    r->status = 0;
    r->cut = r->sent = 0;
    r->retry_after = 0;
    r->error[0] = r->curl_error[0] = '\0';
    buffer_clear(&r->answer);
    r->easy = curl_easy_init();

    if (r->easy != NULL && set_up(c, r) == 0 && curl_multi_add_handle(c->multi, r->easy) == CURLM_OK) {
        r->sent = 1;
        return 0;
    }

    curl_easy_cleanup(r->easy);
    r->easy = NULL;
    snprintf(r->error, sizeof(r->error), "libcurl refuses the request");
    return -1;
}


void
http_client_wait(struct http_client *c, unsigned ms)
{
    int running = 0;

    (void) curl_multi_perform(c->multi, &running);

    if (running > 0) {
        (void) curl_multi_poll(c->multi, NULL, 0, (int) ms, NULL);
        (void) curl_multi_perform(c->multi, &running);
    }
}


static void
detach(struct http_client *c, struct http_request *r)
{
    (void) curl_multi_remove_handle(c->multi, r->easy);
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
}


/* An answer that we cut has a status that counts; one that the network cut is no answer. */
static void
note_result(struct http_request *r, CURLcode code)
{
    curl_off_t wait = 0;

    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && r->cut)) {
        (void) curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->status);
        (void) curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &wait);
        r->retry_after = wait <= 0 ? 0 : wait < RETRY_AFTER_MOST ? (unsigned) wait : RETRY_AFTER_MOST;
        return;
    }

    long bytes = 1;

    r->sent = curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &bytes) != CURLE_OK || bytes != 0;
    log_clean(r->error, sizeof(r->error), r->curl_error[0] != '\0' ? r->curl_error : curl_easy_strerror(code));
}


struct http_request *
http_client_next(struct http_client *c)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }

        CURLcode code = message->data.result;
        char *user = NULL;

        (void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);

        struct http_request *r = (struct http_request *) (void *) user;

        note_result(r, code);
        detach(c, r);
        return r;
    }

    return NULL;
}


void
http_client_cancel(struct http_client *c, struct http_request *r)
{
    if (r->easy != NULL) {
        detach(c, r);
    }
}


void
http_client_close(struct http_client *c)
{
    if (c->multi != NULL) {
        (void) curl_multi_cleanup(c->multi);
        c->multi = NULL;
    }
}


struct curl_slist *
http_header(struct curl_slist *list, const char *name, const char *value)
{
    struct buffer line = { 0 };
    struct curl_slist *longer = NULL;

    buffer_format(&line, "%s: %s", name, value);

    if (!line.failed) {
        longer = curl_slist_append(list, line.data);
    }

    buffer_free(&line);

    if (longer == NULL) {
        curl_slist_free_all(list);
    }

    return longer;
}
