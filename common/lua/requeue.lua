#!lua flags=allow-oom
-- requeue: brings accepted orders that have a record but neither a row nor a place in the queue back into
-- the queue, and puts records right that fell behind their row. A step of a rebuild.
--
-- KEYS    1 order-processing-queue   2 gate   3 orders:<day>
--         then for each group (the orders of one product): product:<id>:stock   product:<id>:register
-- ARGV    1 token of this rebuild   2 <day>
--         then for each group: product id, nonce, 1 enqueue or 0 records only, orders n,
--         then n times: identifier, record as it was read, record as it shall be, quantity
-- returns { orders enqueued, records changed }, or -1 when the fence is held by another rebuild
-- law     Only an order whose record still is what was read; that it was not in the queue was seen under the
--         fence, so it still is not. The entry is added before anything is counted; stock follows
--         from the register.
--#include register.lua

local stream, gate, bucket = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
local queued = tonumber(redis.call('HGET', gate, 'queued') or '0') or 0
local enqueued, changed, k, a = 0, 0, 4, 3

while a <= #ARGV do
    local product, nonce, enqueue, n = ARGV[a], ARGV[a + 1], ARGV[a + 2] == '1', tonumber(ARGV[a + 3])
    local words, fields, units = {}, {}, 0
    for i = a + 4, a + 3 + 4 * n, 4 do
        if redis.call('HGET', bucket, ARGV[i]) == ARGV[i + 1] then
            words[#words + 1] = ARGV[i] .. ' ' .. ARGV[i + 2]
            fields[#fields + 1], fields[#fields + 2] = ARGV[i], ARGV[i + 2]
            units = units + tonumber(ARGV[i + 3])
        end
    end
    if #words > 0 then
        if enqueue then
            redis.call('XADD', stream, '*', 'nonce', nonce, 'product', product, 'units', units, 'count', #words,
                       'day', ARGV[2], 'orders', table.concat(words, ' '))
            queued = queued + #words
            redis.call('HSET', gate, 'queued', queued)
            push(KEYS[k], KEYS[k + 1], nil, -units, '-')
            enqueued = enqueued + #words
        end
        redis.call('HSET', bucket, unpack(fields))
        changed = changed + #words
    end
    a, k = a + 4 + 4 * n, k + 2
end
return { enqueued, changed }
