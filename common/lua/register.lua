-- The versioned register, for the scripts settle, push, transition, requeue and dead_drop (pasted in where `--#include`
-- stands).
--
--   whole(text)   text: of a field, or false. Returns a number, or nil
--   set_expiry(key, closes_at)   key: of a hash of buyers; closes_at: ms, 0: the sale has no end
--   push(stock_key, register, buyers, released, version, stock, opens_at, closes_at, limit, max_quantity,
--        state)   three names of keys; released: units, a number; version .. state: words of the call, version "-" for
--                 "nothing to push". Returns true where what was pushed was newer and was taken, else false
--
-- register.stock and register.version are what MySQL said last; in_flight is what Redis alone knows. While `recovering`
-- stands in the register (loss.lua), version and stock prove what MySQL lost: nothing that is pushed replaces them.

-- A whole number; nil for what is none (Lua itself would take "nan" and "1e300" too), or is too long to be exact.
local function whole(text)
    return text and #text <= 15 and string.find(text, '^-?%d+$') and tonumber(text) or nil
end

-- The count of buyers is kept until the sale is over and the last order of it must be paid: the longest time to pay that
-- a worker can be configured with.
local PAYMENT_MS = 168 * 3600 * 1000

local function set_expiry(key, closes_at)
    if closes_at > 0 then
        redis.pcall('PEXPIREAT', key, string.format('%.0f', closes_at + PAYMENT_MS))
    else
        redis.pcall('PERSIST', key)
    end
end

-- A limit for each user, new in the register: nobody counted what was bought before, so the product answers 503 until
-- that is done (repair/buyers_count.h). Without a limit nothing counts the buyers any more, and their hash goes.
local function set_limit(register, buyers, before, limit, closes_at)
    if limit > 0 then
        if before <= 0 then redis.call('HSET', register, 'buyers', 'counting') end
        set_expiry(buyers, closes_at)
    elseif before > 0 then
        redis.call('HDEL', register, 'buyers')
        redis.call('UNLINK', buyers)
    end
end

-- Takes `released` units out of flight, applies what MySQL says if it is newer, and sets the stock from
-- the register. Does nothing for a product that has no register, or one that is no hash: a broken product
-- must not keep the others of the same call from their due. A register whose stock is no number takes the
-- same version again. True when the push was applied.
local function push(stock_key, register, buyers, released, version, stock, opens_at, closes_at, limit, max_quantity,
                    state)
    local now = redis.pcall('HMGET', register, 'version', 'in_flight', 'stock', 'recovering', 'gone', 'per_user_limit')
    if now.err or not now[3] then return false end
    local in_flight = math.max(0, (whole(now[2]) or 0) - released)
    local units, held = whole(now[3]), whole(now[1]) or -1
    local newer = version ~= '-' and not now[4]
                  and (tonumber(version) > held or not units and tonumber(version) == held)
    if newer then
        redis.call('HSET', register, 'version', version, 'stock', stock, 'opens_at', opens_at,
                   'closes_at', closes_at, 'per_user_limit', limit, 'max_quantity', max_quantity, 'state', state)
        if now[5] then redis.call('HDEL', register, 'gone') end
        units = tonumber(stock)
        set_limit(register, buyers, tonumber(now[6] or '0') or 0, tonumber(limit) or 0, tonumber(closes_at) or 0)
    end
    redis.call('HSET', register, 'in_flight', in_flight)
    redis.call('SET', stock_key, math.max(0, (units or 0) - in_flight))
    return newer
end
