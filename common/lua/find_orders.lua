#!lua flags=no-writes,allow-oom
-- find_orders: the gate's records of several orders.
--
-- KEYS    1 orders:<today>   2 orders:<yesterday>   3 orders:<tomorrow>, written by a clock that is ahead
-- ARGV    identifiers, at most 1000
-- returns for each its record, or nil
local found = {}
for b = 1, #KEYS do
    local records = redis.call('HMGET', KEYS[b], unpack(ARGV))
    for i = 1, #ARGV do found[i] = found[i] or records[i] end
end
return found
