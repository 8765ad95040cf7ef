#!lua flags=allow-oom
-- push: brings what MySQL says of products to the gate; loads products; corrects in_flight.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate
--         then for each product: product:<id>:stock   product:<id>:register
-- ARGV    1 create (0 or 1): a product without a register is loaded
--         2 recount (0 or 1): in_flight is set to the sum over queue and dead letters
--         then for each product: product id, version ("-": nothing to push), stock, opens_at, closes_at,
--         per_user_limit, max_quantity, state
-- returns for each product: 1 applied (it was newer, or loaded), 0 not newer, -1 not loaded, -2 no hash
-- law     An older version changes nothing. A register that is created counts what is in flight in the
--         same step. Reading the whole queue is done only to create or to recount.
--#include register.lua
--#include in_flight.lua

local stream, dead, gate = KEYS[1], KEYS[2], KEYS[3]
local create, recount = ARGV[1] == '1', ARGV[2] == '1'
local in_flight

local function units_in_flight(product)
    if not in_flight then in_flight = sum_in_flight(stream, dead) end
    return in_flight[product] or 0
end

local reply, created = {}, 0
for i = 1, (#KEYS - 3) / 2 do
    local stock_key, register, a = KEYS[2 + 2 * i], KEYS[3 + 2 * i], 3 + 8 * (i - 1)
    local product, version = ARGV[a], ARGV[a + 1]
    local found = redis.pcall('HEXISTS', register, 'stock')
    local loaded = found == 1
    if type(found) == 'table' then
        reply[i] = -2
    elseif not loaded and not (create and version ~= '-') then
        reply[i] = -1
    else
        if not loaded then
            redis.call('HSET', register, 'stock', 0, 'version', -1, 'in_flight', units_in_flight(product))
            created = created + 1
        elseif recount then
            redis.call('HSET', register, 'in_flight', units_in_flight(product))
        end
        reply[i] = push(stock_key, register, 0, version, unpack(ARGV, a + 2, a + 7)) and 1 or 0
    end
end
if created > 0 then
    local products = redis.pcall('HGET', gate, 'products')
    if type(products) ~= 'table' then redis.call('HSET', gate, 'products', (tonumber(products) or 0) + created) end
end
return reply
