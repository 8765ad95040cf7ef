-- Units in flight, for the scripts load and inspect (pasted in where `--#include` stands).
--
--   SHORT                              the most entries of queue and dead letters together that a script reads
--   units_of(entry)                    returns product (text) and units (number) of an entry of a stream, nil for none
--   sum_in_flight(stream, dead)        returns a table, units by product id (text); nil where they hold more than SHORT
--   is_new(gate, products, product)    true where nothing can be in flight of a product without a register
--
-- No script reads more than SHORT entries: Redis serves nobody meanwhile. What is longer is counted from outside
-- (worker/redis/in_flight.h).
local SHORT = 1000

local function units_of(entry)
    local product, units
    local fields = entry[2]
    for i = 1, #fields, 2 do
        if fields[i] == 'product' then product = fields[i + 1] end
        if fields[i] == 'units' then units = tonumber(fields[i + 1]) end
    end
    return product, units
end

local function sum_in_flight(stream, dead)
    if redis.call('XLEN', stream) + redis.call('XLEN', dead) > SHORT then return nil end
    local sum = {}
    for _, name in ipairs({ stream, dead }) do
        for _, entry in ipairs(redis.call('XRANGE', name, '-', '+', 'COUNT', SHORT)) do
            local product, units = units_of(entry)
            if product and units then sum[product] = (sum[product] or 0) + units end
        end
    end
    return sum
end

-- Orders are accepted only of a product that has a register; with its register it enters the set, and it stays there
-- as long as something of it may be in flight. So one that never entered has nothing in the queue. That cannot be said
-- where the set is not as long as the gate counts (the release before kept none), nor while a rebuild enqueues orders
-- again.
local function is_new(gate, products, product)
    local counted = redis.pcall('HMGET', gate, 'products', 'state', 'rebuild')
    return not counted.err and counted[2] ~= 'rebuilding' and not counted[3]
           and redis.pcall('SISMEMBER', products, product) == 0
           and redis.call('SCARD', products) == (tonumber(counted[1] or '0') or -1)
end
