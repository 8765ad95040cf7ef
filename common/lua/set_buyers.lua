#!lua flags=allow-oom
-- set_buyers: the units that each user holds of a product, counted anew. A step of a rebuild.
--
-- KEYS    1 gate   2 product:<id>:register   3 product:<id>:buyers   4 … buckets orders:<day>
-- ARGV    1 token of this rebuild   2 units in flight as they were counted   3 ended orders in flight E
--         then E times: identifier, user, units
--         then for each user: user, units, without those of the orders before
-- returns 1 done, 0 a job was settled since: count again, -1 when the fence is held by another rebuild
-- law     An order that ended and is in flight is counted as long as its record does not say so: whoever makes the
--         record say it gives the units back. Under the fence nothing comes into flight, so equal units in flight
--         mean the same jobs.
--#include record.lua
local FIELDS_MOST = 4000   -- Lua's unpack() ends near 8000

local gate, register, buyers = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
if tonumber(redis.call('HGET', register, 'in_flight') or '0') ~= tonumber(ARGV[2]) then return 0 end
redis.call('DEL', buyers)
local first_user = 4 + 3 * tonumber(ARGV[3])
for i = first_user, #ARGV, FIELDS_MOST do
    redis.call('HSET', buyers, unpack(ARGV, i, math.min(#ARGV, i + FIELDS_MOST - 1)))
end
for i = 4, first_user - 1, 3 do
    local ended = false
    for b = 4, #KEYS do ended = ended or has_ended(redis.pcall('HGET', KEYS[b], ARGV[i])) end
    if not ended then redis.call('HINCRBY', buyers, ARGV[i + 1], ARGV[i + 2]) end
end
return 1
