/*
 * A model of what keeps Redis and MySQL together, for spin: one product, orders of one unit, two workers, and whatever
 * can go wrong between any two steps. README.md says how to run it, what is checked, and what is left out.
 *
 * What a script of Redis or a COMMIT does is one step here, as it is there. Between two steps of a program anything may
 * happen: a step of another program, a kill, a server that goes back to an earlier state of its own.
 *
 *   program (here)   program (there)
 *   Gate             common/lua/place_order.lua
 *   Worker           worker/intake/consumer.c, order_transaction.c; common/lua/settle.lua
 *   Reconciler       worker/repair/reconciler.c, sync.c and the recovery; common/lua/push.lua
 *   Payer            worker/lifecycle/payments.c; common/lua/transition.lua
 *   Canceller        worker/lifecycle/expiry.c, common/lifecycle/single_change.c; common/lua/transition.lua
 *   Operator         checkoutctl product, stock
 *
 * Bounds: -DORDERS -DUNITS -DKILLS -DMYSQL_LOSSES -DREDIS_LOSSES -DWORKERS -DRECONCILERS, and
 * the programs -DPAY -DCANCEL -DOPERATE.
 * Each BREAK_… leaves out one part of the protocol: then a law must be seen to fail.
 */
#ifndef ORDERS
#define ORDERS 3
#endif
#ifndef UNITS
#define UNITS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef MYSQL_LOSSES
#define MYSQL_LOSSES 1
#endif
#ifndef REDIS_LOSSES
#define REDIS_LOSSES 0
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RECONCILERS
#define RECONCILERS 1
#endif
#define SLOTS (ORDERS + 1)
#define PROGRAMS (WORKERS + RECONCILERS + 3)    /* that can be killed; 1 .. PROGRAMS */

/* Statuses in the order of their rank, but that FAILED and CANCELLED have the same. */
#define NONE      0
#define QUEUED    1    /* in a record only */
#define SOLD      2    /* pending_payment */
#define FAILED    3
#define CANCELLED 4
#define PAID      5
#define is_live(s)     ((s) == SOLD || (s) == PAID)
#define rank(s)        ((s) == CANCELLED -> FAILED : (s))
#define is_later(a, b) (rank(a) > rank(b))


/* --- MySQL: the product's row, the orders' rows ----------------------------------------------------------------- */

byte stock = UNITS, version = 1, row[ORDERS];
byte server = 1;    /* another server each time that one is promoted; its sessions end with it */
byte locked = 0;    /* by whom the product's row is locked */

/* The replica that lacks what was committed after it stopped. */
byte old_stock, old_version, old_row[ORDERS];


/* --- Redis ------------------------------------------------------------------------------------------------------- */

byte queue[SLOTS];  /* an entry's id is its slot; it holds the order + 1, which stands for its nonce, too */
byte next_id = 0;
byte in_flight = 0, register_stock = UNITS, register_version = 1;
bool recovering = false;
bool proven = false;       /* the register shows the loss, not a record alone */
byte owner = 0;            /* who recovers it */
byte epoch = 1;
byte gate_server = 1;     /* the MySQL server of which the gate was told last */
byte compare = 0;         /* how often the records were to be compared with their rows, and how often they were */
byte compared = 0;
byte record[ORDERS];

/* What Redis had on its disk. */
byte old_queue[SLOTS], old_next_id, old_in_flight, old_register_stock, old_register_version, old_epoch, old_server, old_compare, old_compared;
byte old_record[ORDERS];
bool old_recovering, old_proven;


/* --- what the laws ask for, and no program sees ------------------------------------------------------------------ */

byte accepted[ORDERS];         /* 1: somebody got a 202; 2: and Redis forgot it */
byte told[ORDERS];             /* the last status that buyers saw in a record that Redis did not lose */
byte mysql_lost = 0, redis_lost = 0;
byte kills = KILLS;
byte takeovers = 2;           /* from a recovery that goes on all the same: else two could take turns for ever */
/* A cancellation was lost that no record shows: the gate was not told of it, or its order was paid all the same. */
bool untold = false;
bool killed[PROGRAMS + 1];

byte i, j;    /* of loops within one step; 0 again at its end */

/* Law 1: supplied = stock + units in live orders. After each change of rows. */
inline check_rows() {
    j = 0;
    for (i : 0 .. ORDERS - 1) {
        j = j + (is_live(row[i]) -> 1 : 0);
    }
    assert(stock + j == UNITS);
    i = 0; j = 0
}

/* Units in flight are the orders of the queue: scripts change both or nothing. */
inline check_gate() {
    j = 0;
    for (i : 0 .. SLOTS - 1) {
        j = j + (queue[i] > 0 -> 1 : 0);
    }
    assert(in_flight == j);
    i = 0; j = 0
}


/* --- scripts ----------------------------------------------------------------------------------------------------- */

/* register.lua: a newer version only. */
#ifdef BREAK_UNVERSIONED
#define is_newer(v) true
#else
#define is_newer(v) ((v) > register_version)
#endif

/* While the product is recovered it is not sold, and its register stands still. */
#ifdef BREAK_NO_RECOVERING
#define is_closed false
#else
#define is_closed recovering
#endif

inline push(v, s) {
    if
    :: !is_closed && is_newer(v) -> register_version = v; register_stock = s
    :: else
    fi
}

#define gate_stock (register_stock > in_flight -> register_stock - in_flight : 0)

inline write_record(o, status) {
    if
    :: is_later(status, record[o]) ->
        untold = untold || (record[o] == CANCELLED && status == PAID);
        record[o] = status; told[o] = status
    :: else
    fi
}

/*
 * loss.lua: the product is closed for orders, its register stands still, and who read entries before runs his batch
 * again.
 */
inline begin_recovery(by_version) {
    if
    :: !recovering ->
        printf("%d: recovery begins\n", _pid);
        assert(mysql_lost > 0);    /* nothing was lost: a proof that is none */
        recovering = true; proven = by_version; owner = 0;
        compare++;
        raise_epoch()
    :: else
    fi
}

inline raise_epoch() {
#ifndef BREAK_NO_EPOCH
    epoch++
#else
    skip
#endif
}


/* --- the gate ---------------------------------------------------------------------------------------------------- */

proctype Gate() {
    byte o = 0;
    do
    :: o < ORDERS ->
        if
        :: d_step { gate_stock > 0 && !is_closed && next_id < SLOTS ->
            queue[next_id] = o + 1; next_id++;
            in_flight++;
            record[o] = QUEUED;
            accepted[o] = 1;
            printf("gate: order %d is accepted, entry %d\n", o, next_id - 1);
            check_gate() }
        :: skip    /* nobody asks for it */
        fi;
        o++
    :: else -> break
    od
}


/* --- sessions ---------------------------------------------------------------------------------------------------- */

/* Who opens a session tells the gate on which server it is, before he uses it (server_seen.lua). */
inline connect() {
    if
    :: session != server ->
        d_step { session = server; looked = false };
#ifndef BREAK_NO_ANNOUNCE
        d_step {
            if
            :: gate_server != session ->
                gate_server = session; compare++; raise_epoch();
                printf("%d: a session on server %d, epoch %d\n", _pid, session, epoch)
            :: else
            fi
        }
#endif
    :: else
    fi
}

/* The product's lock. Fails where the session has ended: then session != server. */
inline lock(me) {
    atomic { (locked == 0 || session != server);
        if
        :: session == server -> locked = me
        :: else
        fi }
}

inline unlock(me) {
    if
    :: locked == me && session == server -> locked = 0
    :: else
    fi
}

/* loss.lua, under the lock, before anything is written. Sets `looked`: no loss is known. */
inline look() {
    d_step {
#ifndef BREAK_NO_PROOF
        if
        :: session == server && register_version > version -> begin_recovery(true)
        :: else
        fi;
#endif
        looked = session == server && !is_closed
    }
}


/* --- a worker ---------------------------------------------------------------------------------------------------- */

inline pick(s) {
    if
    :: queue[0] > 0 -> s = 0
    :: queue[1] > 0 -> s = 1
#if SLOTS > 2
    :: queue[2] > 0 -> s = 2
#endif
#if SLOTS > 3
    :: queue[3] > 0 -> s = 3
#endif
    fi
}

/* Reads any entry: new, its own of before, or one of another worker whose heartbeat is late, dead or not. */
proctype Worker(byte me) {
    byte session = 1, s, o, read_epoch = 1, v, units, verdict;
    bool looked = false;    /* the question of look() was asked in this session */

begin:
    { true;
read:
    atomic { !is_closed && in_flight > 0 ->
        if
        :: read_epoch != epoch -> session = 0; looked = false; read_epoch = epoch
        :: else
        fi;
        pick(s); o = queue[s] - 1;
        printf("worker %d: reads order %d, entry %d, epoch %d\n", me, o, s, read_epoch) };
again:
    connect();
    lock(me);
    /* Asked once for each session and epoch. */
    if
    :: !looked && session == server -> look()
    :: else
    fi;
    if
    :: session != server -> goto again
    :: session == server && !looked -> d_step { unlock(me) }; goto read
    :: else
    fi;
#ifdef BREAK_SETTLE_BEFORE_COMMIT
    d_step { verdict = (row[o] != NONE -> row[o] : (stock > 0 -> SOLD : FAILED)); v = version; units = stock; unlock(me) };
    goto settle;
#endif
    d_step {
        if
        :: session != server
        :: else ->
            if
            :: row[o] == NONE && stock > 0 -> row[o] = SOLD; stock--; version++
            :: row[o] == NONE && stock == 0 ->
                assert(redis_lost || !is_live(told[o]));    /* law 2, S2: sold to another */
                assert(redis_lost || mysql_lost);           /* the gate sold what was not there */
                row[o] = FAILED
            :: else
            fi;
            verdict = row[o]; v = version; units = stock;
            printf("worker %d: commits order %d, status %d, version %d\n", me, o, verdict, v);
            check_rows();
            locked = 0
        fi
    };
    if
    :: verdict == NONE -> goto again    /* the session ended before COMMIT */
    :: else
    fi;
settle:
    atomic {
        if
        :: read_epoch == epoch ->
            printf("worker %d: settles order %d, entry %d, pushes version %d, stock %d\n", me, o, s, v, units);
            if
#ifdef BREAK_NO_NONCE
            :: queue[s] != 0 ->
#else
            :: queue[s] == o + 1 ->
#endif
                queue[s] = 0; in_flight--;
                write_record(o, verdict)
            :: else
            fi;
            push(v, units);
            check_gate();
            verdict = NONE
        :: else -> read_epoch = epoch; session = 0; looked = false; verdict = NONE; goto again
        fi
    };
    goto read
    } unless { killed[me] };
    d_step { killed[me] = false; verdict = NONE; unlock(me); session = 0; looked = false };
    goto begin
}


/* --- payments, cancellations ------------------------------------------------------------------------------------- */

/* A payment moves no stock, so the product is not locked. */
proctype Payer(byte me) {
    byte session = 1, o, paid = NONE;
    bool looked;

begin:
    { true;
read:
    atomic { 
        if
        :: row[0] == SOLD && record[0] >= SOLD -> o = 0
        :: row[1] == SOLD && record[1] >= SOLD -> o = 1
        fi };
    connect();
    d_step {
        if
        :: session == server && row[o] == SOLD -> row[o] = PAID; paid = PAID;
            printf("payer: commits the payment of order %d\n", o)
        :: else
        fi
    };
    d_step {
        if
        :: paid == PAID ->
            untold = untold || row[o] == CANCELLED;    /* of the lost payment it hears too late */
            write_record(o, PAID); printf("payer: the record of order %d says paid\n", o)
        :: else
        fi;
        paid = NONE
    };
    goto read
    } unless { killed[me] };
    d_step { killed[me] = false; paid = NONE; session = 0 };
    goto begin
}

proctype Canceller(byte me) {
    byte session = 1, o, seen, v, units, done = NONE, left = 1;
    bool looked;

begin:
    { true;
read:
    atomic { !is_closed ->
        if
        :: row[0] == SOLD && (left > 0 || is_later(record[0], row[0])) -> o = 0
        :: row[1] == SOLD && (left > 0 || is_later(record[1], row[1])) -> o = 1
        fi };
    connect();
    seen = record[o];
    lock(me);
    look();
    if
    :: session != server -> goto read
    :: session == server && !looked -> d_step { unlock(me) }; goto read
#ifndef BREAK_RECORD_NOT_READ
    :: session == server && looked && is_later(seen, row[o]) ->
        d_step { unlock(me); begin_recovery(false) };
        goto read
#endif
    :: else
    fi;
    d_step {
        if
        :: session == server ->
            if
            :: row[o] == SOLD ->
                assert(seen != PAID);    /* law 6 */
                untold = untold || record[o] == PAID;    /* which came after the look at it */
#ifdef BREAK_STOCK_WITHOUT_ROW
                stock++;    /* and the row says nothing of it */
#else
                row[o] = CANCELLED; stock++;
#endif
                version++; left = (left > 0 -> left - 1 : 0); done = CANCELLED;
                printf("canceller: commits, order %d, version %d\n", o, version)
            :: else -> done = row[o]
            fi;
            v = version; units = stock;
            check_rows();
            locked = 0
        :: else
        fi
    };
    d_step {
        if
        :: done != NONE -> write_record(o, done); push(v, units); printf("canceller: tells the gate of order %d\n", o)
        :: else
        fi;
        done = NONE
    };
    goto read
    } unless { killed[me] };
    d_step { killed[me] = false; done = NONE; unlock(me); session = 0 };
    goto begin
}


/* Changes the sale's terms: the version grows, the stock stays. */
proctype Operator(byte me) {
    byte session = 1, v, units, left = 2;
    bool looked;

begin:
    { true;
read:
    (left > 0 && !is_closed);
    connect();
    lock(me);
    look();
    if
    :: session != server -> goto read
    :: session == server && !looked -> d_step { unlock(me) }; goto read
    :: else
    fi;
    d_step {
        v = 0;
        if
        :: session == server ->
            version++; left--; v = version; units = stock; locked = 0;
            printf("operator: commits version %d\n", v)
        :: else
        fi
    };
    d_step {
        if
        :: v > 0 -> push(v, units)
        :: else
        fi
    };
    goto read
    } unless { killed[me] };
    d_step { killed[me] = false; unlock(me); session = 0 };
    goto begin
}


/* --- the reconciler, and recovery -------------------------------------------------------------------------------- */

/*
 * The reconciler compares register and row. A pass over the records is due where a loss was found, or where programs came
 * to another server.
 */
#ifdef BREAK_IN_FLIGHT_NOT_COUNTED
#define in_doubt 0
#else
#define in_doubt in_flight    /* orders of the queue may have been committed and lost: they are made once more */
#endif
#define is_explained() (!proven || (stock >= register_stock && stock - register_stock <= in_doubt))

proctype Reconciler(byte me) {
    byte session = 1, o, v, units, seen_version, seen_stock, seen, asked;
    bool left_over, looked;

begin:
    { true;
read:
    atomic { ((session != server || compare != compared
            || !recovering && (version != register_version || stock != register_stock))
            && (!recovering || owner == 0 || owner == me || takeovers > 0)) ->
        o = 0; left_over = false; v = 0; units = 0; seen = NONE; seen_version = 0; seen_stock = 0; asked = 0 };
    connect();
    atomic {
        asked = compare;
        if
        :: compare != compared ->
            if
            :: recovering ->
                takeovers = (owner != 0 && owner != me && takeovers > 0 -> takeovers - 1 : takeovers);
                owner = me; printf("reconciler %d: recovers\n", me)
            :: else
            fi;
            goto pass
        :: else
        fi
    };
#ifdef BREAK_PROOF_OUTSIDE_LOCK
    d_step { v = version; units = stock };
#endif
    d_step { seen_version = register_version; seen_stock = register_stock };
#ifndef BREAK_PROOF_OUTSIDE_LOCK
    d_step { v = version; units = stock };
#endif
    if
    :: v > seen_version ->
        d_step { push(v, units); printf("reconciler %d: pushes version %d, stock %d\n", me, v, units) }
    :: v < seen_version ->
#ifdef BREAK_PROOF_OUTSIDE_LOCK
        d_step { begin_recovery(true) }
#else
        lock(me);
        look();
        d_step { unlock(me) }
#endif
    :: v == seen_version && units != seen_stock ->
        lock(me);
        d_step {
            v = 0;
            if
            :: session == server && !recovering && version == register_version && stock != register_stock ->
                version++; v = version; units = stock; locked = 0
            :: else -> unlock(me)
            fi
        };
        d_step {
            if
            :: v > 0 -> push(v, units)
            :: else
            fi
        }
    :: v == seen_version && units == seen_stock
    fi;
    goto read;

pass:
    do
    :: o < ORDERS ->
        seen = record[o];
        if
        :: seen < SOLD || !is_later(seen, row[o])
        :: else ->
            lock(me);
            d_step {
                if
                :: session != server
                :: session == server && is_later(seen, row[o]) && is_live(seen) == is_live(row[o]) ->
                    row[o] = seen; locked = 0    /* no units move */
                :: session == server && is_later(seen, row[o]) && is_live(seen) != is_live(row[o]) ->
                    if
                    :: !recovering || owner != me -> begin_recovery(false)
                    :: recovering && owner == me && is_live(seen) && stock > 0 -> stock--; version++; row[o] = seen
                    :: recovering && owner == me && is_live(seen) && stock == 0 -> left_over = true
                    :: recovering && owner == me && !is_live(seen) -> stock++; version++; row[o] = seen
                    fi;
                    locked = 0
                :: else -> locked = 0
                fi;
                printf("reconciler %d: order %d has status %d now\n", me, o, row[o]);
                check_rows()
            };
            if
            :: session != server -> goto read
            :: else
            fi
        fi;
        seen = NONE; o++
    :: else -> break
    od;
    if
    :: recovering && owner == me ->
        lock(me);
        atomic {
            v = 0;
            if
            :: session != server -> goto read
            :: session == server && recovering && !left_over && is_explained() ->
                version = (version > register_version -> version : register_version) + 1;
                v = version; units = stock;
                printf("reconciler %d: raises the version to %d\n", me, v)
            :: else -> printf("reconciler %d: what is lost is not explained\n", me)
            fi;
            locked = 0
        };
        d_step {
            if
            :: v > 0 && recovering && owner == me ->
                recovering = false; proven = false; owner = 0; push(v, units);
                printf("reconciler %d: opens, version %d, stock %d\n", me, v, units)
            :: else
            fi
        }
    :: else
    fi;
    d_step {
        if
        :: !recovering || owner == me -> compared = asked
        :: else    /* another one has it */
        fi
    };
    goto read
    } unless { killed[me] };
    d_step { killed[me] = false; unlock(me); session = 0 };
    goto begin
}


/* --- what goes wrong --------------------------------------------------------------------------------------------- */

/* A replica that stopped taking changes, some time ago, becomes the primary. */
proctype Promote() {
    byte n = MYSQL_LOSSES;
    do
    :: n > 0 ->
        d_step { printf("mysql: the replica stops at version %d\n", version);
            old_stock = stock; old_version = version;
            for (i : 0 .. ORDERS - 1) { old_row[i] = row[i] };
            i = 0 };
        d_step {
            j = (old_version != version -> 1 : 0);
            for (i : 0 .. ORDERS - 1) { j = j + (old_row[i] != row[i] -> 1 : 0) };
            mysql_lost = mysql_lost + (j > 0 -> 1 : 0);
            for (i : 0 .. ORDERS - 1) {
                untold = untold || (row[i] == CANCELLED && old_row[i] != CANCELLED && record[i] != CANCELLED)
            };
            stock = old_stock; version = old_version;
            for (i : 0 .. ORDERS - 1) { row[i] = old_row[i]; old_row[i] = 0 };
            old_stock = 0; old_version = 0;
            server++; locked = 0; n--; i = 0; j = 0;
            printf("mysql: the replica is promoted, version %d, stock %d\n", version, stock) }
    :: else -> break
    od
}

/* Redis starts again without its last second: scripts are whole or gone. */
proctype Forget() {
    byte n = REDIS_LOSSES;
    do
    :: n > 0 ->
        d_step {
            for (i : 0 .. SLOTS - 1) { old_queue[i] = queue[i] };
            for (i : 0 .. ORDERS - 1) { old_record[i] = record[i] };
            i = 0;
            old_next_id = next_id; old_in_flight = in_flight; old_register_stock = register_stock;
            old_register_version = register_version; old_epoch = epoch; old_recovering = recovering; old_proven = proven;
            old_server = gate_server; old_compare = compare; old_compared = compared };
        d_step {
            redis_lost++; n--; printf("redis: goes back\n");
            for (i : 0 .. SLOTS - 1) { queue[i] = old_queue[i]; old_queue[i] = 0 };
            for (i : 0 .. ORDERS - 1) {
                if
                :: accepted[i] && old_record[i] == NONE -> accepted[i] = 2
                :: else
                fi;
                if
                :: told[i] > old_record[i] -> told[i] = old_record[i]
                :: else
                fi;
                record[i] = old_record[i]; old_record[i] = 0
            };
            next_id = old_next_id; in_flight = old_in_flight; register_stock = old_register_stock;
            register_version = old_register_version; epoch = old_epoch; recovering = old_recovering; proven = old_proven; old_proven = false;
            gate_server = old_server; compare = old_compare; compared = old_compared; owner = 0;
            old_server = 0; old_compare = 0; old_compared = 0;
            old_next_id = 0; old_in_flight = 0; old_register_stock = 0; old_register_version = 0; old_epoch = 0;
            old_recovering = false;
            check_gate() }
    :: else -> break
    od
}

proctype Kill() {
    byte who;
    do
    :: kills > 0 ->
        atomic {
            select (who : 1 .. PROGRAMS);
            kills--;
            killed[who] = true; printf("program %d is killed\n", who) }
    :: else -> break
    od
}


/* --- at rest ----------------------------------------------------------------------------------------------------- */

/* Nobody can take another step: everything has come to rest by itself. */
proctype Rest() {
    byte o;
end:
    timeout ->
    d_step {
        printf("at rest: version %d, stock %d; register %d, %d, recovering %d\n", version, stock, register_version, register_stock, recovering);
        if
        :: recovering ->    /* closed, with an alarm: what records cannot explain */
            assert(mysql_lost && (redis_lost || untold))
        :: else ->
            check_rows();
            assert(compare == compared);
            assert(locked == 0);
            assert(in_flight == 0);                                   /* law 5 */
            assert(register_stock == stock && register_version == version);
            for (o : 0 .. ORDERS - 1) {
                assert(accepted[o] != 1 || row[o] != NONE || mysql_lost && redis_lost);    /* law 3 */
                /* Laws 2 and 6: what buyers were told stands. README.md says of the exceptions. */
                assert(record[o] < SOLD || !is_later(record[o], row[o]) || mysql_lost && redis_lost
                    || mysql_lost && record[o] == PAID && row[o] == CANCELLED)
            }
        fi
    }
}

init {
    atomic {
        byte n = 1;
        run Gate();
        do
        :: n <= WORKERS -> run Worker(n); n++
        :: n > WORKERS && n <= WORKERS + RECONCILERS -> run Reconciler(n); n++
        :: else -> break
        od;
#ifdef PAY
        run Payer(WORKERS + RECONCILERS + 1);
#endif
#ifdef CANCEL
        run Canceller(WORKERS + RECONCILERS + 2);
#endif
#ifdef OPERATE
        run Operator(WORKERS + RECONCILERS + 3);
#endif
#if MYSQL_LOSSES > 0
        run Promote();
#endif
#if REDIS_LOSSES > 0
        run Forget();
#endif
#if KILLS > 0
        run Kill();
#endif
        run Rest()
    }
}
