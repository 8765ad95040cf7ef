/*
 * The table of outcomes.
 */
#include "request/outcome.h"


/* clang-format off */
const ngx_http_checkout_outcome_t
    ngx_http_checkout_outcomes[NGX_HTTP_CHECKOUT_OUTCOMES] =
{
    [NGX_HTTP_CHECKOUT_INVALID_REQUEST] =
    { 422, 0, ngx_string("invalid_request"), NGX_HTTP_CHECKOUT_OF_BOTH,
      "請求內容有誤。",
      "The request is invalid." },

    [NGX_HTTP_CHECKOUT_UNKNOWN_PRODUCT] =
    { 422, 0, ngx_string("unknown_product"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "商品不存在。",
      "There is no such product." },

    [NGX_HTTP_CHECKOUT_IDEMPOTENCY_CONFLICT] =
    { 422, 0, ngx_string("idempotency_conflict"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "此 Idempotency-Key 已用於內容不同的訂單。",
      "This Idempotency-Key was used for an order with other content." },

    [NGX_HTTP_CHECKOUT_OUT_OF_STOCK] =
    { 400, 0, ngx_string("out_of_stock"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "商品庫存不足。",
      "Not enough units are left." },

    [NGX_HTTP_CHECKOUT_SALE_NOT_STARTED] =
    { 403, 0, ngx_string("sale_not_started"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "銷售尚未開始。",
      "The sale has not started." },

    [NGX_HTTP_CHECKOUT_SALE_ENDED] =
    { 403, 0, ngx_string("sale_ended"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "銷售已結束。",
      "The sale has ended." },

    [NGX_HTTP_CHECKOUT_PURCHASE_LIMIT] =
    { 403, 0, ngx_string("purchase_limit"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "超過每人限購數量。",
      "The purchase limit per buyer is exceeded." },

    [NGX_HTTP_CHECKOUT_QUEUE_FULL] =
    { 503, 5, ngx_string("queue_full"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "訂單過多,請稍後再試。",
      "Too many orders are waiting; try again later." },

    [NGX_HTTP_CHECKOUT_STOCK_NOT_LOADED] =
    { 503, 5, ngx_string("stock_not_loaded"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "商品庫存尚未載入,請稍後再試。",
      "The stock is not loaded yet; try again later." },

    [NGX_HTTP_CHECKOUT_UNAVAILABLE] =
    { 503, 1, ngx_string("unavailable"), NGX_HTTP_CHECKOUT_OF_BOTH,
      "服務暫時無法使用,請稍後再試。",
      "The service is unavailable; try again later." },

    [NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN] =
    { 500, 0, ngx_string("outcome_unknown"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "訂單結果未知,請以訂單編號查詢。",
      "The outcome of the order is unknown; ask for it by its identifier." },

    [NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED] =
    { 405, 0, ngx_string("method_not_allowed"), NGX_HTTP_CHECKOUT_OF_BOTH,
      "不支援此請求方法。",
      "The method is not allowed." },

    [NGX_HTTP_CHECKOUT_BODY_TOO_LARGE] =
    { 413, 0, ngx_string("body_too_large"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "請求內容過大。",
      "The request body is too large." },

    [NGX_HTTP_CHECKOUT_UNSUPPORTED_TYPE] =
    { 415, 0, ngx_string("unsupported_media_type"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      "請求內容必須是 application/json。",
      "The body must be application/json." },

    [NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND] =
    { 404, 0, ngx_string("order_not_found"), NGX_HTTP_CHECKOUT_OF_READS,
      "訂單不存在。",
      "There is no such order." },

    [NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND] =
    { 404, 0, ngx_string("unknown_product"), NGX_HTTP_CHECKOUT_OF_READS,
      "商品不存在",
      "There is no such product." },

    [NGX_HTTP_CHECKOUT_UNAUTHORIZED] =
    { 401, 0, ngx_string("unauthorized"), NGX_HTTP_CHECKOUT_OF_BOTH,
      "請先登入。",
      "Please log in first." },

    [NGX_HTTP_CHECKOUT_NOT_FOUND] =
    { 404, 0, ngx_string("not_found"), NGX_HTTP_CHECKOUT_OF_READS,
      "查無資料。",
      "Nothing was found." },

    [NGX_HTTP_CHECKOUT_BAD_GATEWAY] =
    { 502, 0, ngx_string("bad_gateway"), NGX_HTTP_CHECKOUT_OF_READS,
      "資料庫沒有正確回應,請稍後再試。",
      "The database gave no proper answer; try again later." },

    [NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT] =
    { 504, 0, ngx_string("gateway_timeout"), NGX_HTTP_CHECKOUT_OF_READS,
      "資料庫沒有及時回應,請稍後再試。",
      "The database did not answer in time; try again later." },

    [NGX_HTTP_CHECKOUT_ADMIN_UNAUTHORIZED] =
    { 401, 0, ngx_string("unauthorized"), 0,
      "需要有效的管理權杖。",
      "A valid admin token is needed." },

    [NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT] =
    { 409, 0, ngx_string("orders_in_flight"), 0,
      "此商品尚有處理中的訂單,庫存未變更。",
      "Orders of this product are in flight; its stock was not changed." },

    [NGX_HTTP_CHECKOUT_STOCK_UNKNOWN] =
    { 503, 1, ngx_string("unavailable"), 0,
      "MySQL 未及時回應,庫存是否已設定未知;可以安全地重送此請求。",
      "MySQL gave no answer in time; whether the stock is set is "
      "unknown. The request may be sent again." },

    [NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED] =
    { 503, 1, ngx_string("unavailable"), 0,
      "MySQL 的庫存已設定,但 Redis 尚未更新;Redis 隨後會更新,也可以重送此請求。",
      "The stock is set in MySQL, but Redis was not told yet. It will "
      "follow, and the request may be sent again." },

    [NGX_HTTP_CHECKOUT_NOT_CANCELLABLE] =
    { 409, 0, ngx_string("not_cancellable"), 0,
      "此訂單的狀態已無法取消。",
      "The order cannot be cancelled in its present status." },

    [NGX_HTTP_CHECKOUT_MISSING_SIGNATURE] =
    { 400, 0, ngx_string("missing_signature"), 0,
      "缺少簽章標頭。",
      "A header of the signature is missing." },

    [NGX_HTTP_CHECKOUT_BAD_SIGNATURE] =
    { 400, 0, ngx_string("bad_signature"), 0,
      "簽章無效。",
      "The signature is not valid." },

    [NGX_HTTP_CHECKOUT_STALE_TIMESTAMP] =
    { 400, 0, ngx_string("stale_timestamp"), 0,
      "簽章時間超出允許範圍。",
      "The signature's time is too far from now." },

    [NGX_HTTP_CHECKOUT_INVALID_EVENT] =
    { 400, 0, ngx_string("invalid_event"), 0,
      "事件沒有可用的 id。",
      "The event has no usable id." },

    [NGX_HTTP_CHECKOUT_QUEUED] =
    { 202, 0, ngx_string("queued"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_KNOWN] =
    { 202, 0, ngx_string("known"), NGX_HTTP_CHECKOUT_OF_ORDERS,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_FOUND] =
    { 200, 0, ngx_string("found"), NGX_HTTP_CHECKOUT_OF_READS,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_STOCK_SET] =
    { 200, 0, ngx_string("set"), 0,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_CANCELLED] =
    { 200, 0, ngx_string("cancelled"), 0,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_EVENT_RECEIVED] =
    { 200, 0, ngx_string("received"), 0,
      NULL, NULL },

    [NGX_HTTP_CHECKOUT_EVENT_REPEATED] =
    { 200, 0, ngx_string("repeated"), 0,
      NULL, NULL },
};
/* clang-format on */
