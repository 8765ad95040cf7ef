/*
 * POST requests to one URL, several at once, each with its own time-out (libcurl's multi interface, libcurl-multi(3)).
 *
 * A client belongs to one thread, and only http_client_wait() blocks. A request belongs to the caller, who keeps it at
 * its address, with its body and headers, from http_client_start() until http_client_next() or http_client_cancel()
 * gives it back. Redirects are not followed, certificates and their names are checked, and only http and https are
 * spoken. Of an answer, at most HTTP_ANSWER_MOST bytes are kept. Proxies come from the environment, as curl(1) reads
 * it.
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_HTTP_CLIENT_H
#define CHECKOUT_WORKER_OUTBOUND_HTTP_CLIENT_H

#include <curl/curl.h>
#include <stddef.h>

#include "text/buffer.h"

#define HTTP_ANSWER_MOST 65536
#define HTTP_ERROR_MAX   160

struct http_client {
    const char *url, *ca_file; /* not owned; ca_file "": the system's authorities */
    CURLM *multi;
};

struct http_request {
    const char *body; /* not owned, as are the headers */
    size_t len;
    struct curl_slist *headers;
    unsigned timeout_ms; /* from the start to the last byte of the answer */

    long status;                /* of the whole answer; 0: there was none */
    int sent;                   /* 0: certainly no byte of the request was sent */
    int cut;                    /* 1: the answer is longer than what is kept */
    unsigned retry_after;       /* seconds of the answer's Retry-After (RFC 9110, 10.2.3), 3600 at most; 0: none */
    struct buffer answer;       /* emptied at the start; freed by the caller */
    char error[HTTP_ERROR_MAX]; /* why there was no answer; fit to stand between double quotes */

    CURL *easy; /* NULL: not under way */
    char curl_error[CURL_ERROR_SIZE];
};

/* url and ca_file must outlive the client; curl_global_init(3) comes before. Returns 0, or -1: out of memory. */
int http_client_open(struct http_client *c, const char *url, const char *ca_file);

/* Starts a request whose first four fields are set. Returns 0, or -1 with r->error set: it is not under way. */
int http_client_start(struct http_client *c, struct http_request *r);

/* Sends and receives, and waits up to so many milliseconds where nothing can be done at once. */
void http_client_wait(struct http_client *c, unsigned ms);

/* Returns a request that has ended, with its result, to its owner; NULL: none has. */
struct http_request *http_client_next(struct http_client *c);

/* Ends a request that is under way, if it is; what became of it on the server is unknown. */
void http_client_cancel(struct http_client *c, struct http_request *r);

/* Frees the client. No request may be under way. */
void http_client_close(struct http_client *c);

/* Appends "name: value" to the list (NULL: empty). Returns the list, or NULL: out of memory, and the list is freed. */
struct curl_slist *http_header(struct curl_slist *list, const char *name, const char *value);

#endif
