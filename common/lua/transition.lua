#!lua flags=allow-oom
-- transition: what MySQL committed in the lives of orders after their verdict: status, stock, units of the buyer.
--
-- KEYS    1 orders:<today>   2 orders:<yesterday>   3 orders:<tomorrow>, written by a clock that is ahead
--         then for each product: product:<id>:stock   product:<id>:register   product:<id>:buyers
-- ARGV    1 make (0 or 1): an order without a record gets one in today's bucket, if its buyer's units move by it
--         2 products P
--         then for each product: version ("-": nothing to push), stock, opens_at, closes_at, per_user_limit,
--         max_quantity, state
--         then for each order: identifier, status, reason ("-": none), product 1..P (0: none), user, quantity,
--         units that the user holds more than before (negative: less), for an order without a record
-- returns for each order: 2 its record was changed or made, 1 nothing is left to tell, 0 it has no record, and its
--         buyer's units did not move: to be told with make = 1
-- law     An older status never replaces a later one, so the call may be repeated and may come in any order. The
--         buyer's units move with the record: what its old and its new status hold. Where there is no record any
--         more they move as the caller says, and the record that is made shows a repeat that it was told. That is
--         exact if each order's changes come in their order, so only the sweep of table gate_notices makes records.
--         Creates no register and no stock. Buyers are counted only where there is a limit.
--#include register.lua
--#include record.lua
--#include buyers.lua

local BUCKET_SECONDS = 2 * 86400 + 3600   -- as place_order has it

local make, products = ARGV[1] == '1', tonumber(ARGV[2])
local reply = {}

-- The bucket that holds the record, and the record.
local function find(identifier)
    for b = 1, 3 do
        local record = redis.pcall('HGET', KEYS[b], identifier)
        if type(record) == 'string' then return KEYS[b], record end
    end
end

local kept_of, counting_of = {}, {}
local function buyers_of(product)
    if product == 0 then return false, false end
    if kept_of[product] == nil then
        kept_of[product], counting_of[product] = buyers_kept(KEYS[3 * product + 2], KEYS[3 * product + 3])
    end
    return kept_of[product], counting_of[product]
end

local function move(product, identifier, user, quantity, units, status)
    local kept, counting = buyers_of(product)
    if not kept then return end
    hold(KEYS[3 * product + 3], user, units)
    if counting then journal(KEYS[3 * product + 3], identifier, user, HOLDS[status] and quantity or 0) end
end

-- Units that the buyer holds more when the order of that record gets that status.
local function difference(record, status)
    local old, quantity = string.match(record, '^(%S+) %S+ %d+ (%d+) ')
    return ((HOLDS[status] or 0) - (HOLDS[old] or 0)) * (tonumber(quantity) or 0)
end

local function replace(a, bucket, record)
    local identifier, status = ARGV[a], ARGV[a + 1]
    local rest = string.match(record, '^%S+ %S+ (.*)$')
    local new = status .. ' ' .. ARGV[a + 2] .. ' ' .. (rest or '')
    if not rest or not is_later(new, record) then return 1 end
    redis.call('HSET', bucket, identifier, new)
    move(tonumber(ARGV[a + 3]), identifier, ARGV[a + 4], tonumber(ARGV[a + 5]), difference(record, status), status)
    return 2
end

-- The units move only if the record can be written: it shows a repeat that they did.
local function tell_without_record(a)
    local product, units = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 6])
    if units == 0 or not buyers_of(product) then return 1 end
    if not make then return 0 end
    local t = redis.call('TIME')
    local record = string.format('%s %s %s %s %s %.0f', ARGV[a + 1], ARGV[a + 2],
                                 string.match(KEYS[3 * product + 1], 'product:(%d+):stock$'), ARGV[a + 5], ARGV[a + 4],
                                 t[1] * 1000 + math.floor(t[2] / 1000))
    local made = redis.pcall('HSET', KEYS[1], ARGV[a], record)
    if type(made) == 'table' then return 0 end
    redis.call('EXPIRE', KEYS[1], BUCKET_SECONDS, 'NX')
    move(product, ARGV[a], ARGV[a + 4], tonumber(ARGV[a + 5]), units, ARGV[a + 1])
    return 2
end

for a = 3 + 7 * products, #ARGV, 7 do
    local bucket, record = find(ARGV[a])
    reply[#reply + 1] = bucket and replace(a, bucket, record) or not bucket and tell_without_record(a)
end

for p = 1, products do
    local k, v = 3 * p + 1, 3 + 7 * (p - 1)
    push(KEYS[k], KEYS[k + 1], KEYS[k + 2], 0, unpack(ARGV, v, v + 6))
end
return reply
