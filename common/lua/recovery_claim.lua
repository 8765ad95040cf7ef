#!lua flags=allow-oom
-- recovery_claim: a recovery takes the products that it will recover, or says that it cannot open them.
--
-- KEYS    1 products:recovering   then for each product: product:<id>:register
-- ARGV    1 owner   then for each product: product id
-- returns for each product: the field `recovering` as it is now ("<owner> <version> <stock>", and behind it " gone"
--         where MySQL once had no such product), or nil: it is not being recovered
-- law     Whoever claims last may open the product (recovery_end), and nobody else. The proof of the loss stays.
local reply = {}
for i = 1, #KEYS - 1 do
    local register, id = KEYS[1 + i], ARGV[1 + i]
    local found = redis.pcall('HMGET', register, 'recovering', 'gone')
    if not found.err and found[1] then
        local rest = string.match(found[1], '^%S+( .*)$') or ' - -'
        redis.call('HSET', register, 'recovering', ARGV[1] .. rest)
        reply[i] = ARGV[1] .. rest .. (found[2] and ' gone' or '')
    else
        redis.call('SREM', KEYS[1], id)
        reply[i] = false
    end
end
return reply
