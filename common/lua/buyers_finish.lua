#!lua flags=allow-oom
-- buyers_finish: ends a count of a product's buyers: the new hash takes the old one's place, and the product sells.
--
-- KEYS    1 product:<id>:register   2 product:<id>:buyers   3 product:<id>:buyers:new
-- ARGV    1 token of this count   2 lines of the journal as they were read
-- returns 1 done, 0 the journal is longer: read on, -1 another count began, the hash was lost, or it is not wanted
-- law     One step, so what is told of an order comes wholly before it, and is in the journal, or wholly after it, and
--         moves the new hash. The old one is unlinked, not deleted. Run twice, the second finds no token.
--#include register.lua

local register, buyers, new = KEYS[1], KEYS[2], KEYS[3]

local at = redis.pcall('HMGET', buyers, 'count', 'moves')
local f = redis.pcall('HMGET', register, 'buyers', 'per_user_limit', 'closes_at')
if at.err or f.err or at[1] ~= ARGV[1] or f[1] ~= 'counting' or (tonumber(f[2] or '0') or 0) <= 0 then return -1 end
if (tonumber(at[2] or '0') or 0) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', new, '0', 0)
redis.call('UNLINK', buyers)
redis.call('RENAME', new, buyers)
set_expiry(buyers, tonumber(f[3] or '0') or 0)
redis.call('HSET', register, 'buyers', 'complete')
return 1
