#!lua flags=no-writes,allow-oom
-- find_order: the gate's record of an order.
--
-- KEYS    1 orders:<today>   2 orders:<yesterday>
-- ARGV    1 identifier
-- returns the record, or nil
return redis.call('HGET', KEYS[1], ARGV[1]) or redis.call('HGET', KEYS[2], ARGV[1])
