#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# Servers elsewhere, that node.ini names: PostgreSQL and MariaDB with TLS, Redis with its ACL, each a second real server on a port
# of its own. One that is gone, hangs or has another certificate refuses the push that needs it, and no other. About 25 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=static
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | tail -n 1):/usr/sbin
away=$TMP/away
mkdir -m 711 "$away" "$away/run"
if [ "$(id -u)" -eq 0 ]; then # the servers do not run as root
	chown nobody: "$away" "$away/run"
	as_server() { ${BECOME:-} setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$away" PATH="$PATH" "$@"; }
else
	as_server() { ${BECOME:-} "$@"; }
fi
# as_server behind '&' with this is the server itself, for $! to name
BECOME=
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
certificate() { # NAME: an authority of its own, and a server of 127.0.0.1
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1 authority" -keyout "$TMP/$1-ca.key" -out "$TMP/$1-ca.pem"
	openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout "$away/$1.key" -out "$TMP/$1.csr"
	openssl x509 -req -in "$TMP/$1.csr" -days 2 -CA "$TMP/$1-ca.pem" -CAkey "$TMP/$1-ca.key" -CAcreateserial -copy_extensions copyall \
		-out "$away/$1.pem"
	chmod 600 "$away/$1.key"
	[ "$(id -u)" -ne 0 ] || chown nobody: "$away/$1.key" "$away/$1.pem"
}
{ certificate server && certificate stranger; } >"$TMP/openssl.out" 2>&1 || bail 'no certificate'
chmod 644 "$TMP"/*-ca.pem

pg_port=$(free_port)
as_server initdb -D "$away/pg" -U postgres --auth-local=trust --auth-host=scram-sha-256 >"$TMP/initdb.out" 2>&1 || bail 'initdb'
as_server sh -c 'printf "%s\n" "local all all trust" "hostssl all all 127.0.0.1/32 scram-sha-256" >"$1/pg/pg_hba.conf"' - "$away"
BECOME="exec" as_server postgres -D "$away/pg" -p "$pg_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$away/run" -c fsync=off -c ssl=on \
	-c ssl_cert_file="$away/server.pem" -c ssl_key_file="$away/server.key" >"$TMP/pg.out" 2>&1 3>&- &
pg=$!
my_port=$(free_port)
as_server mariadb-install-db --no-defaults --datadir="$away/my" --auth-root-authentication-method=normal --skip-test-db >"$TMP/my.out" 2>&1 ||
	bail 'mariadb-install-db'
BECOME="exec" as_server mariadbd --no-defaults --datadir="$away/my" --socket="$away/run/my" --port="$my_port" --bind-address=127.0.0.1 \
	--ssl-ca="$TMP/server-ca.pem" --ssl-cert="$away/server.pem" --ssl-key="$away/server.key" --require-secure-transport=ON \
	>>"$TMP/my.out" 2>&1 3>&- &
my=$!
redis_port=$(free_port)
as_server sh -c 'printf "%s\n" "user default off" "user operator on >of-redis ~* &* +@all" >"$1/users.acl"' - "$away"
BECOME="exec" as_server redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$away" --save '' --aclfile "$away/users.acl" >"$TMP/redis.out" 2>&1 3>&- &
redis=$!
stop_servers() {
	for ss_pid in $pg $my $redis; do
		kill -CONT "$ss_pid"
		kill -KILL "$ss_pid"
	done 2>/dev/null
	wait
}
CLEAN_UP=stop_servers

sql() { # as PostgreSQL's administrator
	psql -h "$away/run" -p "$pg_port" -U postgres -Atqc "$1" "${2:-postgres}"
}
my_sql() {
	mariadb --no-defaults -S "$away/run/my" -u root -N -e "$1"
}
keys() {
	REDISCLI_AUTH=of-redis redis-cli -p "$redis_port" --user operator "$@"
}
wait_until 60 sql 'SELECT 1' >/dev/null || bail 'no PostgreSQL'
sql "CREATE ROLE operator LOGIN CREATEDB CREATEROLE PASSWORD 'of-postgresql'; CREATE ROLE shop LOGIN"
wait_until 60 my_sql 'SELECT 1' >/dev/null || bail 'no MariaDB'
my_sql "CREATE USER operator@'127.0.0.1' IDENTIFIED BY 'of-mysql' REQUIRE SSL; GRANT ALL ON *.* TO operator@'127.0.0.1' WITH GRANT OPTION"
wait_until 60 keys ping >/dev/null || bail 'no Redis'

start_silverd
for service in postgresql mysql redis; do
	printf 'of-%s\nwhat is behind the first line is nobody'"'"'s\n' "$service" >"$TMP/$service.secret"
	chmod 600 "$TMP/$service.secret"
done
settings() { # CA
	sed -i '/^\[service/,$d' "$STATE/node.ini"
	cat >>"$STATE/node.ini" <<-END
		[service.postgresql]
		admin = postgresql://operator@127.0.0.1:$pg_port/postgres?sslmode=verify-full&sslrootcert=$TMP/$1-ca.pem
		password_file = $TMP/postgresql.secret
		[service.mysql]
		admin = mysql://operator@127.0.0.1:$my_port/?ssl-ca=$TMP/$1-ca.pem
		password_file = $TMP/mysql.secret
		[service.redis]
		admin = redis://operator@127.0.0.1:$redis_port/
		password_file = $TMP/redis.secret
	END
}

settings stranger
new_app blog
commit_app 1 'service.postgresql ='
ok 'a PostgreSQL whose certificate is of another authority is refused' must_fail push
ok '   in its words' said 'app\.ini:3: service\.postgresql: cannot reach the server: .*certificate verify failed'
commit_app 1 'service.mysql ='
ok 'and such a MariaDB' must_fail push
ok '   in its words' said 'app\.ini:3: service\.mysql: cannot reach the server: .*(certificate|TLS|SSL)'
settings server
commit_app 1 'service.postgresql =' 'service.mysql =' 'service.redis ='
ok 'three servers elsewhere' push
ok '   none is made here' test ! -e "$STATE/services/postgresql"
ok '   the database is the app'"'"'s' equal "$(sql "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'blog'")" blog
ok '   shut for others' equal "$(sql "SELECT has_database_privilege('shop', 'blog', 'CONNECT')")" f
ok '   its role makes no others' equal "$(sql "SELECT rolcreatedb, rolcreaterole, rolsuper FROM pg_roles WHERE rolname = 'blog'")" 'f|f|f'
ok '   it is there by TLS, as DATABASE_URL says' \
	equal "$(silver run blog sh -c 'psql "$DATABASE_URL" -Atc "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"')" 'blog|t'
my_app() { # SQL
	silver run blog sh -c 'MYSQL_PWD="$CONFIG_MYSQL_PASSWORD" mariadb --no-defaults -N -h "$CONFIG_MYSQL_HOST" -P "$CONFIG_MYSQL_PORT" \
		--ssl-ca="$CONFIG_MYSQL_SSL_CA" --ssl-verify-server-cert -u "$CONFIG_MYSQL_USER" "$CONFIG_MYSQL_DBNAME" -e "$1"' - "$1" 2>&1
}
ok '   MariaDB, too' equal "$(my_app "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'")" 1
without_tls() {
	silver run blog sh -c 'MYSQL_PWD="$CONFIG_MYSQL_PASSWORD" mariadb --no-defaults --skip-ssl -h "$CONFIG_MYSQL_HOST" -P "$CONFIG_MYSQL_PORT" \
		-u "$CONFIG_MYSQL_USER" -e "SELECT 1"'
}
ok '   whose account wants it' must_fail without_tls
wants_ssl() {
	my_sql "SHOW CREATE USER blog@'%'" | grep -q 'REQUIRE SSL'
}
ok '   by itself' wants_ssl
ok '   and has rights there alone' must_fail my_app 'SELECT * FROM mysql.global_priv'
ok '   Redis: its own keys' equal "$(silver run blog sh -c 'redis-cli --no-auth-warning -u "$REDIS_URL" set blog:a 1')" OK
ok '   no others' said NOPERM /dev/stdin <<END
$(silver run blog sh -c 'redis-cli --no-auth-warning -u "$REDIS_URL" get shop:a' 2>&1)
END
not_told() {
	for nt_file in "$TMP/push.err" "$TMP/silverd.log" "$STATE/apps/blog/current/env"; do
		! grep -aE 'of-(postgresql|mysql|redis)' "$nt_file" || return 1
	done
	! grep -aqsE 'of-(postgresql|mysql|redis)' /proc/[0-9]*/cmdline
}
ok 'the administrators'"'"' passwords are in no output, log, command line, nor with the app' not_told

silver run blog sh -c 'psql "$DATABASE_URL" -qc "CREATE TABLE note AS SELECT 1 AS n"'
my_app 'CREATE TABLE note AS SELECT 2 AS n'
ok 'a backup, from all three' silver backup blog away.tar.zst
silver run blog sh -c 'psql "$DATABASE_URL" -qc "DELETE FROM note"; redis-cli --no-auth-warning -u "$REDIS_URL" del blog:a' >/dev/null
my_app 'DELETE FROM note'
ok '   restored' silver restore blog away.tar.zst --yes
ok '   as it was' equal "$(silver run blog sh -c 'psql "$DATABASE_URL" -Atc "SELECT n FROM note"; redis-cli --no-auth-warning -u "$REDIS_URL" get blog:a')$(my_app 'SELECT n FROM note')" "1
12"
old=$(silver run blog sh -c 'echo "$DATABASE_URL"')
ok 'rotate' silver rotate blog postgresql
old_goes() {
	psql "$old" -Atc 'SELECT 1'
}
ok '   the old password is shut' wait_until 60 must_fail old_goes
ok '   the new one leads to the same data' equal "$(silver run blog sh -c 'psql "$DATABASE_URL" -Atc "SELECT n FROM note"')" 1

# Not made by silver: not taken
new_app shop
commit_app 1 'service.postgresql ='
ok 'a role that somebody else made is not taken' must_fail push
ok '   in words' said "has a role 'shop' that was not made by silver"

# A server that hangs, and one that is gone
serves_on() {
	APP=blog REPO=$TMP/work/blog
	commit_app 2 'service.postgresql =' 'service.mysql =' 'service.redis ='
	push
}
new_app late
commit_app 1 'service.postgresql ='
kill -STOP "$pg"
push_late() {
	git_node -C "$TMP/work/late" push "$(url late)" HEAD:master >"$TMP/late.out" 2>&1
}
push_late &
late=$!
asks() {
	pgrep -f 'silver-service .* provision late postgresql' >/dev/null
}
ok 'while a server hangs, and an app waits for it' wait_until 60 asks
ok '   an app that has what it needs is pushed' serves_on
new_app plain
commit_app 1 'service.files ='
ok '   and one that needs something else' push
ok '   while the first still waits' asks
ok '   which is refused in the end' must_fail wait "$late"
ok '   because of the time that it took' said 'app\.ini:3: service\.postgresql: cannot reach the server: .*timeout expired' "$TMP/late.out"
kill -CONT "$pg"
kill -KILL "$redis" "$my"
new_app gone
for service in mysql redis; do
	commit_app 1 "service.$service ="
	ok "a server that is gone: $service is refused" must_fail push
	ok '   and says why' said "app\\.ini:3: service\\.$service: cannot reach the server: .*(refused|Can't connect|\(111\))"
done
ok '   nothing became live' test ! -e "$STATE/apps/gone/current"
done_testing
