#!lua flags=allow-oom
-- buyers_page: a step of a count of a product's buyers: some users of the new hash; or the product is closed.
--
-- KEYS    1 product:<id>:register   2 product:<id>:buyers   3 product:<id>:buyers:new
-- ARGV    1 token of this count   2 close (0 or 1): answer 503 from now on
--         then for each user (at most a few hundred): user, units (0: he holds none)
-- returns 1 done, -1 another count began, or the hash was lost
-- law     Nobody reads the new hash before it is renamed. May run twice.
local register, buyers, new = KEYS[1], KEYS[2], KEYS[3]

if redis.pcall('HGET', buyers, 'count') ~= ARGV[1] then return -1 end
local held, gone = {}, {}
for i = 3, #ARGV, 2 do
    if ARGV[i + 1] == '0' then
        gone[#gone + 1] = ARGV[i]
    else
        held[#held + 1], held[#held + 2] = ARGV[i], ARGV[i + 1]
    end
end
if #held > 0 then redis.call('HSET', new, unpack(held)) end
if #gone > 0 then redis.call('HDEL', new, unpack(gone)) end
if ARGV[2] == '1' and redis.call('HEXISTS', register, 'stock') == 1 then
    redis.call('HSET', register, 'buyers', 'counting')
end
return 1
