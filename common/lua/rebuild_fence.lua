#!lua flags=allow-oom
-- rebuild_fence: a rebuild closes the products that it did not open before (rebuild_open).
--
-- KEYS    1 gate
-- ARGV    1 token of this rebuild
-- returns 1, or -1 when another rebuild began meanwhile, or this one was given up
-- law     The fence bears the token of the rebuild that set it, so one that takes over closes nothing that was opened,
--         until it sets its own. The same call again changes nothing.
if redis.call('HGET', KEYS[1], 'rebuild') ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'state', 'rebuilding', 'fence', ARGV[1])
return 1
