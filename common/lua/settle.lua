#!lua flags=allow-oom
-- settle: takes decided jobs off the queue and pushes the stock that MySQL committed.
--
-- KEYS    1 order-processing-queue   2 gate   3 dead-letter-queue
--         then B buckets orders:<day>
--         then for each product: product:<id>:stock   product:<id>:register   product:<id>:buyers
-- ARGV    1 consumer group   2 buckets B   3 products P   4 epoch: of the gate, as it was read before the entries were
--         then for each product: version ("-": nothing to push), stock, opens_at, closes_at,
--         per_user_limit, max_quantity, state
--         then for each entry: id, nonce, product 1..P, bucket 1..B, units released, orders,
--         records r, buyers b, dead letters d,
--         then r times: identifier, record
--         then b times: user, units, identifier ("-": the units come back in any case; else as the
--         change of the order's record says: taken_by() of record.lua)
--         then d times: units, reason, "<identifier> <record>"
-- returns entries settled by this call, or -1: the epoch is another one, and nothing was done
-- law     An entry counts only once: the same entry (nonce), still pending (XACK = 1). Never creates
--         a register, a stock or a bucket. Runs when Redis is out of memory. The stock is always
--         set from the register: that is the compensating increment. What may fail is tried before the
--         first write; a key of another type (buyers, bucket, gate) harms nothing but itself. A record that
--         says more already (paid, cancelled …) stays. A raised epoch says that MySQL may have lost what
--         was committed: then nothing is taken off the queue before it was found committed again.
--#include register.lua
--#include record.lua
--#include buyers.lua

local stream, gate, dead = KEYS[1], KEYS[2], KEYS[3]
local group, buckets, products = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function product_key(p) return 3 + buckets + 3 * (p - 1) + 1 end

local function same_entry(id, nonce)
    local found = redis.call('XRANGE', stream, id, id)[1]
    if not found then return false end
    local fields = found[2]
    for i = 1, #fields, 2 do
        if fields[i] == 'nonce' then return fields[i + 1] == nonce end
    end
    return false
end

local function take_off(id, nonce)
    if not same_entry(id, nonce) then return false end
    if redis.call('XACK', stream, group, id) ~= 1 then return false end
    redis.call('XDEL', stream, id)
    return true
end

local held = redis.pcall('HGET', gate, 'epoch')
if (type(held) == 'string' and held or '0') ~= ARGV[4] then return -1 end
local function product_id(k) return string.match(KEYS[k], 'product:(%d+):stock$') end

-- Read once for each product: nothing of it changes in this call before the pushes.
local kept_of, counting_of = {}, {}
local function buyers_of(product, k)
    if kept_of[product] == nil then kept_of[product], counting_of[product] = buyers_kept(KEYS[k + 1], KEYS[k + 2]) end
    return kept_of[product], counting_of[product]
end

redis.call('XLEN', dead)   -- another type is an error, here and not between the writes
local settled, left_queue = 0, 0
local released = {}
local a = 5 + 7 * products
while a <= #ARGV do
    local id, nonce, product, bucket = ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2]), KEYS[3 + tonumber(ARGV[a + 3])]
    local units, orders = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
    local r, b, d = tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8])
    local first_record = a + 9
    local first_buyer = first_record + 2 * r
    local first_dead = first_buyer + 3 * b
    if take_off(id, nonce) then
        local k = product_key(product)
        settled, left_queue = settled + 1, left_queue + orders
        released[product] = (released[product] or 0) + units
        local kept, counting = buyers_of(product, k)
        if kept then settle_buyers(bucket, KEYS[k + 2], first_record, first_buyer, first_dead - 1) end
        write_records(bucket, first_record, first_buyer - 1)
        if counting then journal_records(bucket, KEYS[k + 2], product_id(k), first_record, first_buyer - 1) end
        for i = first_dead, first_dead + 3 * d - 1, 3 do
            redis.call('XADD', dead, '*', 'nonce', nonce, 'product', product_id(k), 'units', ARGV[i], 'count', 1,
                       'day', string.match(bucket, 'orders:(.*)$'),
                       'reason', ARGV[i + 1], 'entry', id, 'orders', ARGV[i + 2])
        end
    end
    a = first_dead + 3 * d
end

for p = 1, products do
    local k, v = product_key(p), 5 + 7 * (p - 1)
    push(KEYS[k], KEYS[k + 1], KEYS[k + 2], released[p] or 0, ARGV[v], unpack(ARGV, v + 1, v + 6))
end
if left_queue > 0 and redis.call('TYPE', gate).ok == 'hash' then
    local queued = tonumber(redis.call('HGET', gate, 'queued') or '0') or 0
    redis.call('HSET', gate, 'queued', math.max(0, queued - left_queue))
end
return settled
