#!lua flags=allow-oom
-- lease: a task that one process at a time does for all.
--
-- KEYS    1 workers
-- ARGV    1 task   2 owner, a word   3 number of this call, another one each time; "-": gives the lease back
--         4 the lease as this owner saw it unchanged for long enough; "-": it did not
-- returns 1 the lease is the owner's (or was given back); else the lease as it stands, "<owner> <number>"
-- law     One step: of two that want it, one gets it. Silence is measured by the caller, by his own clock; here only the
--         value that he saw is compared. Two processes that do the task at once cost time and do no harm.

local workers, field = KEYS[1], 'lease:' .. ARGV[1]
local now = redis.call('HGET', workers, field)
local mine = not now or string.match(now, '^%S+') == ARGV[2]

if ARGV[3] == '-' then
    if mine then redis.call('HDEL', workers, field) end
    return 1
end
if not mine and now ~= ARGV[4] then return now end
redis.call('HSET', workers, field, ARGV[2] .. ' ' .. ARGV[3])
return 1
