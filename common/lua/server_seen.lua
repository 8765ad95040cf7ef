#!lua flags=allow-oom
-- server_seen: a worker opened a session on a MySQL server that can be written.
--
-- KEYS    1 gate
-- ARGV    1 name of the server, alike in all its sessions   2 when it started, in seconds since 1970
-- returns the epoch
-- law     Another server than the last one, or one that started anew, may lack what was committed before. The epoch is
--         raised, so that nobody settles any more what was committed on the old one (settle.lua): such a batch runs
--         again, on the new one. And the records are to be compared with their rows (`compare` counts how often
--         that was asked for, `compared` is what it was when the last recovery began that ended). May run twice: the second time the server is known.
local TOLERANCE = 5   -- seconds by which two readings of the same start may differ

local gate = KEYS[1]
local held = redis.call('HMGET', gate, 'server', 'server_started', 'epoch')
local same = held[1] == ARGV[1] and math.abs((tonumber(held[2] or '') or 0) - tonumber(ARGV[2])) <= TOLERANCE
if same then return tonumber(held[3] or '0') or 0 end
redis.call('HSET', gate, 'server', ARGV[1], 'server_started', ARGV[2])
if not held[1] then return tonumber(held[3] or '0') or 0 end
redis.call('HINCRBY', gate, 'compare', 1)
return redis.call('HINCRBY', gate, 'epoch', 1)
