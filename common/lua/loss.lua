#!lua flags=allow-oom
-- loss: has MySQL lost commits of these products, which the gate knows of? Where it has, their recovery begins.
--
-- KEYS    1 gate   2 products:recovering   then for each product: product:<id>:register
-- ARGV    for each product: product id, version of its row ("+": records say that MySQL lost something of it)
-- returns for each product: 0 nothing is known of a loss, 1 it is being recovered, 2 its recovery begins with this call
-- law     A register's version comes from a committed row. So one that is greater than the row's, read under the row's
--         lock on a server that can be written, proves that commits are gone; the caller has that lock and has looked
--         at that server. From then on the register stands still (register.lua) and the gate refuses the product, until
--         recovery_end takes `recovering` away. A recovery that begins raises the epoch: what was decided on the old
--         server is not settled any more (settle.lua). And `compare`, so that the records are compared with their rows.
--
-- The field `recovering` is "<owner> <version> <stock>": who recovers it ("-": nobody yet), and the register as the
-- loss was found ("-" twice: the records alone prove it). Creates no register.

local gate, recovering = KEYS[1], KEYS[2]
local reply, began = {}, false
for i = 1, #KEYS - 2 do
    local register, id, version = KEYS[2 + i], ARGV[2 * i - 1], ARGV[2 * i]
    local found = redis.pcall('HMGET', register, 'version', 'stock', 'recovering')
    reply[i] = 0
    if not found.err and found[3] then
        redis.call('SADD', recovering, id)
        reply[i] = 1
    elseif not found.err and found[2] then
        local held = found[1] and #found[1] <= 15 and string.find(found[1], '^%d+$') and tonumber(found[1]) or -1
        local proof
        if version == '+' then
            proof = '- - -'
        elseif held > tonumber(version) then
            proof = '- ' .. found[1] .. ' ' .. found[2]
        end
        if proof then
            redis.call('HSET', register, 'recovering', proof)
            redis.call('SADD', recovering, id)
            reply[i], began = 2, true
        end
    end
end
if began then
    redis.call('HINCRBY', gate, 'epoch', 1)
    redis.call('HINCRBY', gate, 'compare', 1)
end
return reply
