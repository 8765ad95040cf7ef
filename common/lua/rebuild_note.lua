#!lua flags=allow-oom
-- rebuild_note: a rebuild notes in the gate how far it is.
--
-- KEYS    1 gate
-- ARGV    1 token of this rebuild   2 a product id: its buyers, and those of lower ids, are counted
-- returns 1, or -1 when another rebuild began meanwhile, or this one was given up
-- law     The same call again changes nothing.
if redis.call('HGET', KEYS[1], 'rebuild') ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'rebuild_buyers', ARGV[2])
return 1
