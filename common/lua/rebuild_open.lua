#!lua flags=allow-oom
-- rebuild_open: products that are sold behind the fence of a rebuild: there is nothing to do for them, or it is done.
--
-- KEYS    1 gate   then for each product: product:<id>:register
-- ARGV    1 token of this rebuild
-- returns products opened, or -1 when another rebuild began meanwhile, or this one was given up
-- law     Under the fence a product is closed unless its register says `rebuilt` with the fence's token
--         (place_order.lua). So the end of the fence, or giving it up, opens all in one step, and what a
--         rebuild that died left in registers means nothing. Creates no register.
if redis.call('HGET', KEYS[1], 'rebuild') ~= ARGV[1] then return -1 end
local opened = 0
for i = 2, #KEYS do
    if redis.pcall('HEXISTS', KEYS[i], 'stock') == 1 then
        redis.call('HSET', KEYS[i], 'rebuilt', ARGV[1])
        opened = opened + 1
    end
end
return opened
