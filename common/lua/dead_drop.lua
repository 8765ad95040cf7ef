#!lua flags=allow-oom
-- dead_drop: takes a dead letter away and gives its units back.
--
-- KEYS    1 dead-letter-queue   2 orders:<day>   3 product:<id>:stock   4 product:<id>:register
--         5 product:<id>:buyers   6 gate
-- ARGV    1 id of the dead letter   2 units released   3 epoch: of the gate, as it was read before the row was committed
--         4 version ("-": nothing to push), stock, opens_at, closes_at, per_user_limit, max_quantity, state
--         11 records r, then r times: identifier, record · then for each buyer: user, units, identifier
--         ("-": the units come back in any case; else as the record that stands and the new one say)
-- returns 1 dropped by this call, 0 no such letter, -1 the epoch is another one (settle.lua): nothing was done
-- law     The row that says why is committed before. Units come back once: only by the call that deletes the
--         letter. The stock is set from the register; nothing is created. A record that says more already stays.
--#include register.lua
--#include record.lua
--#include buyers.lua

local dead, bucket, stock, register, buyers, gate = unpack(KEYS)
local first_record, records = 12, tonumber(ARGV[11])
local first_buyer = first_record + 2 * records

local held = redis.pcall('HGET', gate, 'epoch')
if (type(held) == 'string' and held or '0') ~= ARGV[3] then return -1 end
if redis.call('XDEL', dead, ARGV[1]) ~= 1 then return 0 end
push(stock, register, buyers, tonumber(ARGV[2]), unpack(ARGV, 4, 10))
local kept, counting = buyers_kept(register, buyers)
if kept then settle_buyers(bucket, buyers, first_record, first_buyer, #ARGV) end
write_records(bucket, first_record, first_buyer - 1)
if counting then
    journal_records(bucket, buyers, string.match(stock, 'product:(%d+):stock$'), first_record, first_buyer - 1)
end
return 1
