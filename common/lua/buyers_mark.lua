#!lua flags=allow-oom
-- buyers_mark: the buyers of these products are to be counted anew; until then they answer 503.
--
-- KEYS    product:<id>:register of each
-- returns products marked
-- law     Only loaded products with a limit for each user. Creates nothing. May run twice.
local marked = 0
for _, register in ipairs(KEYS) do
    local found = redis.pcall('HMGET', register, 'stock', 'per_user_limit')
    if not found.err and found[1] and (tonumber(found[2] or '0') or 0) > 0 then
        redis.call('HSET', register, 'buyers', 'counting')
        marked = marked + 1
    end
end
return marked
