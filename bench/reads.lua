-- wrk: GET of a path that ends in a number from 1 to 10000, at random. Arguments: path, ms to wait before each request.
local path, pause

function init(args)
    path, pause = args[1], tonumber(args[2] or 0)
    math.randomseed(1)
end

function request()
    return wrk.format("GET", path .. math.random(10000))
end

function delay()
    return pause
end

function done(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration,
                           latency:percentile(50), latency:percentile(99), summary.errors.status,
                           summary.errors.connect + summary.errors.read + summary.errors.write
                               + summary.errors.timeout))
end
