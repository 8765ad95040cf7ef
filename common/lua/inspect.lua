#!lua flags=no-writes,allow-oom
-- inspect: products, read at one moment, for the audit and the reconciler. Writes nothing.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate   4 products
--         then for each product: product:<id>:stock   product:<id>:register
-- ARGV    1 sum (0 or 1): what is in flight is summed where queue and dead letters are short (in_flight.lua)
--         then for each product: product id
-- returns { summed (0 or 1), products and queued of the gate,
--         then for each product { stock, version, register stock, in_flight, sum in flight (-1 when not
--         summed), opens_at, closes_at, per_user_limit, max_quantity, state, recovering } }
--         Nothing is in flight of a product that was never loaded: its sum is 0, however long the queue is.
--         A field that is missing, or whose key has another type, is an empty string.
--#include in_flight.lua

local stream, dead, gate, products = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local asked = ARGV[1] == '1'
local sum = asked and sum_in_flight(stream, dead) or nil
local reply = { sum and 1 or 0, redis.call('HGET', gate, 'products') or '', redis.call('HGET', gate, 'queued') or '' }
for i = 1, (#KEYS - 4) / 2 do
    local stock = redis.pcall('GET', KEYS[3 + 2 * i])
    local f = redis.pcall('HMGET', KEYS[4 + 2 * i], 'version', 'stock', 'in_flight', 'opens_at', 'closes_at',
                         'per_user_limit', 'max_quantity', 'state', 'recovering')
    local units = sum and (sum[ARGV[1 + i]] or 0) or -1
    if asked and not sum and not f[2] and is_new(gate, products, ARGV[1 + i]) then units = 0 end
    reply[#reply + 1] = {
        type(stock) == 'string' and stock or '', f[1] or '', f[2] or '', f[3] or '',
        units, f[4] or '', f[5] or '', f[6] or '', f[7] or '', f[8] or '', f[9] or '',
    }
end
return reply
