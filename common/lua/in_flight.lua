-- Units in flight, for the scripts push and inspect (pasted in where `--#include` stands).
--
--   sum_in_flight(stream, …)   names of streams: queue and dead letters. Returns a table, units by product id (a string)
--
-- Reads every entry, in pages, so it costs time in proportion to the queue; callers ask for it rarely.
local function sum_in_flight(...)
    local sum = {}
    for _, stream in ipairs({ ... }) do
        local from = '-'
        repeat
            local page = redis.call('XRANGE', stream, from, '+', 'COUNT', 256)
            for _, entry in ipairs(page) do
                local product, units
                local fields = entry[2]
                for i = 1, #fields, 2 do
                    if fields[i] == 'product' then product = fields[i + 1] end
                    if fields[i] == 'units' then units = tonumber(fields[i + 1]) end
                end
                if product and units then sum[product] = (sum[product] or 0) + units end
                from = '(' .. entry[1]
            end
        until #page < 256
    end
    return sum
end
