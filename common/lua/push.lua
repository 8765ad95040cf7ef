#!lua flags=allow-oom
-- push: brings what MySQL says of products to the gate. Loads none (see load).
--
-- KEYS    for each product: product:<id>:stock   product:<id>:register   product:<id>:buyers
-- ARGV    for each product: version ("-": nothing to push), stock, opens_at, closes_at, per_user_limit, max_quantity,
--         state
-- returns for each product: 1 applied (it was newer), 0 not newer, -1 not loaded, -2 no hash
-- law     An older version changes nothing, so the call may be repeated and may come in any order.
--#include register.lua

local reply = {}
for i = 1, #KEYS / 3 do
    local stock_key, register, buyers, a = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], 7 * (i - 1) + 1
    local found = redis.pcall('HEXISTS', register, 'stock')
    if type(found) == 'table' then
        reply[i] = -2
    elseif found == 0 then
        reply[i] = -1
    else
        reply[i] = push(stock_key, register, buyers, 0, unpack(ARGV, a, a + 6)) and 1 or 0
    end
end
return reply
