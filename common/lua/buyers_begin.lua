#!lua flags=allow-oom
-- buyers_begin: begins to count a product's buyers anew (repair/buyers_count.h): from now on there is a journal.
--
-- KEYS    1 product:<id>:register   2 product:<id>:buyers   3 product:<id>:buyers:new
-- ARGV    1 token of this count
-- returns lines that the journal has already, -1 nothing to count: not loaded, without a limit, recovering
-- law     Whoever began last goes on: the steps of an earlier count are refused. What is in the hash stays in use, and the
--         product sells on or not, as it did. A key of another type goes: it can hold neither units nor a journal.
--         May run twice.
local register, buyers, new = KEYS[1], KEYS[2], KEYS[3]

local f = redis.pcall('HMGET', register, 'stock', 'per_user_limit', 'recovering')
if f.err or not f[1] or f[3] or (tonumber(f[2] or '0') or 0) <= 0 then return -1 end
if redis.call('TYPE', buyers).ok ~= 'hash' then redis.call('UNLINK', buyers) end
redis.call('UNLINK', new)
redis.call('HSET', buyers, 'count', ARGV[1])
redis.call('PERSIST', buyers)
return tonumber(redis.call('HGET', buyers, 'moves') or '0') or 0
