#!lua flags=no-writes,allow-oom
-- find_order: the gate's record of an order.
--
-- KEYS    1 orders:<today>   2 orders:<yesterday>   3 orders:<tomorrow>, written by a clock that is ahead
-- ARGV    1 identifier
-- returns the record, or nil
for _, bucket in ipairs(KEYS) do
    local record = redis.call('HGET', bucket, ARGV[1])
    if record then return record end
end
return false
