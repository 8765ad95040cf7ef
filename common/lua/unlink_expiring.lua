#!lua flags=allow-oom
-- unlink_expiring: keys that are about to expire go now, by UNLINK, which frees them beside the commands. A large one
-- that expires by itself may hold Redis for a second (lazyfree-lazy-expire).
--
-- KEYS    keys, at most 256
-- ARGV    1 ms: only those that would expire within that time
--         then for each key: the time from which on nobody needs it, in ms of Unix time, by Redis's clock
-- returns keys that went
-- law     A key without an expiry stays, and one that is still needed by Redis's clock or by the caller's, who asks only
--         for those that are not.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local gone = 0

for i, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    if left >= 0 and left < tonumber(ARGV[1]) and now >= tonumber(ARGV[1 + i]) then
        gone = gone + redis.call('UNLINK', key)
    end
end
return gone
