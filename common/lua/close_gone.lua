#!lua flags=allow-oom
-- close_gone: MySQL has no such product (any more): the gate does not sell it.
--
-- KEYS    1 product:<id>:register
-- ARGV    (none)
-- returns 1 closed, 0 it is not loaded
-- law     Version and stock stay: where the row was missing because MySQL had lost it, they are what proves it. The
--         field `gone` remembers that the row was missing; a push of a newer version takes it away.
local found = redis.pcall('HEXISTS', KEYS[1], 'stock')
if found ~= 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'closed', 'gone', '1')
return 1
