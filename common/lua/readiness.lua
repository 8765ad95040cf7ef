#!lua flags=no-writes,allow-oom,allow-stale
-- readiness: can the gate sell, and does somebody make orders of what it accepts? Writes nothing.
--
-- KEYS    1 order-processing-queue   2 gate   3 workers   4 products:recovering
-- ARGV    1 ms of silence after which a worker is dead
-- returns { eviction policy ("unknown": INFO is not allowed), fault (empty, read_only or out_of_memory),
--         products loaded, state of the gate (open; rebuilding: it sells nothing; repairing: a rebuild has closed some
--         products; abandoned: the same, and it is dead), age in ms of the oldest job (0: none;
--         orders of a product that is being recovered wait for that, and do not count), workers alive, paused (0 or 1) }
-- law     Costs nothing that grows with the queue. What cannot be read counts as none. Where the clock stepped back, a
--         beat from before lies ahead of it and counts no more than one that is too old: the living renew theirs within
--         a second.

local stream, gate, workers, recovering = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead_after = tonumber(ARGV[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local info = redis.pcall('INFO', 'memory', 'replication')
local function known(field)
    return type(info) == 'string' and string.match(info, '\n' .. field .. ':([^\r\n]+)') or nil
end

local policy = known('maxmemory_policy') or 'unknown'
local most = tonumber(known('maxmemory') or '0')
local used = tonumber(known('used_memory') or '0') - tonumber(known('mem_not_counted_for_evict') or '0')
local fault = ''
if known('role') == 'slave' then
    fault = 'read_only'
elseif most > 0 and used > most and policy == 'noeviction' then
    fault = 'out_of_memory'
end

-- Of a product that stays closed the oldest orders may stand before all others for long: one product must not keep
-- every nginx from being ready.
local LOOKED_AT = 64

local function is_waiting(entry)
    for i = 1, #entry[2], 2 do
        if entry[2][i] == 'product' then
            return redis.pcall('SISMEMBER', recovering, entry[2][i + 1]) == 1
        end
    end
    return false
end

local age = 0
local none_recovering = redis.pcall('EXISTS', recovering) == 0
for _, entry in ipairs(redis.pcall('XRANGE', stream, '-', '+', 'COUNT', none_recovering and 1 or LOOKED_AT)) do
    if none_recovering or not is_waiting(entry) then
        age = math.max(0, now - tonumber(string.match(entry[1], '^%d+')))
        break
    end
end

local alive, paused = 0, 0
local beats = redis.pcall('HGETALL', workers)
for i = 1, #beats, 2 do
    if beats[i] == 'paused' then
        paused = 1
    elseif math.abs(now - (tonumber(beats[i + 1]) or 0)) <= dead_after then
        alive = alive + 1
    end
end

local held = redis.pcall('HMGET', gate, 'products', 'state', 'fence', 'rebuild_silent')
local state = held[2] or 'open'
if state == 'rebuilding' and held[3] then state = held[4] and 'abandoned' or 'repairing' end
return { policy, fault, math.max(0, tonumber(held[1] or '0') or 0), state, age, alive, paused }
