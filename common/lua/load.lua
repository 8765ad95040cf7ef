#!lua flags=allow-oom
-- load: makes the register of a product, or puts its units in flight right. One product, since it counts them.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate   4 products
--         5 product:<id>:stock   6 product:<id>:register   7 product:<id>:buyers
-- ARGV    1 "create": a product without a register is loaded · "recount": in_flight of one that is loaded is set ·
--         "look": nothing is written · "forget": one whose register is gone, and of which nothing is in flight, leaves
--         the set and the gate's count
--         2 consumer group
--         3 product id, version ("-": nothing to push), stock, opens_at, closes_at, per_user_limit, max_quantity, state
--         11 id up to which the queue was read from outside ("-": it was not: that ends the words)
--         12 id up to which the dead letters were read   13 how many they were   14 units of the product in them
--         15 an entry of the queue, or "-"   16 units of the product in entries behind that one, none of them delivered
--         then the ids of the entries of the product up to that one ("-": of all that were read)
-- returns { 1 applied (it was newer, or loaded), 0 not newer, -1 not loaded, -2 no hash, -4 to be counted (again),
--         in_flight before, units in flight as counted }
-- law     What was read from outside is exact here: entries come only at the end, so behind what was read stand at most
--         256 that are read now; of those before, only what was delivered can have been settled, and that is looked at
--         again. Where that does not hold nothing is written. An older version changes nothing.
--#include register.lua
--#include in_flight.lua

local TAIL_MOST = 256

local stream, dead, gate, products, stock_key, register, buyers = unpack(KEYS)
local mode, group, product, version = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local function is_after(a, b)
    local am, as = string.match(a, '^(%d+)-(%d+)$')
    local bm, bs = string.match(b, '^(%d+)-(%d+)$')
    am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
    return am > bm or (am == bm and as > bs)
end

local function last_delivered()
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    for _, g in ipairs(groups.err and {} or groups) do
        local fields = {}
        for i = 1, #g, 2 do fields[g[i]] = g[i + 1] end
        if fields.name == group then return fields['last-delivered-id'] end
    end
    return '0-0'
end

-- Units of the product in entries of a page.
local function units_in(page)
    local sum = 0
    for _, entry in ipairs(page) do
        local of, units = units_of(entry)
        if of == product and units then sum = sum + units end
    end
    return sum
end

-- What was counted from outside, as it is now; nil where that cannot be said.
local function confirm()
    if redis.call('XLEN', dead) ~= tonumber(ARGV[13])
       or #redis.call('XRANGE', dead, '(' .. ARGV[12], '+', 'COUNT', 1) > 0 then
        return nil
    end
    local tail = redis.call('XRANGE', stream, '(' .. ARGV[11], '+', 'COUNT', TAIL_MOST + 1)
    if #tail > TAIL_MOST or (ARGV[15] ~= '-' and is_after(last_delivered(), ARGV[15])) then return nil end
    local sum = tonumber(ARGV[14]) + tonumber(ARGV[16]) + units_in(tail)
    for i = 17, #ARGV do sum = sum + units_in(redis.call('XRANGE', stream, ARGV[i], ARGV[i])) end
    return sum
end

local function count_units(loaded)
    if ARGV[11] ~= '-' then return confirm() end
    if not loaded and is_new(gate, products, product) then return 0 end
    local sum = sum_in_flight(stream, dead)
    return sum and (sum[product] or 0)
end

local function create(units)
    redis.call('HSET', register, 'stock', 0, 'version', -1, 'in_flight', units)
    if redis.pcall('SADD', products, product) == 0 then return end   -- it was counted before its register went
    local count = redis.pcall('HGET', gate, 'products')
    if type(count) ~= 'table' then redis.call('HSET', gate, 'products', (tonumber(count) or 0) + 1) end
end

-- 1 where it was forgotten now.
local function forget(units)
    if units > 0 or redis.pcall('SREM', products, product) ~= 1 then return 0 end
    local count = redis.pcall('HGET', gate, 'products')
    count = type(count) == 'string' and tonumber(count) or 0
    if count > 0 then redis.call('HSET', gate, 'products', count - 1) end
    return 1
end

local found = redis.pcall('HMGET', register, 'stock', 'in_flight')
if found.err then return { -2, 0, 0 } end
local loaded, before = found[1] and true or false, whole(found[2]) or 0
if mode == 'forget' and loaded then return { 0, before, before } end
if not loaded and mode ~= 'forget' and (mode ~= 'create' or version == '-') then return { -1, 0, 0 } end

local units = before
if not (loaded and mode == 'create') then
    units = count_units(loaded)
    if not units then return { -4, before, before } end
end
if mode == 'look' then return { 0, before, units } end
if mode == 'forget' then return { forget(units), 0, units } end
if not loaded then
    create(units)
elseif mode == 'recount' then
    redis.call('HSET', register, 'in_flight', units)
end
return { push(stock_key, register, buyers, 0, version, unpack(ARGV, 5, 10)) and 1 or 0, before, units }
