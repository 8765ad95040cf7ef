#!lua flags=allow-oom
-- set_buyers: the units that each user holds of a product, counted anew. A step of a rebuild.
--
-- KEYS    1 gate   2 product:<id>:register   3 product:<id>:buyers   4 … buckets orders:<day>
-- ARGV    1 token of this rebuild   2 units in flight as they were counted   3 orders E that their records decide on
--         then E times: identifier, user, units, 1 when it is counted also where it has no record, else 0
--         then for each user: user, units, without those of the orders before
-- returns 1 done, 0 a job was settled since: count again, -1 when the fence is held by another rebuild
-- law     An order whose row and record may differ (in flight, or moved and the gate not informed) is counted as long
--         as its record does not show that it ended: what changes the record moves the units. Under the fence
--         nothing comes into flight, so equal units in flight mean the same jobs.
--#include record.lua
local FIELDS_MOST = 4000   -- Lua's unpack() ends near 8000

local gate, register, buyers = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
if tonumber(redis.call('HGET', register, 'in_flight') or '0') ~= tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', buyers)
redis.call('HSET', buyers, 'counted', 1)
local first_user = 4 + 4 * tonumber(ARGV[3])
for i = first_user, #ARGV, FIELDS_MOST do
    redis.call('HSET', buyers, unpack(ARGV, i, math.min(#ARGV, i + FIELDS_MOST - 1)))
end
for i = 4, first_user - 1, 4 do
    local counted, ended = ARGV[i + 3] == '1', false
    for b = 4, #KEYS do
        local record = redis.pcall('HGET', KEYS[b], ARGV[i])
        if type(record) == 'string' then counted, ended = true, ended or has_ended(record) end
    end
    if counted and not ended then redis.call('HINCRBY', buyers, ARGV[i + 1], ARGV[i + 2]) end
end
if redis.call('HEXISTS', register, 'stock') == 1 then redis.call('HSET', register, 'buyers', 'complete') end
return 1
