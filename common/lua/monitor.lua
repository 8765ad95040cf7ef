#!lua flags=no-writes,allow-oom
-- monitor: how the queue stands, for metrics. Writes nothing.
--
-- KEYS    1 order-processing-queue   2 dead-letter-queue   3 gate   4 workers   5 products:recovering
-- ARGV    1 consumer group   then names and values: beats that the caller saw unchanged for so long that their consumers
--         are dead
-- returns { entries, age in ms of the oldest (0: none), orders queued by the gate's count, dead letters,
--         entries pending, of them at dead consumers, consumers alive, products that are being recovered }
-- law     Costs nothing that grows with the queue.

local stream, dead, gate, workers, recovering = unpack(KEYS)
local group = ARGV[1]
local silent = {}
for i = 2, #ARGV, 2 do silent[ARGV[i]] = ARGV[i + 1] end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local age = 0
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if oldest then age = math.max(0, now - tonumber(string.match(oldest[1], '^%d+'))) end

local pending, at_dead, alive = 0, 0, 0
local found = redis.pcall('XINFO', 'CONSUMERS', stream, group)
for _, consumer in ipairs(found.err and {} or found) do
    local fields = {}
    for i = 1, #consumer, 2 do fields[consumer[i]] = consumer[i + 1] end
    local beat = redis.call('HGET', workers, fields.name) or ''
    pending = pending + fields.pending
    if beat == '0' or beat == silent[fields.name] then
        at_dead = at_dead + fields.pending
    else
        alive = alive + 1
    end
end

local queued = tonumber(redis.call('HGET', gate, 'queued') or '0') or 0
return { redis.call('XLEN', stream), age, queued, redis.call('XLEN', dead), pending, at_dead, alive,
         redis.call('SCARD', recovering) }
