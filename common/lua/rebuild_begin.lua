#!lua flags=allow-oom
-- rebuild_begin: closes the gate for a rebuild (it answers 503 to new orders).
--
-- KEYS    1 gate
-- ARGV    1 token of this rebuild
-- returns 1 when a rebuild before it had not ended, else 0
-- law     Whoever began last holds the fence: the steps of an earlier one are refused from now on.
local before = redis.call('HGET', KEYS[1], 'state') == 'rebuilding' and 1 or 0
redis.call('HSET', KEYS[1], 'state', 'rebuilding', 'rebuild', ARGV[1])
return before
