#!/bin/bash
# Init script of a replica: forgets what it wrote itself, follows the primary by GTID, and becomes read-only for
# everybody. It is sourced by the image's entrypoint, once. Passwords go through standard input.

MYSQL_PWD=$(< /run/secrets/mysql_root) mysql --user=root <<SQL
RESET BINARY LOGS AND GTIDS;
CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'mysql-primary', SOURCE_USER = 'replication',
    SOURCE_PASSWORD = '$(< /run/secrets/mysql_replication)', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1;
SET PERSIST super_read_only = 1;
SQL
