#!lua flags=allow-oom
-- recovery_end: a product was recovered: it is sold again.
--
-- KEYS    1 products:recovering   2 product:<id>:stock   3 product:<id>:register   4 product:<id>:buyers
-- ARGV    1 owner, or "*": an operator   2 product id   3 version, stock, opens_at, closes_at, per_user_limit,
--         max_quantity, state
-- returns 1 opened, 0 it is not being recovered (any more), -1 somebody else recovers it
-- law     The row with that version is committed, and its version is greater than the register's and the one of the
--         proof. Buyers are counted anew: what was counted meanwhile did not know the orders that were made again. Run
--         again after a lost reply it returns 0 and changes nothing.
--#include register.lua

local recovering, stock, register, buyers = unpack(KEYS)
local held = redis.pcall('HGET', register, 'recovering')
if type(held) ~= 'string' then
    redis.call('SREM', recovering, ARGV[2])
    return 0
end
if ARGV[1] ~= '*' and string.match(held, '^%S+') ~= ARGV[1] then return -1 end
redis.call('HDEL', register, 'recovering', 'gone')
redis.call('SREM', recovering, ARGV[2])
push(stock, register, buyers, 0, unpack(ARGV, 3, 9))
if (tonumber(redis.call('HGET', register, 'per_user_limit') or '0') or 0) > 0 then
    redis.call('HSET', register, 'buyers', 'counting')
end
return 1
