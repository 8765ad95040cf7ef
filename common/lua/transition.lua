#!lua flags=allow-oom
-- transition: what MySQL committed in the lives of orders after their verdict: status, stock, units of the buyer.
--
-- KEYS    1 orders:<today>   2 orders:<yesterday>   3 orders:<tomorrow>, written by a clock that is ahead
--         then for each product: product:<id>:stock   product:<id>:register   product:<id>:buyers
-- ARGV    1 again (0 or 1): an earlier call with the same words may have run
--         2 products P
--         then for each product: version, stock, opens_at, closes_at, per_user_limit, max_quantity, state
--         then for each order: identifier, status, reason ("-": none), product 1..P (0: none), user,
--         units that the user holds more than before (negative: less), for an order without a record
-- returns orders whose record was changed
-- law     An older status never replaces a later one, so the call may be repeated and may come in any order. The
--         buyer's units move with the record: what its old and its new status hold. Where there is no record any
--         more they move as the caller says, unless the call is made again. Creates no record, no register and no
--         stock. Buyers are counted only where there is a limit.
--#include register.lua
--#include record.lua

local again, products = ARGV[1] == '1', tonumber(ARGV[2])
local changed = 0

-- The bucket that holds the record, and the record.
local function find(identifier)
    for b = 1, 3 do
        local record = redis.pcall('HGET', KEYS[b], identifier)
        if type(record) == 'string' then return KEYS[b], record end
    end
end

-- Units that the buyer holds more when the order of that record gets that status.
local function difference(record, status)
    local old, quantity = string.match(record, '^(%S+) %S+ %d+ (%d+) ')
    return ((HOLDS[status] or 0) - (HOLDS[old] or 0)) * (tonumber(quantity) or 0)
end

for a = 3 + 7 * products, #ARGV, 6 do
    local identifier, product = ARGV[a], tonumber(ARGV[a + 3])
    local bucket, record = find(identifier)
    local units = (bucket or again) and 0 or tonumber(ARGV[a + 5])
    if bucket then
        local rest = string.match(record, '^%S+ %S+ (.*)$')
        local new = ARGV[a + 1] .. ' ' .. ARGV[a + 2] .. ' ' .. (rest or '')
        if rest and is_later(new, record) then
            redis.call('HSET', bucket, identifier, new)
            changed, units = changed + 1, difference(record, ARGV[a + 1])
        end
    end
    local limit = product > 0 and tonumber(ARGV[3 + 7 * (product - 1) + 4]) or 0
    if limit > 0 then hold(KEYS[3 + 3 * product], ARGV[a + 4], units) end
end

for p = 1, products do
    local k, v = 3 * p + 1, 3 + 7 * (p - 1)
    push(KEYS[k], KEYS[k + 1], 0, unpack(ARGV, v, v + 6))
end
return changed
