#!lua flags=allow-oom
-- correct_counts: puts the gate's two counts right when they drifted (keys deleted or trimmed by hand).
--
-- KEYS    1 order-processing-queue   2 gate
-- ARGV    1 count of products as it was seen   2 count of products as it should be
--         3 orders to be added to `queued` where the queue is long, as passes over it have shown
-- returns counts corrected, 0 .. 2
-- law     The count of products changes only if it still is what was seen. A short queue is summed here, in one step,
--         so a difference is an error and not an order on its way.
--#include orders_in_queue.lua

local SHORT = 1000   -- entries

local stream, gate = KEYS[1], KEYS[2]
local corrected = 0

local function set_count(name, right)
    if tonumber(redis.call('HGET', gate, name) or '0') == right then return end
    redis.call('HSET', gate, name, right)
    corrected = corrected + 1
end

if tonumber(redis.call('HGET', gate, 'products') or '0') == tonumber(ARGV[1]) then
    set_count('products', tonumber(ARGV[2]))
end
if redis.call('XLEN', stream) <= SHORT then
    set_count('queued', orders_in_queue(stream))
elseif tonumber(ARGV[3]) ~= 0 then
    set_count('queued', math.max(0, (tonumber(redis.call('HGET', gate, 'queued') or '0') or 0) + tonumber(ARGV[3])))
end
return corrected
