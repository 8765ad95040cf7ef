-- The peer of the benchmark: the contract of place-order in lua-resty-redis, as a careful shop would write
-- it. The same checks, the same gate script with one order per call, keepalive connections.
local cjson = require "cjson.safe"
local redis = require "nginx.redis"

local peer = {}
local script, sha, port

function peer.start(file, redis_port)
    local f = assert(io.open(file))
    script, port = f:read("*a"), redis_port
    f:close()
    math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
end

local function answer(status, body)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    local text = cjson.encode(body)
    ngx.header["Content-Length"] = #text
    ngx.print(text)
end

local function is_integer(value, most)
    return type(value) == "number" and value >= 1 and value <= most and value == math.floor(value)
end

local function invalid(order)
    local errors = {}
    if not is_integer(order.product_id, 9007199254740992) then errors.product_id = { "must be a whole number" } end
    if not is_integer(order.quantity, 1000) then errors.quantity = { "must be from 1 to 1000" } end
    if not is_integer(order.user_id, 9007199254740992) then errors.user_id = { "must be a whole number" } end
    return next(errors) and errors
end

-- A UUIDv7, cheaply: the peer shall not lose time on random numbers.
local function identifier()
    local ms = ngx.now() * 1000
    local r = math.random
    return string.format("%08x-%04x-7000-%04x-%06x%06x", math.floor(ms / 65536), ms % 65536,
                         r(0x8000, 0xbfff), r(0, 0xffffff), r(0, 0xffffff))
end

-- EVALSHA, and EVAL where Redis does not know the script yet.
local function run(connection, ...)
    if sha then
        local reply, err = connection:evalsha(sha, ...)
        if reply or not string.find(err or "", "NOSCRIPT", 1, true) then return reply, err end
    end
    sha = assert(connection:script("load", script))
    return connection:evalsha(sha, ...)
end

local function place(id, order)
    local connection = redis:new()
    connection:set_timeout(2000)
    local ok, err = connection:connect("127.0.0.1", port)
    if not ok then return nil, err end
    if connection:get_reused_times() == 0 then connection:select(1) end
    local product = string.format("%d", order.product_id)
    local today = os.date("!%Y-%m-%d")
    local record = string.format("queued - %s %d %d %d", product, order.quantity, order.user_id, ngx.now() * 1000)
    local reply
    reply, err = run(connection, 7, "order-processing-queue", "gate", "orders:" .. today,
                     "orders:" .. os.date("!%Y-%m-%d", ngx.time() - 86400),
                     "product:" .. product .. ":stock", "product:" .. product .. ":register",
                     "product:" .. product .. ":buyers", 1000000000, today, product,
                     string.format("%08x%08x", math.random(0, 0x7fffffff), math.random(0, 0x7fffffff)),
                     1, order.quantity, order.quantity, 0, id, record)
    connection:set_keepalive(60000, 512)
    if not reply then return nil, err end
    return reply[2][2], reply[2][1]
end

function peer.place_order()
    if ngx.req.get_method() ~= "POST" then return answer(405, { code = "method_not_allowed" }) end
    ngx.req.read_body()
    local order = cjson.decode(ngx.req.get_body_data() or "")
    if type(order) ~= "table" then return answer(422, { code = "invalid_request", message = "not a JSON object" }) end
    local errors = invalid(order)
    if errors then return answer(422, { code = "invalid_request", errors = errors }) end
    local id = identifier()
    local verdict, left = place(id, order)
    if verdict == "queued" then
        local url = "/api/orders/" .. id
        ngx.header["Location"] = url
        return answer(202, { message = "訂單已提交,正在處理中。", order_identifier = id, status = "queued", status_url = url })
    end
    if verdict == "out_of_stock" then
        return answer(400, { message = "商品庫存不足。", code = "out_of_stock", available = left })
    end
    ngx.log(ngx.ERR, "peer: ", verdict, " ", left)
    return answer(503, { code = "unavailable" })
end

return peer
