#!lua flags=allow-oom
-- set_buyers: the units that each user holds of a product, counted anew. A step of a rebuild.
--
-- KEYS    1 gate   2 product:<id>:register   3 product:<id>:buyers
-- ARGV    1 token of this rebuild   2 units in flight as they were counted
--         then for each user: user, units
-- returns 1 done, 0 a job was settled since: count again, -1 when the fence is held by another rebuild
-- law     Under the fence nothing comes into flight, so equal units in flight mean the same jobs.
local FIELDS_MOST = 4000   -- Lua's unpack() ends near 8000

local gate, register, buyers = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
if tonumber(redis.call('HGET', register, 'in_flight') or '0') ~= tonumber(ARGV[2]) then return 0 end
redis.call('DEL', buyers)
for i = 3, #ARGV, FIELDS_MOST do
    redis.call('HSET', buyers, unpack(ARGV, i, math.min(#ARGV, i + FIELDS_MOST - 1)))
end
return 1
