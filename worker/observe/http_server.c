#include "observe/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "order/order.h"
#include "text/buffer.h"
#include "text/number.h"

#define CONNECTIONS_MOST 32
#define IDLE_SECONDS     10


static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned code, const char *type, struct buffer *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(text->len, text->data, MHD_RESPMEM_MUST_COPY);

    buffer_free(text);

    if (response == NULL) {
        return MHD_NO;
    }

    (void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void) MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");

    enum MHD_Result result = MHD_queue_response(connection, code, response);

    MHD_destroy_response(response);
    return result;
}


static enum MHD_Result
on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
           const char *upload, size_t *upload_size, void **request)
{
    struct buffer text = { 0 };
    struct monitor *m = data;

    (void) version;
    (void) upload;
    (void) upload_size;
    (void) request;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        buffer_text(&text, "only GET and HEAD\n");
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", &text);
    }

    if (strcmp(url, "/metrics") == 0) {
        monitor_write_metrics(m, &text);
        return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
    }

    if (strcmp(url, "/healthz") == 0) {
        (void) monitor_write_health(m, &text);
        return answer(connection, MHD_HTTP_OK, "application/json", &text);
    }

    if (strcmp(url, "/readyz") == 0) {
        int ready = monitor_write_health(m, &text);

        return answer(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", &text);
    }

    buffer_text(&text, "/healthz, /readyz and /metrics\n");
    return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", &text);
}


/* Reads "127.0.0.1:9180" or "[::1]:9180" into a socket address. Returns its length, or 0 for a text that is none. */
static unsigned
parse_address(const char *text, void *out, unsigned size)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t) (colon - text) : 0;
    char host[64];
    uint64_t port;

    if (colon == NULL || len >= sizeof(host) || number_parse(&port, colon + 1, strlen(colon + 1), 65535) == -1) {
        return 0;
    }

    int bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';

    snprintf(host, sizeof(host), "%.*s", (int) (bracketed ? len - 2 : len), text + bracketed);
    v4.sin_port = v6.sin6_port = htons((uint16_t) port);

    if (bracketed && size >= sizeof(v6) && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof(v6));
        return sizeof(v6);
    }

    if (!bracketed && size >= sizeof(v4) && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof(v4));
        return sizeof(v4);
    }

    return 0;
}


/* libmicrohttpd would write to standard error; http_server_open() logs what matters. */
static void
drop_line(void *data, const char *format, va_list args)
{
    (void) data;
    (void) format;
    (void) args;
}


int
http_server_open(struct http_server *server, struct monitor *monitor, const char *address)
{
    struct sockaddr_in6 socket_address;

    if (server->daemon != NULL || address[0] == '\0') {
        return 1;
    }

    int v6 = address[0] == '[';

    if (parse_address(address, &socket_address, sizeof(socket_address)) != 0) {
        unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG | (v6 ? MHD_USE_IPv6 : 0);

        server->daemon = MHD_start_daemon(
            flags, 0, NULL, NULL, on_request, monitor, MHD_OPTION_EXTERNAL_LOGGER, drop_line, NULL,
            MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &socket_address, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned) CONNECTIONS_MOST, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_SECONDS, MHD_OPTION_END);
    }

    if (server->daemon == NULL && !server->warned) {
        log_warn("event=metrics_closed address=\"%s\" why=\"the address is in use, or none of this host\"", address);
        server->warned = 1;
    }

    if (server->daemon != NULL && server->warned) {
        log_info("event=metrics_open address=\"%s\"", address);
        server->warned = 0;
    }

    return server->daemon != NULL;
}


void
http_server_close(struct http_server *server)
{
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
}
