#!/bin/bash
# Init script of the primary: the accounts of the application and of the replicas. It is sourced by the image's
# entrypoint, once, while the server listens on its socket only. Passwords go through standard input, never through a
# command line.

MYSQL_PWD=$(< /run/secrets/mysql_root) mysql --user=root <<SQL
CREATE USER 'checkout'@'%' IDENTIFIED BY '$(< /run/secrets/mysql_checkout)';
GRANT ALL PRIVILEGES ON checkout.* TO 'checkout'@'%';
CREATE USER 'replication'@'%' IDENTIFIED BY '$(< /run/secrets/mysql_replication)';
GRANT REPLICATION SLAVE ON *.* TO 'replication'@'%';
SQL
