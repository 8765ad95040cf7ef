#!lua flags=allow-oom
-- heartbeat: says "alive", takes over what dead consumers left, clears them away.
--
-- KEYS    1 order-processing-queue   2 workers
-- ARGV    1 consumer group   2 this consumer   3 ms of silence after which a consumer is dead
--         4 most entries to take over (0: none)   5 "leave": forget this consumer, its entries are free
--         6 the id behind which to look for strays, as the last call returned it; "-" or none: from the head
-- returns { id for the next call, { entries taken over, each { id, fields }, oldest first } }; { id, nil } for one
--         that was pending but has been deleted from the queue. The status PAUSED while the operator wants a pause.
-- law     A consumer is removed only when it is found without pending entries in the same step. Time is
--         Redis's own. The group is created at 0, so that nothing in the queue is passed over. An entry
--         that was delivered and is pending nowhere (its consumer was deleted by hand) is claimed too: a call
--         looks at 16 entries, so calls in sequence come to all of them, also behind many that stay pending.

-- Behind the point: who writes this changes the counters of products (checkoutctl migrate --finish). The release
-- before wrote none, and reads this as the same time.
local RELEASE = '.2'

local stream, workers = KEYS[1], KEYS[2]
local group, me, dead_after, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function find_group()
    if redis.call('EXISTS', stream) == 0 then return nil end
    for _, g in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local fields = {}
        for i = 1, #g, 2 do fields[g[i]] = g[i + 1] end
        if fields.name == group then return fields end
    end
end

local info = find_group()
if not info then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    info = find_group()
end

local function remove_if_idle(name)
    if #redis.call('XPENDING', stream, group, '-', '+', 1, name) == 0 then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    end
end

if ARGV[5] == 'leave' then
    redis.call('HDEL', workers, me)
    remove_if_idle(me)
    return { '-', {} }
end
redis.call('HSET', workers, me, string.format('%.0f', now) .. RELEASE)
if redis.call('HEXISTS', workers, 'paused') == 1 then return redis.status_reply('PAUSED') end

local taken = {}
local function take(id)
    taken[#taken + 1] = redis.call('XCLAIM', stream, group, me, 0, id, 'FORCE')[1] or { id, false }
end

for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local name = c[2]
    local seen = tonumber(redis.call('HGET', workers, name) or '0') or 0
    if name ~= me and now - seen > dead_after then
        if most > #taken then
            for _, p in ipairs(redis.call('XPENDING', stream, group, '-', '+', most - #taken, name)) do
                take(p[1])
            end
        end
        remove_if_idle(name)
    end
end
for _, name in ipairs(redis.call('HKEYS', workers)) do
    local seen = tonumber(redis.call('HGET', workers, name)) or 0
    local is_beat = name ~= 'paused' and string.sub(name, 1, 6) ~= 'lease:'
    if is_beat and now - seen > math.max(60000, 2 * dead_after) then redis.call('HDEL', workers, name) end
end

-- What was delivered stands in the queue until it is settled. Behind the last of these it begins again at the head.
local after = ARGV[6] or '-'
if most > #taken and info['last-delivered-id'] ~= '0-0' then
    local from = after == '-' and '-' or '(' .. after
    local some = redis.call('XRANGE', stream, from, info['last-delivered-id'], 'COUNT', 16)
    local looked = 0
    while looked < #some and #taken < most do
        looked = looked + 1
        after = some[looked][1]
        if #redis.call('XPENDING', stream, group, after, after, 1) == 0 then take(after) end
    end
    if looked == #some and looked < 16 then after = '-' end
end
table.sort(taken, function(a, b)
    local am, as = string.match(a[1], '^(%d+)-(%d+)$')
    local bm, bs = string.match(b[1], '^(%d+)-(%d+)$')
    am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
    return am < bm or (am == bm and as < bs)
end)
return { after, taken }
