/*
 * A connection's second descriptor: what the event loop may do with it.
 */
#include "sql/connection.h"


ngx_uint_t
ngx_http_checkout_conn_is_stale(ngx_http_checkout_conn_t *conn)
{
    char     byte;
    ssize_t  n;

    if (!ngx_http_checkout_conn_is_open(conn) || conn->fd == -1) {
        return 0;
    }

    n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n >= 0
           || (ngx_socket_errno != NGX_EAGAIN
               && ngx_socket_errno != NGX_EINTR);
}


void
ngx_http_checkout_conn_close_fd(ngx_http_checkout_conn_t *conn)
{
    if (conn->fd != -1) {
        (void) close(conn->fd);
        conn->fd = -1;
    }
}
