#!lua flags=allow-oom
-- rebuild_end: the end of a rebuild, or of its fence; the gate is open.
--
-- KEYS    1 gate
-- ARGV    1 token of this rebuild, or "*": whichever there is (it is given up)   2 "fence": that alone; "all"
-- returns 1 done, 0 there is none to give up, -1 when another rebuild began meanwhile, or this one was given up
-- law     The steps of a rebuild whose token is gone are refused.
local gate = KEYS[1]
local held = redis.call('HMGET', gate, 'rebuild', 'state')
if ARGV[1] == '*' then
    if not held[1] and held[2] ~= 'rebuilding' then return 0 end
elseif held[1] ~= ARGV[1] then
    return -1
end
redis.call('HDEL', gate, 'state', 'fence')
if ARGV[2] == 'all' then redis.call('HDEL', gate, 'rebuild', 'rebuild_buyers', 'rebuild_silent') end
return 1
