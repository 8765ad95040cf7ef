-- Records of orders, shared by settle and transition (pasted in where `--#include` stands).
-- Nothing in an order's life leads back, so of two statuses the one of higher rank is the later one: words of
-- different workers may come in any order.
local RANK = {
    queued = 0, pending_payment = 1, failed = 2, failed_payment = 2, cancelled = 2, paid = 3, refund_pending = 3,
    completed = 4, refunded = 5,
}

-- The buyer's count at the gate holds the units of an order as long as its record says one of these. So whoever changes
-- a record changes the count by what that means, and the order of calls, or one that was lost, does no harm.
local HOLDS = { queued = 1, pending_payment = 1, paid = 1, completed = 1 }

-- Does a record say that its order ended? One that is missing, or no record, does not.
local function has_ended(record)
    local status = type(record) == 'string' and string.match(record, '^%S+')
    return status and RANK[status] and not HOLDS[status] or false
end

-- Is what a record says later than what another one says? A record that is missing or no record is the earliest.
local function is_later(record, than)
    local status = type(than) == 'string' and string.match(than, '^%S+')
    return not status or (RANK[string.match(record, '^%S+')] or 0) > (RANK[status] or -1)
end
