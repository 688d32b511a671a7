#!/bin/sh
# service.mysql: a database of one's own, from a MariaDB that the node starts for itself. About 25 s.
# shellcheck disable=SC2016 # expanded in the app's environment
. "$(dirname "$0")/lib.sh"

PLATFORM=static
start_silverd

write_sql() { # bin/sql SQL [USER [PASSWORD [DBNAME]]]
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/sql" <<-'END'
		#!/bin/sh
		export MYSQL_PWD="${3-$CONFIG_MYSQL_PASSWORD}"
		exec mariadb --no-defaults --batch --skip-column-names -h "$CONFIG_MYSQL_HOST" -P "$CONFIG_MYSQL_PORT" \
			-u "${2-$CONFIG_MYSQL_USERNAME}" -e "$1" "${4-$CONFIG_MYSQL_DBNAME}" 2>&1
	END
	chmod 755 "$REPO/bin/sql"
}

sql() { # APP SQL [ARGS...]
	sq_app=$1
	shift
	silver run "$sq_app" bin/sql "$@"
}

env_of() { # APP NAME
	tr '\0' '\n' <"$STATE/apps/$1/current/env" | sed -n "s/^$2=//p"
}

new_app my-shop
write_sql
commit_app 1 'service.mysql =' "update_fetch = script:bin/sql 'CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES (0xC3A9)'"
ok '44 the first push makes the server, the database, and what update_fetch wants of it' push
ok '   what was made is there' equal "$(sql my-shop 'SELECT HEX(text) FROM notes')" C3A9
ok '   the database has the name of the app' equal "$(env_of my-shop CONFIG_MYSQL_DBNAME)" my_shop
ok '   in UTF-8' equal "$(sql my-shop 'SELECT @@character_set_database')" utf8mb4
password=$(env_of my-shop CONFIG_MYSQL_PASSWORD)
not_told() {
	! grep -q "$password" "$TMP/push.err" "$TMP/silverd.log" && ! grep -rqs "$password" "$STATE/services" "$STATE/log" &&
		! grep -aqs "$password" /proc/[0-9]*/cmdline
}
ok '   its password is in no log, no output and no command line' not_told

# '_' is a wildcard where MariaDB gives rights
new_app my1shop
write_sql
commit_app 1 'service.mysql ='
ok 'a second app, whose name looks alike' push
ok '44 isolation: another database is shut' must_fail sql my1shop 'SELECT 1' my1shop "$(env_of my1shop CONFIG_MYSQL_PASSWORD)" my_shop
ok '   the other way round, too' must_fail sql my-shop 'SELECT 1' my_shop "$password" my1shop
ok '   and that of the server' must_fail sql my-shop 'SELECT * FROM mysql.global_priv'
ok '   it does not see the others' equal "$(sql my1shop 'SHOW DATABASES' | tr '\n' ' ')" 'information_schema my1shop '
ok '   another user without a password' must_fail sql my1shop 'SELECT 1' my_shop '' my_shop
ok '   root over the network' must_fail sql my1shop 'SELECT 1' root '' mysql
ok '   it may make no user' must_fail sql my1shop "CREATE USER 'x'"
ok '   nor read files of the server' must_fail sql my1shop "SELECT 1 INTO OUTFILE '$STATE/x'"
ok '   its own goes' equal "$(sql my1shop 'SELECT 1')" 1

APP=my-shop REPO=$TMP/work/my-shop
commit_app 2 'service.mysql ='
ok 'a second push keeps it all' push
ok '   asks nobody' must_fail said provided
ok '   the same password' equal "$(env_of my-shop CONFIG_MYSQL_PASSWORD)" "$password"

ok 'rotate: another password in a new release' silver rotate my-shop mysql
ok '   leads to the same database' equal "$(sql my-shop 'SELECT HEX(text) FROM notes')" C3A9
ok '   by another account' equal "$(sql my-shop 'SELECT SUBSTRING_INDEX(CURRENT_USER, CHAR(64), 1)')" my_shop-2
ok '   the old account is shut' wait_until 60 must_fail sql my-shop 'SELECT 1' my_shop "$password"

ok 'the node ends, with its server' stop_silverd
ok '   nothing is left running' wait_until 60 nothing_runs
start_silverd
ok '45 and starts with it: the data are there' equal "$(sql my-shop 'SELECT HEX(text) FROM notes')" C3A9
kill -KILL "$(cat "$STATE/run/mysql/pid")"
ok 'a server that was killed comes back' wait_until 90 sql my-shop 'SELECT text FROM notes'

ok '45 destroy leaves no trace' silver destroy my1shop --yes
[ ! -d "$STATE/services/mysql/data/my1shop" ] || bail 'the database is there'
ok '   the other app has its own' equal "$(sql my-shop 'SELECT HEX(text) FROM notes')" C3A9
ok 'fsck finds nothing' wait_until 20 silver fsck
done_testing
