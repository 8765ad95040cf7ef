-- wrk: orders of one unit of product 1 by many users.
local requests = {}

function init(args)
    for user = 1, 512 do
        requests[user] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" },
                                    string.format('{"product_id":1,"quantity":1,"user_id":%d}', user))
    end
end

local n = 0
function request()
    n = n % 512 + 1
    return requests[n]
end

function done(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
                           latency:percentile(50), latency:percentile(99),
                           summary.errors.connect + summary.errors.read + summary.errors.write
                               + summary.errors.timeout))
end
