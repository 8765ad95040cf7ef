#!lua flags=allow-oom
-- bury: moves a job that cannot be read as one to the dead letters, as it is.
--
-- KEYS    1 order-processing-queue   2 gate   3 dead-letter-queue
-- ARGV    1 consumer group   2 entry id   3 reason
-- returns 1 moved, 0 when it is not pending (somebody else moved or settled it)
-- law     Nothing is released: the units stay in flight until somebody has looked at the dead letter.
--         The dead letter is written before the entry is taken off.
local FIELDS_MOST = 4000   -- Lua's unpack() ends near 8000

local stream, gate, dead = KEYS[1], KEYS[2], KEYS[3]
local group, id, reason = ARGV[1], ARGV[2], ARGV[3]

if #redis.call('XPENDING', stream, group, id, id, 1) == 0 then return 0 end
local found = redis.call('XRANGE', stream, id, id)[1]
if found then
    local letter, orders = { 'reason', reason, 'entry', id }, 0
    local fields = found[2]
    for i = 1, #fields, 2 do
        if fields[i] == 'count' then orders = tonumber(fields[i + 1]) or 0 end
        if #letter < FIELDS_MOST then
            letter[#letter + 1], letter[#letter + 2] = fields[i], fields[i + 1]
        end
    end
    redis.call('XADD', dead, '*', unpack(letter))
    local queued = redis.pcall('HGET', gate, 'queued')
    queued = type(queued) == 'string' and tonumber(queued) or 0
    if orders > 0 and queued > 0 then redis.call('HSET', gate, 'queued', math.max(0, queued - orders)) end
end
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return 1
