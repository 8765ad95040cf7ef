-- Records of orders and the units of their buyers, for the scripts settle, transition, dead_drop and requeue (pasted
-- in where `--#include` stands).
--
--   has_ended(record)             true where the record says that its order ended; record: text, or false
--   is_later(record, than)        true where the text `record` says something later than `than` (text, or false)
--   taken_by(record, old, units)  returns units that the buyer holds more (negative: less)
--   hold(key, user, units)        changes what a user holds of a product; returns nothing
--   write_records(bucket, first, last)   by words of the call (ARGV); returns nothing
--
-- No event leads back to an earlier status, so of two statuses the one of higher rank is the later one: words of
-- different workers may come in any order.
local RANK = {
    queued = 0, pending_payment = 1, failed = 2, failed_payment = 2, cancelled = 2, paid = 3, refund_pending = 3,
    completed = 4, refunded = 5,
}

-- The buyer's count at the gate holds the units of an order as long as its record says one of these. So whoever changes
-- a record changes the count by what that means, and the order of calls, or one that was lost, does no harm.
local HOLDS = { queued = 1, pending_payment = 1, paid = 1, completed = 1 }

-- Does a record say that its order ended? One that is missing, or no record, does not.
local function has_ended(record)
    local status = type(record) == 'string' and string.match(record, '^%S+')
    return status and RANK[status] and not HOLDS[status] or false
end

-- Is what a record says later than what another one says? A record that is missing or no record is the earliest.
local function is_later(record, than)
    local status = type(than) == 'string' and string.match(than, '^%S+')
    return not status or (RANK[string.match(record, '^%S+')] or 0) > (RANK[status] or -1)
end

-- Units that the buyer holds more (or less) when a record is replaced: by a later one only. An order without a record
-- is in flight, so the gate counted it.
local function taken_by(record, old, units)
    if not is_later(record, old) then return 0 end
    return (has_ended(old) and units or 0) - (has_ended(record) and units or 0)
end

-- Changes what a user holds of a product, at least to nothing. A key of another type stays as it is.
local function hold(key, user, units)
    local held = redis.pcall('HGET', key, user)
    if units == 0 or type(held) == 'table' then return end
    local now = (tonumber(held or '0') or 0) + units
    if now > 0 then
        redis.pcall('HSET', key, user, string.format('%.0f', now))
    elseif held then
        redis.pcall('HDEL', key, user)
    end
end

-- Records first .. last of ARGV (identifier, record, identifier …) of a bucket, where they are later. Makes no bucket.
local function write_records(bucket, first, last)
    if first > last or redis.call('TYPE', bucket).ok ~= 'hash' then return end
    local ids, words = {}, {}
    for i = first, last, 2 do ids[#ids + 1] = ARGV[i] end
    for i, found in ipairs(redis.call('HMGET', bucket, unpack(ids))) do
        local at = first + 2 * (i - 1)
        if is_later(ARGV[at + 1], found) then words[#words + 1], words[#words + 2] = ARGV[at], ARGV[at + 1] end
    end
    if #words > 0 then redis.call('HSET', bucket, unpack(words)) end
end
