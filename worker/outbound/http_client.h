/*
 * POST requests to one URL, several on their way at once, each with its own time-out (libcurl's multi interface).
 *
 * A client belongs to one thread. A request belongs to the caller, who keeps it in its place from http_client_start()
 * until http_client_next() gives it back or http_client_cancel() takes it back; its body and headers as well.
 * Redirects are not followed, certificates and their names are checked, and only http and https are spoken. Of an
 * answer, what is beyond HTTP_ANSWER_MOST bytes is not read. Proxies come from the environment, as curl(1) reads it.
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_HTTP_CLIENT_H
#define CHECKOUT_WORKER_OUTBOUND_HTTP_CLIENT_H

#include <curl/curl.h>
#include <stddef.h>

#include "text/buffer.h"

#define HTTP_ANSWER_MOST 65536
#define HTTP_ERROR_MAX   160

struct http_client {
    const char *url, *ca_file;    /* not owned; ca_file "": the system's authorities */
    CURLM *multi;
};

struct http_request {
    const char *body;             /* not owned, as are the headers */
    size_t len;
    struct curl_slist *headers;
    unsigned timeout_ms;          /* from the start to the last byte of the answer */

    long status;                  /* of the whole answer; 0: there was none */
    int sent;                     /* 0: for certain nothing of the request has left */
    int cut;                      /* 1: the answer is longer than what is kept */
    unsigned retry_after;         /* seconds that the answer asks for; 0: none */
    struct buffer answer;         /* emptied at the start; freed by the caller */
    char error[HTTP_ERROR_MAX];   /* why there was no answer; fit to stand between double quotes */

    CURL *easy;                   /* NULL: not on its way */
    char curl_error[CURL_ERROR_SIZE];
};

/* Each returns 0, or -1: out of memory, or libcurl refuses. curl_global_init() comes before. */
int http_client_open(struct http_client *c, const char *url, const char *ca_file);
int http_client_start(struct http_client *c, struct http_request *r);

/* Works on the requests, waiting up to so many milliseconds for something to do. */
void http_client_wait(struct http_client *c, unsigned ms);

/* A request that has ended, or NULL. */
struct http_request *http_client_next(struct http_client *c);

/* What became of it nobody knows. */
void http_client_cancel(struct http_client *c, struct http_request *r);

/* No request may be on its way. */
void http_client_close(struct http_client *c);

/* Adds "name: value" to the list; NULL when there is no memory, and then the list is freed. */
struct curl_slist *http_header(struct curl_slist *list, const char *name, const char *value);

#endif
