/*
 * Which statement a location runs, and with which values: checkout_query and
 * its companions. All of it belongs to the configuration; the texts of the
 * statements are also used by threads.
 */
#include "conf/query.h"

#include "conf/directive.h"


/* the most that "max=" may say */
#define NGX_HTTP_CHECKOUT_PAGE_MAX  1000000


static const struct {
    ngx_str_t                           name;
    ngx_http_checkout_parameter_type_e  type;
} ngx_http_checkout_query_types[] = {
    { ngx_string("text"), NGX_HTTP_CHECKOUT_PARAMETER_TEXT },
    { ngx_string("uint"), NGX_HTTP_CHECKOUT_PARAMETER_UINT },
    { ngx_string("int"), NGX_HTTP_CHECKOUT_PARAMETER_INT },
    { ngx_string("like"), NGX_HTTP_CHECKOUT_PARAMETER_LIKE },
    { ngx_string("buyer"), NGX_HTTP_CHECKOUT_PARAMETER_BUYER },
    { ngx_null_string, NGX_HTTP_CHECKOUT_PARAMETER_TEXT }
};


/* What the location's directives say so far. */
static ngx_http_checkout_query_t *
ngx_http_checkout_query_get(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *clcf)
{
    if (clcf->query == NULL) {
        clcf->query = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_query_t));

        if (clcf->query == NULL) {
            return NULL;
        }

        clcf->query->not_found = NGX_HTTP_CHECKOUT_NOT_FOUND;
        clcf->query->file = cf->conf_file->file.name;
        clcf->query->line = cf->conf_file->line;
    }

    return clcf->query;
}


/*
 * A type stands behind a colon; "=" and a value for an empty one may follow.
 * NGX_DECLINED: none begins here.
 */
static ngx_int_t
ngx_http_checkout_query_type(ngx_http_checkout_parameter_t *value, u_char *p,
    u_char *end)
{
    ngx_uint_t  i;
    ngx_str_t   name;

    for (i = 0; ngx_http_checkout_query_types[i].name.len; i++) {
        name = ngx_http_checkout_query_types[i].name;

        if ((size_t) (end - p) < name.len
            || ngx_memcmp(p, name.data, name.len) != 0)
        {
            continue;
        }

        p += name.len;

        if (p != end && *p != '=') {
            return NGX_DECLINED;
        }

        value->type = ngx_http_checkout_query_types[i].type;

        if (p != end) {
            value->by_default.data = p + 1;
            value->by_default.len = end - p - 1;
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* What looks like a type and is none: letters from the last colon on. */
static ngx_uint_t
ngx_http_checkout_query_is_unknown(u_char *p, u_char *end)
{
    u_char  *start;

    for (start = end; start > p && start[-1] != ':'; start--) {
        /* void */
    }

    if (start == p) {
        return 0;
    }

    for (p = start; p < end && *p >= 'a' && *p <= 'z'; p++) {
        /* void */
    }

    return p > start && (p == end || *p == '=');
}


/* Takes the type and its default off the text. */
static char *
ngx_http_checkout_query_split(ngx_conf_t *cf,
    ngx_http_checkout_parameter_t *value, ngx_str_t *text)
{
    u_char  *p, *end;

    end = text->data + text->len;

    for (p = text->data; p < end; p++) {
        if (*p == ':'
           && ngx_http_checkout_query_type(value, p + 1, end) == NGX_OK)
       {
            text->len = p - text->data;
            return NGX_CONF_OK;
        }
    }

    if (ngx_http_checkout_query_is_unknown(text->data, end)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown type in \"%V\": known are :text, :uint, "
                           ":int, :like and :buyer",
                           text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * The name of a text that is one variable, "$name" or "${name}"; empty when it
 * is none.
 */
static ngx_str_t
ngx_http_checkout_query_variable(ngx_str_t *text)
{
    size_t     i;
    ngx_str_t  name;

    static ngx_str_t  none = ngx_null_string;

    name = *text;

    if (name.len < 2 || name.data[0] != '$') {
        return none;
    }

    name.data++;
    name.len--;

    if (name.data[0] == '{' && name.data[name.len - 1] == '}') {
        name.data++;
        name.len -= 2;
    }

    for (i = 0; i < name.len; i++) {
        if (!((name.data[i] | 0x20) >= 'a' && (name.data[i] | 0x20) <= 'z')
            && !(name.data[i] >= '0' && name.data[i] <= '9')
            && name.data[i] != '_')
        {
            return none;
        }
    }

    return name;
}


/*
 * What a client calls the value, and whether nginx leaves it percent-encoded.
 */
static char *
ngx_http_checkout_query_name(ngx_conf_t *cf,
    ngx_http_checkout_parameter_t *value, ngx_str_t *text, ngx_uint_t n)
{
    u_char     *p;
    ngx_str_t   name;

    name = ngx_http_checkout_query_variable(text);

    if (name.len > 4 && ngx_strncmp(name.data, "arg_", 4) == 0) {
        value->encoded = 1;
        name.data += 4;
        name.len -= 4;
    }

    p = ngx_pnalloc(cf->pool, name.len + sizeof("value") + NGX_INT_T_LEN);

    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    value->name = (char *) p;
    p = name.len ? ngx_cpymem(p, name.data, name.len)
                 : ngx_sprintf(p, "value%ui", n);
    *p = '\0';

    return NGX_CONF_OK;
}


/* n: which of the directive's values it is, from 1 */
static char *
ngx_http_checkout_query_value(ngx_conf_t *cf,
    ngx_http_checkout_parameter_t *value, ngx_str_t text, ngx_uint_t n)
{
    struct prepared_value  given;

    ngx_memzero(value, sizeof(ngx_http_checkout_parameter_t));

    if (ngx_http_checkout_query_split(cf, value, &text) != NGX_CONF_OK
        || ngx_http_checkout_query_name(cf, value, &text, n) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    value->value = ngx_http_checkout_compile(cf, &text);

    if (value->value == NULL) {
        return NGX_CONF_ERROR;
    }

    if (value->by_default.data != NULL
        && ngx_http_checkout_parameter_parse(cf->pool, value,
                                             &value->by_default, &given)
               != CHECKOUT_FIELD_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid default \"%V\"",
                           &value->by_default);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* checkout_query "statement" [value[:type[=default]] ...]; */
char *
ngx_http_checkout_set_query(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    char                           *rc;
    ngx_str_t                      *args;
    ngx_uint_t                      i, places;
    ngx_http_checkout_query_t      *query;
    ngx_http_checkout_parameter_t  *values;

    rc = ngx_http_checkout_take_location(cf, cmd, clcf);

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    args = cf->args->elts;
    places = prepared_placeholders((char *) args[1].data);

    if (places != cf->args->nelts - 2) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"checkout_query\" has %ui values for %ui places \"?\"",
            cf->args->nelts - 2, places);
        return NGX_CONF_ERROR;
    }

    if (places > PREPARED_VALUES_MAX) {
        return "has too many values";
    }

    query = ngx_http_checkout_query_get(cf, clcf);
    values = ngx_palloc(cf->pool,
                        (places + 1) * sizeof(ngx_http_checkout_parameter_t));

    if (query == NULL || values == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < places; i++) {
        if (ngx_http_checkout_query_value(cf, &values[i], args[i + 2], i + 1)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        query->of_buyer |= values[i].type == NGX_HTTP_CHECKOUT_PARAMETER_BUYER;
    }

    query->statement = args[1];
    query->values = values;
    query->nvalues = places;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_checkout_query_not_found(ngx_str_t *value,
    ngx_http_checkout_query_t *query)
{
    if (ngx_strcmp(value->data, "not_found=order_not_found") == 0) {
        query->not_found = NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND;

    } else if (ngx_strcmp(value->data, "not_found=unknown_product") == 0) {
        query->not_found = NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND;

    } else if (ngx_strcmp(value->data, "not_found=not_found") == 0) {
        query->not_found = NGX_HTTP_CHECKOUT_NOT_FOUND;

    } else {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* checkout_query_result rows | object | plain [not_found=code]; */
char *
ngx_http_checkout_set_query_result(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                  *value;
    ngx_http_checkout_query_t  *query;

    value = cf->args->elts;
    query = ngx_http_checkout_query_get(cf, clcf);

    if (query == NULL) {
        return NGX_CONF_ERROR;
    }

    if (query->has_form) {
        return "is duplicate";
    }

    query->has_form = 1;

    if (ngx_strcmp(value[1].data, "rows") == 0) {
        query->form = PREPARED_ROWS;

    } else if (ngx_strcmp(value[1].data, "object") == 0) {
        query->form = PREPARED_OBJECT;

    } else if (ngx_strcmp(value[1].data, "plain") == 0) {
        query->form = PREPARED_PLAIN;

    } else {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "unknown form \"%V\": known are rows, object and plain",
            &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3
        && (query->form == PREPARED_ROWS
            || ngx_http_checkout_query_not_found(&value[2], query) != NGX_OK))
    {
        return ngx_http_checkout_arg_invalid(cf, &value[2]);
    }

    return NGX_CONF_OK;
}


/*
 * "name=number" of 1 to NGX_HTTP_CHECKOUT_PAGE_MAX. NGX_DECLINED: it is
 * another parameter.
 */
static ngx_int_t
ngx_http_checkout_query_number(ngx_str_t *value, const char *name,
    ngx_uint_t *number)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (!ngx_http_checkout_arg_is(value, name, &text)) {
        return NGX_DECLINED;
    }

    n = ngx_atoi(text.data, text.len);

    if (n < 1 || n > NGX_HTTP_CHECKOUT_PAGE_MAX) {
        return NGX_ERROR;
    }

    *number = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_query_page_parameter(ngx_http_checkout_query_page_t *page,
    ngx_str_t *value)
{
    ngx_int_t  rc;
    ngx_str_t  count;

    if (ngx_strcmp(value->data, "total=on") == 0
        || ngx_strcmp(value->data, "total=off") == 0)
    {
        page->total = value->len == sizeof("total=on") - 1;
        return NGX_OK;
    }

    if (ngx_http_checkout_arg_is(value, "count=", &count) && count.len) {
        page->count = count;
        return NGX_OK;
    }

    rc = ngx_http_checkout_query_number(value, "max=", &page->max);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_query_number(value, "pages=", &page->pages);
    }

    return rc != NGX_DECLINED
               ? rc
               : ngx_http_checkout_query_number(value,
                                                "default=", &page->by_default);
}


/*
 * checkout_query_page page per_page [max=100] [default=20] [pages=number]
 * [total=on|off] ["count=statement"];
 */
char *
ngx_http_checkout_set_query_page(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_http_checkout_query_t       *query;
    ngx_http_checkout_query_page_t  *page;

    query = ngx_http_checkout_query_get(cf, clcf);

    if (query == NULL) {
        return NGX_CONF_ERROR;
    }

    if (query->page != NULL) {
        return "is duplicate";
    }

    page = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_query_page_t));

    if (page == NULL) {
        return NGX_CONF_ERROR;
    }

    query->page = page;
    page->max = 100;
    page->total = 1;
    value = cf->args->elts;

    for (i = 0; i < 2; i++) {
        if (ngx_http_checkout_query_value(cf, &page->values[i], value[i + 1],
                                          i + 1)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        page->values[i].type = NGX_HTTP_CHECKOUT_PARAMETER_UINT;
    }

    for (i = 3; i < cf->args->nelts; i++) {
        if (ngx_http_checkout_query_page_parameter(page, &value[i]) != NGX_OK)
        {
            return ngx_http_checkout_arg_invalid(cf, &value[i]);
        }
    }

    if (page->by_default == 0) {
        page->by_default = ngx_min(20, page->max);
    }

    return page->by_default <= page->max
               ? NGX_CONF_OK
               : "has a \"default\" above its \"max\"";
}


/* A statement of parts, closed by a NUL. */
static char *
ngx_http_checkout_query_text(ngx_conf_t *cf, const char *head,
    ngx_str_t *statement, const char *tail)
{
    u_char  *text;

    text = ngx_pnalloc(cf->pool, ngx_strlen(head) + statement->len
                                     + ngx_strlen(tail) + 1);

    if (text != NULL) {
        (void) ngx_sprintf(text, "%s%V%s%Z", head, statement, tail);
    }

    return (char *) text;
}


/*
 * The end of a statement that counts. Where the pages are bounded it counts no
 * further than one row behind the last of them.
 */
static const char *
ngx_http_checkout_query_tail(ngx_conf_t *cf,
    ngx_http_checkout_query_page_t *page)
{
    u_char  *tail;

    if (page->pages == 0) {
        return "\n) AS checkout_rows";
    }

    tail = ngx_pnalloc(cf->pool,
                       sizeof("\nLIMIT \n) AS checkout_rows") + NGX_INT64_LEN);

    if (tail == NULL) {
        return "";
    }

    (void) ngx_sprintf(tail, "\nLIMIT %uL\n) AS checkout_rows%Z",
                       (uint64_t) page->pages * page->max + 1);

    return (char *) tail;
}


/*
 * The statements of a location. A newline ends a comment that the configured
 * one may end with; a semicolon at its end would stand in the middle.
 */
static char *
ngx_http_checkout_query_texts(ngx_conf_t *cf, ngx_http_checkout_query_t *query)
{
    ngx_str_t                        statement;
    ngx_http_checkout_query_page_t  *page;

    page = query->page;
    statement = query->statement;

    while (statement.len
           && (statement.data[statement.len - 1] <= ' '
               || statement.data[statement.len - 1] == ';'))
    {
        statement.len--;
    }

    query->sql = ngx_http_checkout_query_text(
        cf, "", &statement, page ? "\nLIMIT ? OFFSET ?" : "");

    if (query->sql == NULL || page == NULL || !page->total) {
        return query->sql != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    query->count_sql = page->count.len
                           ? (char *) page->count.data
                           : ngx_http_checkout_query_text(
                               cf, "SELECT COUNT(*) FROM (\n", &statement,
                               ngx_http_checkout_query_tail(cf, page));

    return query->count_sql != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static const char *
ngx_http_checkout_query_fault(ngx_http_checkout_query_t *query)
{
    if (query->statement.len == 0) {
        return query->page
                   ? "\"checkout_query_page\" without \"checkout_query\""
                   : "\"checkout_query_result\" without \"checkout_query\"";
    }

    if (query->page == NULL) {
        return NULL;
    }

    if (query->form != PREPARED_ROWS) {
        return "\"checkout_query_page\" with a result that is no \"rows\"";
    }

    if (query->page->count.len && !query->page->total) {
        return "\"count\" with \"total=off\"";
    }

    if (query->page->count.len
        && prepared_placeholders((char *) query->page->count.data)
               != query->nvalues)
    {
        return "\"count\" needs as many places \"?\" as \"checkout_query\" "
               "has values";
    }

    return NULL;
}


/*
 * Once the location's directives are read. An "if" in it has the same
 * statement.
 */
char *
ngx_http_checkout_merge_query(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf)
{
    const char                 *fault;
    ngx_http_checkout_query_t  *query;

    query = conf->query;

    if (query->sql != NULL) {
        return NGX_CONF_OK;
    }

    fault = ngx_http_checkout_query_fault(query);

    if (fault != NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in %V:%ui", fault,
                      &query->file, query->line);
        return NGX_CONF_ERROR;
    }

    return ngx_http_checkout_query_texts(cf, query);
}
