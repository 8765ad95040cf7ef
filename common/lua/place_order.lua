#!lua
-- place_order: the gate. Deducts stock and enqueues the job of each order, in one step.
--
-- KEYS    1 order-processing-queue   2 gate   3 orders:<today>   4 orders:<yesterday>
--         then for each group g (the orders of one product):
--         product:<id>:stock   product:<id>:register   product:<id>:buyers
--         last, where a group is checked: orders:<tomorrow>, written by a clock that is ahead
-- ARGV    1 cap of the queue, in orders   2 <today>
--         then for each group:
--         product id, nonce, orders n, units in all, largest quantity, check (0 or 1),
--         then n times: identifier, record
--         check = 1: some identifiers may be known already (keyed or sent again).
--         A record is "queued - <product> <quantity> <user> <time in ms>".
-- returns { orders in the queue, then for each group { units left or -1, verdict or n verdicts } }
--         One verdict for a group of n means the same for all. A verdict is one of
--           queued · known <record> · conflict · rebuilding · stock_not_loaded · unknown_product
--           sale_not_started <ms to wait> · sale_ended · over_quantity <most> · purchase_limit <most>
--           queue_full · out_of_stock · broken
--         `rebuilding` also says that the buyers of a product with a limit for each user are not counted yet
-- law     Everything of a group is written or nothing is. All types are checked before the first
--         write, the entry is added before anything is counted, and counts are set, not incremented:
--         what follows the entry can fail only for want of a right, and is then taken back. A broken product answers
--         `broken` and harms no other product. The script runs without allow-oom, so a full
--         Redis refuses it whole.

local BUCKET_SECONDS = 2 * 86400 + 3600   -- two days, and an hour for clocks that differ

local stream, gate, today, yesterday = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tomorrow = (#KEYS - 4) % 3 == 1 and KEYS[#KEYS] or nil
local cap = tonumber(ARGV[1])

-- A count as a number; nil for what is none, or is too long for Lua to hold exactly.
local function count(value)
    if not value then return 0 end
    if #value <= 15 and string.find(value, '^%d+$') then return tonumber(value) end
    return nil
end

local function is_error(reply)
    return type(reply) == 'table' and reply.err ~= nil
end

-- An error that the script returns says that nothing was written; one that it raises leaves that open.
local state = redis.pcall('HMGET', gate, 'state', 'products', 'queued')
if is_error(state) then return redis.error_reply(state.err) end
local rebuilding, products, queued = state[1] == 'rebuilding', count(state[2]), count(state[3])
local fence = rebuilding and redis.call('HGET', gate, 'fence')
local kind = redis.call('TYPE', today).ok
if kind ~= 'hash' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. today .. ' is not a hash')
end
if not products or not queued then
    return redis.error_reply('ERR ' .. gate .. ' holds a count that is not a number')
end

-- Here, before the first write, so that a user who may not do it is refused whole.
local expires = redis.pcall('EXPIRE', today, BUCKET_SECONDS, 'NX')
if is_error(expires) then return redis.error_reply(expires.err) end

local now
local function now_ms()
    if not now then
        local t = redis.call('TIME')
        now = t[1] * 1000 + math.floor(t[2] / 1000)
    end
    return now
end

-- Is the product behind the fence of a rebuild? The ones that it is done with are sold (rebuild_open.lua).
local function is_fenced(register)
    return rebuilding and not (fence and redis.call('HGET', register, 'rebuilt') == fence)
end

-- Reads what Redis knows of a product; nil and the verdict when it cannot be sold.
local function read_product(k)
    local stock = redis.pcall('GET', KEYS[k])
    local reg = redis.pcall('HMGET', KEYS[k + 1], 'stock', 'in_flight', 'max_quantity',
                            'per_user_limit', 'opens_at', 'closes_at', 'state', 'recovering', 'buyers')
    if is_error(stock) or is_error(reg) then return nil, 'broken' end
    if is_fenced(KEYS[k + 1]) then return nil, 'rebuilding' end
    if not stock or not reg[1] then
        return nil, products == 0 and 'stock_not_loaded' or 'unknown_product'
    end
    if reg[8] then return nil, 'rebuilding' end   -- MySQL lost something of it: loss.lua
    local p = {
        key = k, stock = count(stock), register = count(reg[1]), in_flight = count(reg[2]),
        max_quantity = count(reg[3]), limit = count(reg[4]),
    }
    local opens, closes = count(reg[5]), count(reg[6])
    if not (p.stock and p.register and p.in_flight and p.max_quantity and p.limit and opens and closes) then
        return nil, 'broken'
    end
    if reg[7] == 'closed' then return nil, 'unknown_product' end
    if opens > 0 and now_ms() < opens then
        return nil, 'sale_not_started ' .. string.format('%.0f', opens - now_ms())
    end
    if closes > 0 and now_ms() >= closes then return nil, 'sale_ended' end
    if p.limit > 0 then
        if reg[9] == 'counting' then return nil, 'rebuilding' end
        p.counted = reg[9] == 'complete'
    end
    p.left = math.max(0, math.min(p.stock, p.register - p.in_flight))
    return p
end

-- A command was refused after all, by an ACL: takes back those before it.
local function undo(p, added)
    redis.pcall('XDEL', stream, added)
    redis.pcall('HSET', KEYS[p.key + 1], 'in_flight', p.in_flight)
    redis.pcall('SET', KEYS[p.key], p.stock)
end

-- Enqueues ARGV[first..last] (identifier, record, identifier, record …). False if nothing was written.
local function accept(p, g, orders, units, argv, first, last)
    local added = redis.pcall('XADD', stream, '*', 'nonce', ARGV[g + 1], 'product', ARGV[g],
                              'units', units, 'count', orders, 'day', ARGV[2],
                              'orders', table.concat(argv, ' ', first, last))
    if is_error(added) then return false end
    if is_error(redis.pcall('HSET', KEYS[p.key + 1], 'in_flight', p.in_flight + units))
       or is_error(redis.pcall('SET', KEYS[p.key], p.left - units))
       or is_error(redis.pcall('HSET', today, unpack(argv, first, last))) then
        undo(p, added)
        return false
    end
    p.left = p.left - units
    queued = queued + orders
    return true
end

-- The record of an identifier that is known, by identifier.
local function known_records(first, n)
    local ids, known = {}, {}
    for i = 1, n do ids[i] = ARGV[first + 2 * (i - 1)] end
    for _, bucket in ipairs({ today, yesterday, tomorrow }) do
        local found = redis.pcall('HMGET', bucket, unpack(ids))
        if not is_error(found) then
            for i = 1, n do known[ids[i]] = known[ids[i]] or found[i] or nil end
        end
    end
    return known
end

-- Same order? Product, quantity and user must agree; status and time may differ.
local function answer_known(record, asked)
    local function content(r) return string.match(r, '^%S+ %S+ (%S+ %S+ %S+)') end
    if content(record) == content(asked) then return 'known ' .. record end
    return 'conflict'
end

-- Units that each user of the group has bought; nil and the verdict when the hash cannot tell: it is broken; or it was
-- counted once, and what is there now was made anew since.
local function read_buyers(p, first, n)
    local users, bought = {}, {}
    for i = 1, n do users[i] = string.match(ARGV[first + 2 * i - 1], '^%S+ %S+ %S+ %S+ (%S+)') end
    users[n + 1] = p.counted and '0' or nil
    local found = redis.pcall('HMGET', KEYS[p.key + 2], unpack(users))
    if is_error(found) then return nil, 'broken' end
    if p.counted and not found[n + 1] then return nil, 'rebuilding' end
    for i = 1, n do
        bought[users[i]] = count(found[i])
        if not bought[users[i]] then return nil, 'broken' end
    end
    return bought
end

-- Each order by itself, in the order of arrival.
local function decide_each(p, refusal, g, first, n, check)
    local reply, argv, units, buyers = { p and p.left or -1 }, {}, 0, {}
    local known = check and known_records(first, n) or {}
    local twin_of_accepted = {}
    local bought
    if p and p.limit > 0 then
        bought, refusal = read_buyers(p, first, n)
        if not bought then p = nil end
    end
    local accepted, queue_left, left = {}, cap - queued, p and p.left
    for i = 1, n do
        local id, record = ARGV[first + 2 * i - 2], ARGV[first + 2 * i - 1]
        local verdict
        if known[id] then
            verdict = answer_known(known[id], record)
            twin_of_accepted[i] = argv[id]
        elseif not p then
            verdict = refusal
        else
            local quantity, user = string.match(record, '^%S+ %S+ %S+ (%S+) (%S+)')
            quantity = tonumber(quantity)
            if p.max_quantity > 0 and quantity > p.max_quantity then
                verdict = 'over_quantity ' .. string.format('%.0f', p.max_quantity)
            elseif bought and bought[user] + quantity > p.limit then
                verdict = 'purchase_limit ' .. string.format('%.0f', p.limit)
            elseif queue_left < 1 then
                verdict = 'queue_full'
            elseif quantity > left then
                verdict = 'out_of_stock'
            else
                verdict = 'queued'
                accepted[#accepted + 1] = i
                argv[#argv + 1], argv[#argv + 2] = id, record
                units, left, queue_left = units + quantity, left - quantity, queue_left - 1
                if bought then
                    bought[user] = bought[user] + quantity
                    buyers[user] = true
                end
                if check then known[id], argv[id] = record, true end
            end
        end
        reply[i + 1] = verdict
    end
    if #accepted > 0 then
        if accept(p, g, #accepted, units, argv, 1, #argv) then
            for user in pairs(buyers) do redis.call('HSET', KEYS[p.key + 2], user, bought[user]) end
            reply[1] = p.left
        else
            for i = 2, n + 1 do
                if reply[i] == 'queued' or twin_of_accepted[i - 1] then reply[i] = 'broken' end
            end
        end
    end
    return reply
end

local function decide(g, k)
    local n, units, largest = tonumber(ARGV[g + 2]), tonumber(ARGV[g + 3]), tonumber(ARGV[g + 4])
    local check, first = ARGV[g + 5] == '1', g + 6
    local p, refusal = read_product(k)
    if not check then
        if not p then return { -1, refusal } end
        if p.left == 0 and p.limit == 0 and queued + n <= cap
           and (p.max_quantity == 0 or largest <= p.max_quantity) then
            return { 0, 'out_of_stock' }
        end
        if p.limit == 0 and units <= p.left and queued + n <= cap
           and (p.max_quantity == 0 or largest <= p.max_quantity) then
            local ok = accept(p, g, n, units, ARGV, first, first + 2 * n - 1)
            return { p.left, ok and 'queued' or 'broken' }
        end
    end
    return decide_each(p, refusal, g, first, n, check)
end

local reply, before = { 0 }, queued
local g, k = 3, 5
while k + 2 <= #KEYS do
    reply[#reply + 1] = decide(g, k)
    g, k = g + 6 + 2 * tonumber(ARGV[g + 2]), k + 3
end
if queued > before then
    redis.call('HSET', gate, 'queued', queued)
    if kind == 'none' then redis.call('EXPIRE', today, BUCKET_SECONDS, 'NX') end
end
reply[1] = queued
return reply
