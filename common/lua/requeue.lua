#!lua flags=allow-oom
-- requeue: brings accepted orders that have a record but neither a row nor a place in the queue back into
-- the queue, and puts records right that do not say what their row says. A step of a rebuild.
--
-- KEYS    1 order-processing-queue   2 gate   3 orders:<day>
--         then for each group (the orders of one product): product:<id>:stock   product:<id>:register
--         product:<id>:buyers
-- ARGV    1 token of this rebuild   2 <day>
--         then for each group: product id, nonce, 1 enqueue or 0 records only, orders n,
--         then n times: identifier, record as it was read, record as it shall be, quantity
-- returns { orders enqueued, records changed }, or -1 when another rebuild began meanwhile, or this one was given up
-- law     Only an order whose record still is what was read. The entry is added before anything is counted; stock
--         follows from the register. The buyer's units move with the record, by what its old and its new status hold,
--         as in settle and transition: whoever of them comes later finds the record changed, and moves nothing; and a
--         count of buyers that is under way is told (buyers.lua).
--         Run again after a lost reply it finds other records, and does nothing.
--#include register.lua
--#include record.lua
--#include buyers.lua

local stream, gate, bucket = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', gate, 'rebuild') ~= ARGV[1] then return -1 end
local queued = tonumber(redis.call('HGET', gate, 'queued') or '0') or 0
local enqueued, changed, k, a = 0, 0, 4, 3

-- What the buyer holds by the order from now on, where the gate counts the product's buyers.
local function move_units(kept, journaled, buyers, id, old, new, quantity)
    local status, user = string.match(new, '^(%S+) %S+ %S+ %S+ (%S+)')
    if kept then hold(buyers, user, (has_ended(old) and quantity or 0) - (has_ended(new) and quantity or 0)) end
    if journaled then journal(buyers, id, user, HOLDS[status] and quantity or 0) end
end

while a <= #ARGV do
    local product, nonce, enqueue, n = ARGV[a], ARGV[a + 1], ARGV[a + 2] == '1', tonumber(ARGV[a + 3])
    local words, fields, units = {}, {}, 0
    local kept, journaled = buyers_kept(KEYS[k + 1], KEYS[k + 2])
    for i = a + 4, a + 3 + 4 * n, 4 do
        if redis.call('HGET', bucket, ARGV[i]) == ARGV[i + 1] then
            words[#words + 1] = ARGV[i] .. ' ' .. ARGV[i + 2]
            fields[#fields + 1], fields[#fields + 2] = ARGV[i], ARGV[i + 2]
            units = units + tonumber(ARGV[i + 3])
            move_units(kept, journaled, KEYS[k + 2], ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
        end
    end
    if #words > 0 then
        if enqueue then
            redis.call('XADD', stream, '*', 'nonce', nonce, 'product', product, 'units', units, 'count', #words,
                       'day', ARGV[2], 'orders', table.concat(words, ' '))
            queued = queued + #words
            redis.call('HSET', gate, 'queued', queued)
            push(KEYS[k], KEYS[k + 1], KEYS[k + 2], -units, '-')
            enqueued = enqueued + #words
        end
        redis.call('HSET', bucket, unpack(fields))
        changed = changed + #words
    end
    a, k = a + 4 + 4 * n, k + 3
end
return { enqueued, changed }
