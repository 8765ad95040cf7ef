#!lua flags=no-writes,allow-oom
-- audit_queue: the queue and what the gate counts of it, read at one moment. Writes nothing.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate
-- ARGV    1 consumer group   2 ms after which an entry that was read and not settled is overdue   3 the most to count
-- returns { entries, dead letters, orders in the queue (-1: it is too long to be read in one step), orders queued by the
--         gate's count, products by the gate's count, 1 while the gate is being rebuilt else 0, entries overdue }
--         A count that is no number is an empty string.
--#include orders_in_queue.lua

local SHORT = 1000   -- entries

local stream, dead, gate = KEYS[1], KEYS[2], KEYS[3]
local length = redis.call('XLEN', stream)
local state = redis.call('HMGET', gate, 'queued', 'products', 'state')
local function count(text)
    if not text then return '0' end
    return string.find(text, '^%d+$') and text or ''
end

local overdue = redis.pcall('XPENDING', stream, ARGV[1], 'IDLE', ARGV[2], '-', '+', ARGV[3])
return {
    length, redis.call('XLEN', dead), length <= SHORT and orders_in_queue(stream) or -1, count(state[1]),
    count(state[2]), state[3] == 'rebuilding' and 1 or 0, overdue.err and 0 or #overdue,
}
