#!lua flags=no-writes,allow-oom
-- buyers_look: which products' buyers are to be counted. Writes nothing.
--
-- KEYS    for each product: product:<id>:register   product:<id>:buyers
-- returns for each product
--           0 nothing to do: not loaded, without a limit, counted, its sale is over, or recovering
--           1 to be counted while it is closed: it is marked so, or its hash was lost
--           2 to be counted while it sells on: the release before loaded it
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local reply = {}
for i = 1, #KEYS, 2 do
    local f = redis.pcall('HMGET', KEYS[i], 'stock', 'per_user_limit', 'closes_at', 'buyers', 'recovering')
    local closes = not f.err and tonumber(f[3] or '0') or 0
    local asked = 0
    if not f.err and f[1] and (tonumber(f[2] or '0') or 0) > 0 and not f[5] and not (closes > 0 and now >= closes) then
        if f[4] == 'counting' then
            asked = 1
        elseif f[4] == 'complete' then
            asked = redis.pcall('HGET', KEYS[i + 1], '0') == '0' and 0 or 1
        else
            asked = 2
        end
    end
    reply[#reply + 1] = asked
end
return reply
