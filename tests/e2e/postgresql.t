#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# service.postgresql and service.postgis: a database of one's own at the first push, from a server that the node
# starts for itself; nobody else's can be reached. About 30 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=static
START=$(date +%s)
start_silverd

# A script of the app's that speaks SQL: bin/sql 'SELECT 1' [USER [PASSWORD [DBNAME]]]
write_sql() {
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/sql" <<-'END'
		#!/bin/sh
		export PGHOST="$CONFIG_PG_HOST" PGPORT="$CONFIG_PG_PORT"
		export PGUSER="${2-$CONFIG_PG_USER}" PGPASSWORD="${3-$CONFIG_PG_PASSWORD}" PGDATABASE="${4-$CONFIG_PG_DBNAME}"
		exec psql --no-psqlrc --no-password -v ON_ERROR_STOP=1 -Atc "$1" 2>&1
	END
	chmod 755 "$REPO/bin/sql"
}

sql() { # APP SQL [ARGS...]: in the live release, with its environment
	sq_app=$1
	shift
	silver run "$sq_app" bin/sql "$@"
}

env_of() { # APP NAME
	tr '\0' '\n' <"$STATE/apps/$1/current/env" | sed -n "s/^$2=//p"
}

new_app blog
write_sql
commit_app 1 'service.PostgreSQL =' \
	"update_fetch = script:bin/sql 'CREATE TABLE IF NOT EXISTS notes (text TEXT); INSERT INTO notes VALUES (\$\$v\$\$)'"
ok '44 the first push makes the server, the database, and what update_fetch wants of it' push
ok '   and says so' said 'silver: service postgresql: provided in [0-9.]+ m?s'
ok '   what was made is there' equal "$(sql blog 'SELECT text FROM notes')" v
ok '   DATABASE_URL leads to it, too' \
	equal "$(silver run blog sh -c 'psql "$DATABASE_URL" -Atc "SELECT text FROM notes"')" v
ok '   the database is of UTF-8 and survives a crash' \
	equal "$(sql blog "SELECT current_setting('server_encoding'), current_setting('fsync')")" 'UTF8|on'
ok '   it listens on no network' equal "$(sql blog 'SHOW listen_addresses')" ''

ok 'what it was given is for the group of the app alone' \
	equal "$(stat -c %a "$STATE/apps/blog/services" "$STATE/apps/blog/services/postgresql" | tr '\n' ' ')" '2750 640 '
password=$(env_of blog CONFIG_PG_PASSWORD)
ok '   with a password that nobody guesses' test "${#password}" -ge 32
not_told() { # anywhere but where it belongs
	! grep -q "$password" "$TMP/push.err" "$TMP/silverd.log" &&
		! grep -rqs "$password" "$STATE/services" "$STATE/log" &&
		! grep -aqs "$password" /proc/[0-9]*/cmdline
}
ok '   which is in no log, no output and no command line' not_told
ok '   fsck knows all of it' silver fsck

write_app 2 'service.postgresql =' && git -C "$REPO" add -A && git -C "$REPO" commit -qm 2
ok 'a second push keeps it all' push
ok '   asks nobody' must_fail said 'provided'
ok '   the same password' equal "$(env_of blog CONFIG_PG_PASSWORD)" "$password"
ok '45 the data survive' equal "$(sql blog 'SELECT text FROM notes')" v

write_app 3 'service.postgis = yes' && git -C "$REPO" add -A && git -C "$REPO" commit -qm 3
ok '-o plan says what would be provided' must_fail push -o plan HEAD:master
ok '   and provides nothing' said 'plan: service: postgis, would be provided'
ok 'postgis after postgresql' push
ok '   in the same database' equal "$(sql blog 'SELECT text FROM notes')" v
inside="SELECT ST_Intersects(ST_GeomFromText('POLYGON((0 0,0 2,2 2,2 0,0 0))', 4326), ST_SetSRID(ST_Point(1, 1), 4326))"
ok '   a point is in a polygon' equal "$(sql blog "$inside")" t
ok '   the state plane of Massachusetts is known' \
	equal "$(sql blog 'SELECT srid FROM spatial_ref_sys WHERE srid = 26986')" 26986

new_app shop
write_sql
commit_app 1 'service.postgis =' "update_fetch = script:bin/sql 'SELECT ST_Intersects(ST_Point(1, 1), ST_Point(1, 1))'"
ok 'postgis at a first push: update_fetch uses it' push
ok '44 isolation: with its own password another database is shut' must_fail sql shop 'SELECT 1' shop \
	"$(env_of shop CONFIG_PG_PASSWORD)" blog
ok '   and so are those that nobody owns' must_fail sql shop 'SELECT 1' shop "$(env_of shop CONFIG_PG_PASSWORD)" postgres
ok '   another user without a password' must_fail sql shop 'SELECT 1' blog '' blog
if [ "$(id -u)" -eq 0 ]; then
	ok '   the administrator' must_fail sql shop 'SELECT 1' silver-admin 'x' postgres
else
	skip '   the administrator' 'all apps and the server are one user without root'
fi
ok '   its own goes' equal "$(sql shop 'SELECT 1')" 1
ok '   the other way round, too' must_fail sql blog 'SELECT 1' blog "$(env_of blog CONFIG_PG_PASSWORD)" shop
ok '   it may make no role' must_fail sql shop 'CREATE ROLE x'
ok '   nor run a program on the server' must_fail sql shop "COPY (SELECT 1) TO PROGRAM 'true'"
cannot_read_others() {
	for co_file in "$STATE/services/postgresql/data/PG_VERSION" "$STATE/apps/blog/services/postgresql" \
		"$STATE/apps/blog/current/env"; do
		! silver run shop cat "$co_file" || return 1
	done
}
if [ "$(id -u)" -eq 0 ]; then
	ok '   nor read what the other was given, nor the files of the server' cannot_read_others
else
	skip '   nor read what the other was given, nor the files of the server' 'all apps are one user without root'
fi

new_app bad
commit_app 1 'service.postgresq =' 'service.files = /etc'
ok 'what a node has not is refused' must_fail push
ok '   with line and the nearest name' \
	said "app\.ini:3: service\.postgresq: this node has no service 'postgresq' \(did you mean 'postgresql'\?\)"
ok '   and so is a value that is none' said "app\.ini:4: service\.files: it takes no value, and has '/etc'"
ok '   nothing was made for it' test ! -e "$STATE/apps/bad/services"

APP=blog
ok 'rotate: another password in a new release' silver rotate blog postgis
ok '   leads to the same database' equal "$(sql blog 'SELECT text FROM notes')" v
ok '   by another login' equal "$(sql blog 'SELECT session_user')" blog-2
ok '   what it makes belongs to the same role' \
	equal "$(sql blog "CREATE TABLE t (); SELECT tableowner FROM pg_tables WHERE tablename = 't'" | tail -n 1)" blog
ok '   the old login is shut' wait_until 60 must_fail sql blog 'SELECT 1' blog "$password"
ok '   and a third one' wait_until 60 silver rotate blog postgresql
ok '   as the first' equal "$(sql blog 'SELECT session_user, text FROM notes')" 'blog|v'

ok 'the node ends, with its server' stop_silverd
ok '   nothing is left running' wait_until 30 nothing_runs
start_silverd
ok 'and starts with it: the data are there' equal "$(sql blog 'SELECT text FROM notes')" v
kill -KILL "$SILVERD"
wait "$SILVERD" 2>/dev/null || true
start_silverd
ok 'a silverd that was killed finds its server running' equal "$(sql blog 'SELECT text FROM notes')" v
kill -KILL "$(head -n 1 "$STATE/services/postgresql/data/postmaster.pid")"
ok 'a server that was killed comes back by itself' \
	wait_until 60 sql blog 'SELECT text FROM notes'

ok '45 destroy leaves no trace' silver destroy shop --yes
roles="SELECT count(*) FROM pg_roles WHERE rolname = 'shop'"
ok '   no role' equal "$(sql blog "$roles")" 0
ok '   no database' equal "$(sql blog "SELECT count(*) FROM pg_database WHERE datname = 'shop'")" 0
ok '   the other app has its own' equal "$(sql blog 'SELECT text FROM notes')" v
ok 'fsck finds nothing' wait_until 20 silver fsck
echo "# $(($(date +%s) - START)) s"
done_testing
