#!lua flags=allow-oom
-- rebuild_end: sets the gate's counts and opens it.
--
-- KEYS    1 order-processing-queue   2 gate
-- ARGV    1 token of this rebuild   2 products loaded
-- returns orders in the queue, or -1 when the fence is held by another rebuild
--#include orders_in_queue.lua

local stream, gate = KEYS[1], KEYS[2]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
local queued = orders_in_queue(stream)
redis.call('HSET', gate, 'products', ARGV[2], 'queued', queued)
redis.call('HDEL', gate, 'state', 'rebuild')
return queued
