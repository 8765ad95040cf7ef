#!lua flags=allow-oom
-- dead_retry: brings a dead letter back into the queue.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate
-- ARGV    1 id of the dead letter   2 a fresh nonce
-- returns orders enqueued, 0 no such letter, -1 it does not read as a job, -2 a rebuild is under way
-- law     The units stay in flight: the letter counted them and the entry counts them. The entry is added
--         before the letter goes, in one step.
local stream, dead, gate = KEYS[1], KEYS[2], KEYS[3]

if redis.call('HGET', gate, 'state') == 'rebuilding' then return -2 end
local queued = tonumber(redis.call('HGET', gate, 'queued') or '0') or 0
local found = redis.call('XRANGE', dead, ARGV[1], ARGV[1])[1]
if not found then return 0 end
local letter = {}
for i = 1, #found[2], 2 do letter[found[2][i]] = found[2][i + 1] end
local count = tonumber(letter.count)
if not (letter.product and tonumber(letter.units) and count and letter.day and letter.orders) then return -1 end
redis.call('XADD', stream, '*', 'nonce', ARGV[2], 'product', letter.product, 'units', letter.units,
           'count', letter.count, 'day', letter.day, 'orders', letter.orders)
redis.call('XDEL', dead, ARGV[1])
redis.call('HSET', gate, 'queued', queued + count)
return count
