#!lua flags=allow-oom
-- heartbeat: says "alive", takes over what dead consumers left, clears them away.
--
-- KEYS    1 order-processing-queue   2 workers
-- ARGV    1 consumer group   2 this consumer ("": none, with "look" alone)   3 what stands behind the point of its beat (worker/redis/beats.h)
--         4 most entries to take over (0: none)
--         5 "leave": this consumer ends, its entries are free   "look": all beats are wanted, nothing is taken over
--         "join": the consumer's first call
--         6 the id behind which to look for strays, as the last call returned it; "-" or none: from the head
--         then names and values: beats that this process saw unchanged for so long that their consumers are dead
-- returns { id for the next call, { entries taken over, each { id, fields }, oldest first }, beats, deaths }; { id, nil }
--         for one that was pending but has been deleted from the queue. Beats, for "look" alone: name, value, …, with an
--         empty value for a consumer of the group that has none. Deaths: id, number, … of entries whose worker died while
--         it had them in hand, from SUSPECT times on. The status PAUSED while the operator wants a pause.
-- law     Who is dead is decided by the caller's clock, never by two readings of this server's, which may step; here only
--         the value that he saw is compared, so a beat in between keeps its consumer alive. The beat begins with ms of
--         this server's clock for workers of the release before, and "0" is one of a consumer that left: its entries are
--         free at once. A consumer is removed only when it is found without pending entries in the same step. The group
--         is created at 0, so that nothing in the queue is passed over. An entry that was delivered and is pending
--         nowhere (its consumer was deleted by hand) is claimed too: a call looks at 16 entries, so calls in sequence
--         come to all of them, also behind many that stay pending.
--         A consumer names what it has in hand in the field batch:<consumer>, and takes it back. Who dies, or joins anew,
--         with such a field died with these entries in hand; it is taken away in the step that counts them, in the field
--         `deaths`: "<id> <number> …". A call drops some that have left the queue.

local stream, workers = KEYS[1], KEYS[2]
local group, me, suffix, most, what = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local LEFT, SUSPECT, DEATHS_MOST = '0', 5, 4096

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
    if #redis.call('XPENDING', stream, group, '-', '+', 1, name) > 0 then return false end
    redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    redis.call('HDEL', workers, name, 'batch:' .. name)
    return true
end

local function consumers()
    local names = {}
    for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do names[#names + 1] = c[2] end
    return names
end

local function is_beat(field)
    return field ~= 'paused' and field ~= 'deaths' and not string.find(field, '^lease:')
        and not string.find(field, '^batch:')
end

local ids, deaths = {}, {}
for id, n in string.gmatch(redis.call('HGET', workers, 'deaths') or '', '(%S+) (%d+)') do
    ids[#ids + 1], deaths[id] = id, tonumber(n)
end

-- Writes the list anew, with the ids that were looked at behind the others; those that left the queue are dropped.
local function write_deaths(look_at)
    local kept = {}
    for i = 1, #ids do
        local id = ids[(i + look_at - 1) % #ids + 1]
        if i <= #ids - look_at or #redis.call('XRANGE', stream, id, id) > 0 then
            if #kept < DEATHS_MOST then kept[#kept + 1] = id .. ' ' .. deaths[id] else deaths[id] = nil end
        else
            deaths[id] = nil
        end
    end
    if #kept > 0 then
        redis.call('HSET', workers, 'deaths', table.concat(kept, ' '))
    else
        redis.call('HDEL', workers, 'deaths')
    end
end

local function count_death(name)
    local held = redis.call('HGET', workers, 'batch:' .. name)
    if not held then return end
    redis.call('HDEL', workers, 'batch:' .. name)
    for id in string.gmatch(held, '%S+') do
        if #redis.call('XPENDING', stream, group, id, id, 1, name) == 1 then
            if not deaths[id] then ids[#ids + 1] = id end
            deaths[id] = (deaths[id] or 0) + 1
        end
    end
    write_deaths(#ids)
end

if what == 'leave' then
    redis.call('HDEL', workers, 'batch:' .. me)
    if not remove_if_idle(me) then redis.call('HSET', workers, me, LEFT) end
    return { '-', {}, {}, {} }
end
if what == 'join' then count_death(me) end
local t = redis.call('TIME')
if me ~= '' then redis.call('HSET', workers, me, string.format('%.0f.%s', t[1] * 1000 + math.floor(t[2] / 1000), suffix)) end

if what == 'look' then
    local beats, has_beat = {}, {}
    local found = redis.call('HGETALL', workers)
    for i = 1, #found, 2 do
        if is_beat(found[i]) then
            beats[#beats + 1], beats[#beats + 2] = found[i], found[i + 1]
            has_beat[found[i]] = true
        end
    end
    for _, name in ipairs(consumers()) do
        if not has_beat[name] then beats[#beats + 1], beats[#beats + 2] = name, '' end
    end
    return { '-', {}, beats, {} }
end
if redis.call('HEXISTS', workers, 'paused') == 1 then return redis.status_reply('PAUSED') end

local taken = {}
local function take(id)
    taken[#taken + 1] = redis.call('XCLAIM', stream, group, me, 0, id, 'FORCE')[1] or { id, false }
end

local function is_dead(name, seen)
    local beat = redis.call('HGET', workers, name) or ''
    return name ~= me and (beat == LEFT or beat == seen)
end

local silent = {}
for i = 7, #ARGV, 2 do silent[ARGV[i]] = ARGV[i + 1] end
for _, name in ipairs(consumers()) do
    if is_dead(name, silent[name]) then
        count_death(name)
        if most > #taken then
            for _, p in ipairs(redis.call('XPENDING', stream, group, '-', '+', most - #taken, name)) do
                take(p[1])
            end
        end
        remove_if_idle(name)
    end
    silent[name] = nil
end
for name, seen in pairs(silent) do
    if is_dead(name, seen) then redis.call('HDEL', workers, name, 'batch:' .. name) end
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
local suspects = {}
if #ids > 0 then
    write_deaths(math.min(#ids, 16))
    for id, n in pairs(deaths) do
        if n >= SUSPECT then suspects[#suspects + 1], suspects[#suspects + 2] = id, n end
    end
end
return { after, taken, {}, suspects }
