#!lua flags=no-writes,allow-oom
-- get_stock: what the gate may still sell of a product.
--
-- KEYS    1 product:<id>:stock   2 product:<id>:register
-- returns { stock, register stock, in_flight, version, recovering }, each nil where it is missing
local register = redis.call('HMGET', KEYS[2], 'stock', 'in_flight', 'version', 'recovering')
return { redis.call('GET', KEYS[1]), register[1], register[2], register[3], register[4] }
