/*
 * Which MySQL servers, how to enter, and how many connections: the directives
 * of MySQL, and what "nginx -t" checks.
 *
 * Locations that say the same share one "access": the way to enter, time-outs
 * and the bounds of its pools. Those that write share none with those that
 * read, so that no crowd of readers keeps a payment from the primary. All of
 * it belongs to the configuration. The password is read when the configuration
 * is, and is never logged. Certificates are read by the client library with
 * each connection, so the worker processes' user must be able to.
 */
#include "conf/mysql.h"

#include "conf/directive.h"
#include "conf/secret.h"


#define NGX_HTTP_CHECKOUT_POOL_SIZE_MAX   1024
#define NGX_HTTP_CHECKOUT_POOL_QUEUE_MAX  65536
#define NGX_HTTP_CHECKOUT_THREADS_MAX     4096

/*
 * ms. MySQL waits a second for a lock, not less, and then says that nothing
 * was changed: a job that writes is not given up before, as its outcome would
 * be unknown.
 */
#define NGX_HTTP_CHECKOUT_WRITE_TIMEOUT_MIN  1500

/* ms, at most, between the server's time-out and nginx's */
#define NGX_HTTP_CHECKOUT_STATEMENT_MARGIN  500


/* A copy that ends with NUL, for the client library. */
static char *
ngx_http_checkout_mysql_text(ngx_conf_t *cf, ngx_str_t *value,
    const char **text)
{
    char  *copy;

    copy = ngx_pnalloc(cf->pool, value->len + 1);

    if (copy == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(copy, value->data, value->len);
    copy[value->len] = '\0';
    *text = copy;

    return NGX_CONF_OK;
}


static char *
ngx_http_checkout_mysql_password(ngx_conf_t *cf,
    ngx_http_checkout_mysql_t *mysql, ngx_str_t *file)
{
    ngx_str_t  password;

    if (ngx_http_checkout_read_secret(cf, file, "password", &password)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_checkout_mysql_text(cf, &password, &mysql->password);
}


static char *
ngx_http_checkout_mysql_parameter(ngx_conf_t *cf,
    ngx_http_checkout_mysql_t *mysql, ngx_str_t *arg)
{
    ngx_str_t  value;

    if (ngx_http_checkout_arg_is(arg, "database=", &value) && value.len) {
        return ngx_http_checkout_mysql_text(cf, &value, &mysql->database);
    }

    if (ngx_http_checkout_arg_is(arg, "user=", &value) && value.len) {
        return ngx_http_checkout_mysql_text(cf, &value, &mysql->user);
    }

    if (ngx_http_checkout_arg_is(arg, "password_file=", &value) && value.len) {
        return ngx_http_checkout_mysql_password(cf, mysql, &value);
    }

    if (ngx_strcmp(arg->data, "server_public_key=on") == 0) {
        mysql->server_public_key = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(arg->data, "server_public_key=off") == 0) {
        mysql->server_public_key = 0;
        return NGX_CONF_OK;
    }

    return ngx_http_checkout_arg_invalid(cf, arg);
}


/*
 * checkout_mysql database=name user=name [password_file=file]
 * [server_public_key=on|off];
 */
char *
ngx_http_checkout_set_mysql(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_checkout_mysql_t  *mysql;

    if (clcf->mysql != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    mysql = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_mysql_t));

    if (mysql == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_checkout_mysql_parameter(cf, mysql, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (mysql->database == NULL || mysql->user == NULL) {
        return "needs \"database\" and \"user\"";
    }

    clcf->mysql = mysql;

    return NGX_CONF_OK;
}


/*
 * checkout_read_from upstream; checkout_primary upstream; cmd->offset: where
 * it is kept
 */
char *
ngx_http_checkout_set_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_url_t                       u;
    ngx_str_t                      *value;
    ngx_http_upstream_srv_conf_t  **upstream;

    upstream = (ngx_http_upstream_srv_conf_t **) ((char *) conf + cmd->offset);

    if (*upstream != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = value[1];
    u.no_resolve = 1;

    *upstream = ngx_http_upstream_add(cf, &u, 0);

    return *upstream != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* checkout_thread_pool name [threads=number]; */
char *
ngx_http_checkout_set_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_main_conf_t  *cmcf = conf;

    ngx_int_t   threads;
    ngx_str_t  *value, number;

    if (cmcf->threads.pool.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    cmcf->threads.pool = value[1];
    cmcf->threads.max = 32;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    threads = ngx_http_checkout_arg_is(&value[2], "threads=", &number)
                  ? ngx_atoi(number.data, number.len)
                  : NGX_ERROR;

    if (threads < 1 || threads > NGX_HTTP_CHECKOUT_THREADS_MAX) {
        return ngx_http_checkout_arg_invalid(cf, &value[2]);
    }

    cmcf->threads.max = threads;

    return NGX_CONF_OK;
}


/* 1: *number is between the bounds. */
static ngx_uint_t
ngx_http_checkout_pool_number(ngx_str_t *value, ngx_int_t min, ngx_int_t max,
    ngx_uint_t *number)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);
    *number = n;

    return n >= min && n <= max;
}


/* 1: *time is between 1ms and a day. */
static ngx_uint_t
ngx_http_checkout_pool_time(ngx_str_t *value, ngx_msec_t *time)
{
    ngx_int_t  ms;

    ms = ngx_parse_time(value, 0);
    *time = ms;

    return ms > 0 && ms <= 86400000;
}


/* 0: the argument is not valid. */
static ngx_uint_t
ngx_http_checkout_pool_parameter(ngx_http_checkout_pool_conf_t *pool,
    ngx_str_t *arg)
{
    ngx_str_t  value;

    if (ngx_http_checkout_arg_is(arg, "size=", &value)) {
        return ngx_http_checkout_pool_number(
            &value, 1, NGX_HTTP_CHECKOUT_POOL_SIZE_MAX, &pool->size);
    }

    if (ngx_http_checkout_arg_is(arg, "queue=", &value)) {
        return ngx_http_checkout_pool_number(
            &value, 0, NGX_HTTP_CHECKOUT_POOL_QUEUE_MAX, &pool->queue);
    }

    if (ngx_http_checkout_arg_is(arg, "timeout=", &value)) {
        return ngx_http_checkout_pool_time(&value, &pool->timeout);
    }

    if (ngx_http_checkout_arg_is(arg, "idle=", &value)) {
        return ngx_http_checkout_pool_time(&value, &pool->idle);
    }

    return 0;
}


static const ngx_http_checkout_pool_conf_t  ngx_http_checkout_pool_defaults = {
    4, 256, 1000, 60000
};


/* checkout_pool [size=number] [queue=number] [timeout=time] [idle=time]; */
char *
ngx_http_checkout_set_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (clcf->pool.size != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    clcf->pool = ngx_http_checkout_pool_defaults;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (!ngx_http_checkout_pool_parameter(&clcf->pool, &value[i])) {
            return ngx_http_checkout_arg_invalid(cf, &value[i]);
        }
    }

    return NGX_CONF_OK;
}


void
ngx_http_checkout_mysql_unset(ngx_http_checkout_loc_conf_t *conf)
{
    conf->mysql = NGX_CONF_UNSET_PTR;
    conf->sql.read_from = NGX_CONF_UNSET_PTR;
    conf->sql.primary = NGX_CONF_UNSET_PTR;
    conf->pool.size = NGX_CONF_UNSET_UINT;
    conf->mysql_connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->mysql_read_timeout = NGX_CONF_UNSET_MSEC;
    conf->mysql_tls.enable = NGX_CONF_UNSET;
    conf->mysql_tls.verify = NGX_CONF_UNSET;
}


void
ngx_http_checkout_mysql_merge(ngx_http_checkout_loc_conf_t *conf,
    ngx_http_checkout_loc_conf_t *prev)
{
    ngx_conf_merge_ptr_value(conf->mysql, prev->mysql, NULL);
    ngx_conf_merge_ptr_value(conf->sql.read_from, prev->sql.read_from, NULL);
    ngx_conf_merge_ptr_value(conf->sql.primary, prev->sql.primary, NULL);
    ngx_conf_merge_msec_value(conf->mysql_connect_timeout,
                              prev->mysql_connect_timeout, 1000);
    ngx_conf_merge_msec_value(conf->mysql_read_timeout,
                              prev->mysql_read_timeout, 1000);
    ngx_conf_merge_value(conf->mysql_tls.enable, prev->mysql_tls.enable, 0);
    ngx_conf_merge_value(conf->mysql_tls.verify, prev->mysql_tls.verify, 1);
    ngx_conf_merge_str_value(conf->mysql_tls.trusted_certificate,
                             prev->mysql_tls.trusted_certificate, "");
    ngx_conf_merge_str_value(conf->mysql_tls.certificate,
                             prev->mysql_tls.certificate, "");
    ngx_conf_merge_str_value(conf->mysql_tls.certificate_key,
                             prev->mysql_tls.certificate_key, "");

    if (conf->pool.size == NGX_CONF_UNSET_UINT) {
        conf->pool = prev->pool.size == NGX_CONF_UNSET_UINT
                         ? ngx_http_checkout_pool_defaults
                         : prev->pool;
    }
}


/*
 * The full name of a file that the client library will read; NULL where there
 * is none.
 */
static ngx_int_t
ngx_http_checkout_mysql_file(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, ngx_str_t *file, const char **name)
{
    ngx_fd_t  fd;

    *name = NULL;

    if (file->len == 0) {
        return NGX_OK;
    }

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed, for \"%V\" in %V:%ui",
                      file, &conf->request.handler.name,
                      &conf->request.handler.file, conf->request.handler.line);
        return NGX_ERROR;
    }

    (void) ngx_close_file(fd);
    *name = (const char *) file->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_mysql_tls(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf,
    struct db_server *server)
{
    server->ssl = conf->mysql_tls.enable;
    server->ssl_verify = conf->mysql_tls.enable && conf->mysql_tls.verify;

    if (!conf->mysql_tls.enable) {
        return NGX_OK;
    }

    if (conf->mysql_tls.certificate.len
        && conf->mysql_tls.certificate_key.len == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"checkout_mysql_ssl_certificate\" without "
                      "\"checkout_mysql_ssl_certificate_key\" for \"%V\" in "
                      "%V:%ui",
                      &conf->request.handler.name, &conf->request.handler.file,
                      conf->request.handler.line);
        return NGX_ERROR;
    }

#ifndef MARIADB_PACKAGE_VERSION
    /*
     * libmysqlclient does not know the authorities that the system trusts: it
     * would refuse every server
     */
    if (server->ssl_verify && conf->mysql_tls.trusted_certificate.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"checkout_mysql_ssl_verify on\" needs "
                      "\"checkout_mysql_ssl_trusted_certificate\" with "
                      "libmysqlclient, for \"%V\" in %V:%ui",
                      &conf->request.handler.name, &conf->request.handler.file,
                      conf->request.handler.line);
        return NGX_ERROR;
    }
#endif

    if (server->ssl_verify
        && ngx_http_checkout_mysql_file(
               cf, conf, &conf->mysql_tls.trusted_certificate, &server->ssl_ca)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_checkout_mysql_file(cf, conf, &conf->mysql_tls.certificate,
                                     &server->ssl_cert)
            != NGX_OK
        || ngx_http_checkout_mysql_file(
               cf, conf, &conf->mysql_tls.certificate_key, &server->ssl_key)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_checkout_same_word(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && ngx_strcmp(a, b) == 0);
}


static ngx_uint_t
ngx_http_checkout_same_access(ngx_http_checkout_access_t *a,
    ngx_http_checkout_access_t *b)
{
    return ngx_http_checkout_same_word(a->server.database, b->server.database)
           && ngx_http_checkout_same_word(a->server.user, b->server.user)
           && ngx_http_checkout_same_word(a->server.password,
                                          b->server.password)
           && ngx_http_checkout_same_word(a->server.ssl_ca, b->server.ssl_ca)
           && ngx_http_checkout_same_word(a->server.ssl_cert,
                                          b->server.ssl_cert)
           && ngx_http_checkout_same_word(a->server.ssl_key, b->server.ssl_key)
           && a->server.ssl == b->server.ssl
           && a->server.ssl_verify == b->server.ssl_verify
           && a->server.server_public_key == b->server.server_public_key
           && a->connect_timeout == b->connect_timeout
           && a->read_timeout == b->read_timeout
           && a->pool.size == b->pool.size && a->pool.queue == b->pool.queue
           && a->pool.timeout == b->pool.timeout
           && a->pool.idle == b->pool.idle && a->writes == b->writes;
}


/*
 * The server ends a statement a little before nginx would give it up, and
 * tells: so a slow statement is not taken for a server that does not answer,
 * and does not run on where nobody waits for it.
 */
static ngx_msec_t
ngx_http_checkout_statement_timeout(ngx_msec_t read_timeout)
{
    ngx_msec_t  margin;

    margin = ngx_min(read_timeout / 10, NGX_HTTP_CHECKOUT_STATEMENT_MARGIN);

    return read_timeout > margin ? read_timeout - ngx_max(margin, 1) : 1;
}


static ngx_int_t
ngx_http_checkout_mysql_wanted(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, ngx_uint_t writes,
    ngx_http_checkout_access_t *access)
{
    ngx_msec_t  read_timeout;

    read_timeout = writes ? ngx_max(conf->mysql_read_timeout,
                                    NGX_HTTP_CHECKOUT_WRITE_TIMEOUT_MIN)
                          : conf->mysql_read_timeout;

    ngx_memzero(access, sizeof(ngx_http_checkout_access_t));

    access->server.database = conf->mysql->database;
    access->server.user = conf->mysql->user;
    access->server.password = conf->mysql->password;
    access->server.server_public_key = conf->mysql->server_public_key;
    access->server.connect_timeout = conf->mysql_connect_timeout;
    /* nginx's own time-out comes first, for certain */
    access->server.timeout = read_timeout + 1000;
    access->server.statement_timeout = ngx_http_checkout_statement_timeout(
        read_timeout);
    access->connect_timeout = conf->mysql_connect_timeout;
    access->read_timeout = read_timeout;
    access->pool = conf->pool;
    access->writes = writes;
    access->file = conf->request.handler.file;
    access->line = conf->request.handler.line;

    return ngx_http_checkout_mysql_tls(cf, conf, &access->server);
}


static ngx_int_t
ngx_http_checkout_access_add_upstream(ngx_http_checkout_access_t *access,
    ngx_http_upstream_srv_conf_t *upstream)
{
    ngx_uint_t                      i;
    ngx_http_upstream_srv_conf_t  **known, **slot;

    known = access->upstreams.elts;

    for (i = 0; i < access->upstreams.nelts; i++) {
        if (known[i] == upstream) {
            return NGX_OK;
        }
    }

    slot = upstream != NULL ? ngx_array_push(&access->upstreams) : NULL;

    if (slot != NULL) {
        *slot = upstream;
    }

    return slot != NULL || upstream == NULL ? NGX_OK : NGX_ERROR;
}


static ngx_http_checkout_access_t *
ngx_http_checkout_find_access(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_access_t *wanted)
{
    ngx_uint_t                    i;
    ngx_http_checkout_access_t  **known, **slot, *access;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (ngx_http_checkout_same_access(known[i], wanted)) {
            return known[i];
        }
    }

    access = ngx_palloc(cf->pool, sizeof(ngx_http_checkout_access_t));
    slot = ngx_array_push(list);

    if (access == NULL || slot == NULL) {
        return NULL;
    }

    *access = *wanted;

    if (ngx_array_init(&access->upstreams, cf->pool, 2,
                       sizeof(ngx_http_upstream_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    *slot = access;

    return access;
}


/*
 * The access of a location, shared by locations that say the same.
 * conf->sql.access stays NULL where there is no MySQL.
 */
char *
ngx_http_checkout_mysql_access(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_loc_conf_t *conf, ngx_uint_t writes)
{
    ngx_http_checkout_access_t  wanted;

    if (conf->mysql == NULL
        || (conf->sql.read_from == NULL && conf->sql.primary == NULL))
    {
        return NGX_CONF_OK;
    }

    if (ngx_http_checkout_mysql_wanted(cf, conf, writes, &wanted) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf->sql.access = ngx_http_checkout_find_access(cf, list, &wanted);

    if (conf->sql.access == NULL
        || (!writes
            && ngx_http_checkout_access_add_upstream(conf->sql.access,
                                                     conf->sql.read_from)
                   != NGX_OK)
        || ngx_http_checkout_access_add_upstream(conf->sql.access,
                                                 conf->sql.primary)
               != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Counts an address unless it is in the list. */
static ngx_int_t
ngx_http_checkout_note_address(ngx_array_t *addresses, ngx_addr_t *addr)
{
    ngx_uint_t    i;
    ngx_addr_t  **known, **slot;

    known = addresses->elts;

    for (i = 0; i < addresses->nelts; i++) {
        if (ngx_cmp_sockaddr(known[i]->sockaddr, known[i]->socklen,
                             addr->sockaddr, addr->socklen, 1)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    slot = ngx_array_push(addresses);

    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = addr;

    return NGX_OK;
}


/*
 * A name that is resolved while nginx runs: nobody knows yet how many
 * addresses it has. What stands in its place since nginx 1.27.3 is an address
 * like that of every other such name.
 */
static ngx_uint_t
ngx_http_checkout_is_resolved_later(ngx_http_upstream_server_t *server)
{
#if (NGX_HTTP_UPSTREAM_ZONE && nginx_version >= 1027003)
    if (server->host.len) {
        return 1;
    }
#endif

    return server->naddrs == 0;
}


/*
 * The addresses of an upstream into the list; names that are resolved later
 * into *later.
 */
static ngx_int_t
ngx_http_checkout_note_servers(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *upstream, ngx_array_t *addresses,
    ngx_uint_t *later)
{
    ngx_uint_t                   i, j;
    ngx_http_upstream_server_t  *server;

    if (upstream->servers == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no upstream \"%V\" for MySQL in %s:%ui",
                      &upstream->host, upstream->file_name, upstream->line);
        return NGX_ERROR;
    }

    server = upstream->servers->elts;

    for (i = 0; i < upstream->servers->nelts; i++) {
        if (server[i].down) {
            continue;
        }

        if (ngx_http_checkout_is_resolved_later(&server[i])) {
            (*later)++;
            continue;
        }

        for (j = 0; j < server[i].naddrs; j++) {
            if (ngx_http_checkout_note_address(addresses, &server[i].addrs[j])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * Servers that an access can reach, as far as they are known; NGX_ERROR when
 * one of its upstreams is none.
 */
static ngx_int_t
ngx_http_checkout_access_servers(ngx_conf_t *cf,
    ngx_http_checkout_access_t *access)
{
    ngx_uint_t                      i, later;
    ngx_array_t                     addresses;
    ngx_http_upstream_srv_conf_t  **upstreams;

    if (ngx_array_init(&addresses, cf->temp_pool, 4, sizeof(ngx_addr_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    upstreams = access->upstreams.elts;
    later = 0;

    for (i = 0; i < access->upstreams.nelts; i++) {
        if (ngx_http_checkout_note_servers(cf, upstreams[i], &addresses,
                                           &later)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return addresses.nelts + later;
}


/*
 * The whole configuration is read: are there threads enough for all
 * connections that the pools allow?
 */
ngx_int_t
ngx_http_checkout_mysql_check(ngx_conf_t *cf)
{
    ngx_int_t                        servers;
    ngx_uint_t                       i, connections, writers;
    ngx_http_checkout_access_t     **access;
    ngx_http_checkout_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_checkout_module);

    if (cmcf->accesses.nelts == 0) {
        return NGX_OK;
    }

    if (cmcf->threads.pool.len == 0) {
        ngx_str_set(&cmcf->threads.pool, "default");
        cmcf->threads.max = 32;
    }

    access = cmcf->accesses.elts;
    connections = 0;
    writers = 0;

    for (i = 0; i < cmcf->accesses.nelts; i++) {
        servers = ngx_http_checkout_access_servers(cf, access[i]);

        if (servers == NGX_ERROR) {
            return NGX_ERROR;
        }

        connections += servers * access[i]->pool.size;
        writers += access[i]->writes ? servers * access[i]->pool.size : 0;

        if (connections > cmcf->threads.max) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"checkout_pool\" allows %ui connections to all "
                          "MySQL servers together, which is more than "
                          "the %ui threads of \"checkout_thread_pool %V\", "
                          "with those for %V:%ui",
                          connections, cmcf->threads.max, &cmcf->threads.pool,
                          &access[i]->file, access[i]->line);
            return NGX_ERROR;
        }
    }

    /* names may have more addresses than were counted */
    cmcf->threads.kept = ngx_min(writers, cmcf->threads.max - 1);

    return ngx_thread_pool_add(cf, &cmcf->threads.pool) != NULL
               ? NGX_OK
               : NGX_ERROR;
}
