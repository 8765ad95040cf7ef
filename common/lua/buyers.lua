-- The units that each buyer holds of a product with a limit for each user, for the scripts that move them (pasted in
-- where `--#include` stands; needs record.lua).
--
--   buyers_kept(register, key)                returns two booleans: the gate counts the product's buyers; there is a journal
--   journal(key, id, user, held)              adds a line to the journal
--   settle_buyers(bucket, key, first_record, first, last)         } words of the call (ARGV), of a product whose buyers
--   journal_records(bucket, key, product, first_record, last)     } are kept: buyers before records, the journal after
--
-- The hash product:<id>:buyers holds user → units. No user has the number 0, which holds no units:
--   0           0: it was counted from MySQL (repair/buyers_count.h), so a hash without it was lost and made anew
-- and beside the users, while a count is under way:
--   count       the token of a count that is under way: then whoever moves units by an order adds to the journal
--   moves       how many lines the journal has: fields moved:1, moved:2 …, each "<identifier> <user> <units held now>"
-- A key of another type stays as it is.

-- The register says whether there is a limit, and not the caller: what the gate accepts and what moves must agree.
local function buyers_kept(register, key)
    local limit = redis.pcall('HGET', register, 'per_user_limit')
    local kept = type(limit) == 'string' and (tonumber(limit) or 0) > 0
    return kept, kept and type(redis.pcall('HGET', key, 'count')) == 'string'
end

-- The order holds `held` units for that user from now on.
local function journal(key, id, user, held)
    local n = redis.call('HINCRBY', key, 'moves', 1)
    redis.call('HSET', key, 'moved:' .. n, id .. ' ' .. user .. ' ' .. string.format('%.0f', held))
end

-- The buyers first .. last of ARGV (user, units, identifier or "-") of decided orders, whose records of verdicts
-- (identifier, record) are first_record .. first - 1 and are not written yet. "-": the units come back in any case;
-- else as the records decide.
local function settle_buyers(bucket, key, first_record, first, last)
    local verdict = {}
    for i = first_record, first - 1, 2 do verdict[ARGV[i]] = ARGV[i + 1] end
    for i = first, last, 3 do
        local user, units, id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
        local taken = id == '-' and -units or taken_by(verdict[id] or '', redis.pcall('HGET', bucket, id), units)
        hold(key, user, taken)
    end
end

-- The same orders, once their records are written: they left the queue, and hold what their records say. One whose
-- record is of another product (a conflict) holds nothing of this one.
local function journal_records(bucket, key, product, first_record, last)
    for i = first_record, last, 2 do
        local found = redis.pcall('HGET', bucket, ARGV[i])
        if is_later(ARGV[i + 1], found) then found = ARGV[i + 1] end
        local status, of, quantity, user = string.match(found, '^(%S+) %S+ (%d+) (%d+) (%d+)')
        local holds = of == product and HOLDS[status]
        journal(key, ARGV[i], user or '0', holds and tonumber(quantity) or 0)
    end
end
