#!lua flags=allow-oom
-- rebuild_watch: is there a rebuild, and does it live?
--
-- KEYS    1 gate   2 workers
-- ARGV    1 the lease as it was seen unchanged for long enough, or "-": it was not
-- returns { 1 there is one (or the gate is closed for one), else 0, its lease ("none": it has none) }
-- law     Silence is measured by the caller, by his own clock. Where it is confirmed here the gate notes it, for
--         whoever asks whether it is ready; the next rebuild, or giving this one up, takes the note away.
local gate, workers = KEYS[1], KEYS[2]
local held = redis.pcall('HMGET', gate, 'state', 'rebuild')
if held.err or not (held[1] == 'rebuilding' or held[2]) then return { 0, 'none' } end
local lease = redis.pcall('HGET', workers, 'lease:rebuild')
lease = type(lease) == 'string' and lease or 'none'
if lease == ARGV[1] then redis.call('HSET', gate, 'rebuild_silent', '1') end
return { 1, lease }
