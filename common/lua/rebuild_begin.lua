#!lua flags=allow-oom
-- rebuild_begin: a rebuild begins, or takes over from one that did not end.
--
-- KEYS    1 gate
-- ARGV    1 token of this rebuild
-- returns { 1 when a rebuild before it had not ended, else 0, the last product whose buyers that one counted ("": none) }
-- law     Whoever began last holds the gate: the steps of an earlier one are refused from now on. The gate is open
--         while a rebuild looks for what there is to do; it closes what it must (rebuild_fence). What an earlier one closed
--         and did not come to stays closed until then.
local gate = KEYS[1]
local before = redis.call('HMGET', gate, 'state', 'rebuild', 'rebuild_buyers', 'fence')
redis.call('HDEL', gate, 'rebuild_silent')
if not before[4] then redis.call('HDEL', gate, 'state') end
redis.call('HSET', gate, 'rebuild', ARGV[1])
return { (before[1] == 'rebuilding' or before[2]) and 1 or 0, before[3] or '' }
