#include "mysql/error_class.h"

#include <stddef.h>

/* Numbers of the server's errors: MySQL Reference Manual and MariaDB Knowledge Base, "Error Codes". */
#define ERROR_DEADLOCK       1213
#define ERROR_RECORD_CHANGED 1020 /* MariaDB: innodb_snapshot_isolation */
#define ERROR_STATEMENT_TIME 1969 /* MariaDB: max_statement_time */
#define ERROR_EXECUTION_TIME 3024 /* MySQL: max_execution_time */


enum db_result
error_class(unsigned code)
{
    switch (code) {
    case 0:
        return DB_OK;

    case ERROR_DUPLICATE_KEY:
    case ERROR_DEADLOCK:
    case ERROR_RECORD_CHANGED:
        return DB_AGAIN;

    case 1048: /* column cannot be null */
    case 1264: /* out of range for a column */
    case 1265: /* data truncated */
    case 1292: /* incorrect value */
    case 1366: /* incorrect value for a column */
    case 1406: /* data too long */
    case 1690: /* out of range in an expression */
    case 3819: /* MySQL: check constraint */
    case 4025: /* MariaDB: check constraint */
        return DB_POISON;

    default:
        return DB_RETRY;
    }
}


int
error_is_environmental(unsigned code)
{
    static const unsigned codes[] = {
        1021, 1026, 1030, 1114,             /* disk full, a file cannot be written, storage engine, table full */
        1037, 1038, 1041,                   /* out of memory */
        1040, 1129, 1203, 1226,             /* too many connections, host blocked, resources used up */
        1044, 1045, 1142, 1143, 1227, 1370, /* a grant is missing */
        1049, 1054, 1146,                   /* no such database, column, table: not migrated yet */
        1053, 1077, 1079, 1080,             /* the server shuts down */
        1158, 1159, 1160, 1161,             /* network */
        1192, 1205, 1206, 1223, 1099, 1100, /* locks */
        1290, 1792, 1836, 3100,             /* read-only, a hook of replication */
        1317, 1927, 1969, 3024, 3168,       /* killed, or over its time */
    };

    if (code < 1000 || (code >= 2000 && code < 3000)) {
        return 1; /* ours, or the client library's */
    }

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return 1;
        }
    }

    return 0;
}


int
error_is_unreachable(unsigned code)
{
    switch (code) {
    case 1040: /* too many connections */
    case 1044: /* access denied */
    case 1045:
    case 1129: /* this host is blocked, or not allowed */
    case 1130:
    case 1203: /* the user's connections are used up */
    case 1226:
        return 1;
    default:
        return code >= 2000 && code < 3000;
    }
}


int
error_is_timeout(unsigned code)
{
    return code == ERROR_STATEMENT_TIME || code == ERROR_EXECUTION_TIME;
}
