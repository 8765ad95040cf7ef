#!lua flags=allow-oom
-- dead_drop: takes a dead letter away and gives its units back.
--
-- KEYS    1 dead-letter-queue   2 orders:<day>   3 product:<id>:stock   4 product:<id>:register
--         5 product:<id>:buyers
-- ARGV    1 id of the dead letter   2 units released
--         3 version ("-": nothing to push), stock, opens_at, closes_at, per_user_limit, max_quantity, state
--         10 records r, then r times: identifier, record · then for each buyer: user, units to give
--         back, identifier ("-": in any case; else not if its record says that the order ended)
-- returns 1 dropped by this call, 0 no such letter
-- law     The row that says why is committed before. Units come back once: only by the call that deletes the
--         letter. The stock is set from the register; nothing is created.
--#include register.lua
--#include record.lua

local dead, bucket, stock, register, buyers = unpack(KEYS)
local first_record, records = 11, tonumber(ARGV[10])
local first_buyer = first_record + 2 * records

if redis.call('XDEL', dead, ARGV[1]) ~= 1 then return 0 end
push(stock, register, tonumber(ARGV[2]), unpack(ARGV, 3, 9))
for i = first_buyer, #ARGV, 3 do
    local bought = redis.pcall('HGET', buyers, ARGV[i])
    local given = ARGV[i + 2] ~= '-' and has_ended(redis.pcall('HGET', bucket, ARGV[i + 2]))
    if type(bought) == 'string' and not given then
        if (tonumber(bought) or 0) > tonumber(ARGV[i + 1]) then
            redis.call('HSET', buyers, ARGV[i], tonumber(bought) - tonumber(ARGV[i + 1]))
        else
            redis.call('HDEL', buyers, ARGV[i])
        end
    end
end
if records > 0 and redis.call('TYPE', bucket).ok == 'hash' then
    redis.call('HSET', bucket, unpack(ARGV, first_record, first_buyer - 1))
end
return 1
