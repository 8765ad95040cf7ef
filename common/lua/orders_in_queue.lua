-- Orders in a stream: the sum of its entries' counts. Reads every entry, in pages.
local function orders_in_queue(stream)
    local sum, from = 0, '-'
    repeat
        local page = redis.call('XRANGE', stream, from, '+', 'COUNT', 256)
        for _, entry in ipairs(page) do
            for i = 1, #entry[2], 2 do
                if entry[2][i] == 'count' then sum = sum + (tonumber(entry[2][i + 1]) or 0) end
            end
            from = '(' .. entry[1]
        end
    until #page < 256
    return sum
end
