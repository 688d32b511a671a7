#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# Backup, restore and clear of all that an app keeps; a cut archive, a damaged one, another node. About 35 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
SERVICES='sqlite files writable_root'
if [ -n "$(ls /usr/share/postgresql/*/extension/postgis.control 2>/dev/null)" ]; then
	SERVICES="$SERVICES postgis"
elif [ -n "$(ls /usr/lib/postgresql/*/bin/pg_dump /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ]; then
	SERVICES="$SERVICES postgresql"
fi
{ command -v mariadbd && command -v mariadb-dump; } >/dev/null && SERVICES="$SERVICES mysql"
command -v redis-server >/dev/null && command -v redis-cli >/dev/null && SERVICES="$SERVICES redis"
has() {
	case " $SERVICES " in *" $1 "*) ;; *) return 1 ;; esac
}

# bin/data fill WORD | wipe | show: the same in all services
write_data() {
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/data" <<-'END'
		#!/bin/sh
		set -eu
		sql() {
			PGHOST="$CONFIG_PG_HOST" PGPORT="$CONFIG_PG_PORT" PGUSER="$CONFIG_PG_USER" PGPASSWORD="$CONFIG_PG_PASSWORD" \
				PGDATABASE="$CONFIG_PG_DBNAME" psql --no-psqlrc -w -v ON_ERROR_STOP=1 -qAtc "$1" 2>&1
		}
		keys() {
			REDISCLI_AUTH="$CONFIG_REDIS_PASSWORD" redis-cli -h "$CONFIG_REDIS_HOST" -p "$CONFIG_REDIS_PORT" \
				--user "$CONFIG_REDIS_USER" "$@" 2>&1
		}
		maria() {
			MYSQL_PWD="$CONFIG_MYSQL_PASSWORD" mariadb --no-defaults --default-character-set=utf8mb4 -h "$CONFIG_MYSQL_HOST" -P "$CONFIG_MYSQL_PORT" \
				-u "$CONFIG_MYSQL_USER" -NBe "$1" "$CONFIG_MYSQL_DBNAME" 2>&1
		}
		# a square kilometre of Massachusetts (SRID 26986), and which of two points is in it
		is_gis() { [ "$(sql "SELECT count(*) FROM pg_extension WHERE extname = 'postgis'")" = 1 ]; }
		place() {
			sql "CREATE TABLE IF NOT EXISTS district (name text, shape geometry(Polygon, 26986))"
			sql "CREATE INDEX IF NOT EXISTS district_shape ON district USING gist (shape)"
			sql "INSERT INTO district VALUES ('$1', ST_GeomFromText('POLYGON((236000 900000, 237000 900000, 237000 901000, 236000 901000, 236000 900000))', 26986))"
		}
		where_is() {
			sql "SELECT name, ST_SRID(shape), ST_Area(shape) FROM district
				WHERE ST_Contains(shape, ST_Transform(ST_SetSRID(ST_MakePoint($1), 4326), 26986)) ORDER BY name"
			sql "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = 'district_shape'::regclass"
		}
		lite() {
			python3 -c 'import os, sqlite3, sys
		db = sqlite3.connect(os.environ["CONFIG_SQLITE_PATH"])
		for row in db.execute(sys.argv[1]): print(row[0])
		db.commit()' "$1"
		}
		fill() {
			lite 'CREATE TABLE IF NOT EXISTS note (text)'
			lite "INSERT INTO note VALUES ('$1')"
			mkdir -p "$CONFIG_FILES/a b/c"
			printf %s "$1" >"$CONFIG_FILES/a b/c/f"
			: >"$CONFIG_FILES/empty"
			ln -sfn 'a b' "$CONFIG_FILES/link"
			chmod 750 "$CONFIG_FILES/a b/c/f"
			printf %s "$1" >"$CONFIG_WRITABLE_ROOT/page.html"
			if [ "${CONFIG_PG_HOST+x}" ]; then
				sql 'SET client_min_messages = error; CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, text text)'
				sql "INSERT INTO note (text) VALUES ('$1')"
				! is_gis || place "$1" 2>/dev/null >&2
			fi
			if [ "${CONFIG_MYSQL_HOST+x}" ]; then
				maria 'CREATE TABLE IF NOT EXISTS note (id int PRIMARY KEY AUTO_INCREMENT, text varchar(99) CHARACTER SET utf8mb4, raw blob)'
				maria "INSERT INTO note (text, raw) VALUES ('$1 ä😀', x'00ff27')"
				maria 'CREATE OR REPLACE TRIGGER loud BEFORE INSERT ON note FOR EACH ROW SET NEW.text = upper(NEW.text)'
			fi
			if [ "${CONFIG_REDIS_HOST+x}" ]; then
				keys set "${CONFIG_REDIS_PREFIX}word" "$1"
				keys rpush "${CONFIG_REDIS_PREFIX}list" "$1"
				keys set "${CONFIG_REDIS_PREFIX}short" "$1" EX 100000
			fi >/dev/null
		}
		show() {
			lite 'SELECT text FROM note' 2>/dev/null || echo none
			(cd "$CONFIG_FILES" && find . | sort && cat 'a b/c/f' && readlink link && stat -c %a 'a b/c/f') 2>/dev/null || echo none
			cat "$CONFIG_WRITABLE_ROOT/page.html" 2>/dev/null || echo none
			[ -z "${CONFIG_PG_HOST+x}" ] || sql 'SELECT id, text FROM note ORDER BY id' || echo none
			if [ "${CONFIG_PG_HOST+x}" ] && is_gis; then
				where_is '-71.063, 42.352' || echo none
				where_is '-72.5, 42.3' || echo none
			fi
			[ -z "${CONFIG_MYSQL_HOST+x}" ] || maria 'SELECT id, text, hex(raw) FROM note ORDER BY id; SELECT trigger_name, action_statement FROM information_schema.triggers' || echo none
			if [ "${CONFIG_REDIS_HOST+x}" ]; then
				keys get "${CONFIG_REDIS_PREFIX}word"
				keys lrange "${CONFIG_REDIS_PREFIX}list" 0 -1
				[ "$(keys ttl "${CONFIG_REDIS_PREFIX}short")" -le 0 ] || echo lives
			fi
		}
		"$@"
	END
	chmod 755 "$REPO/bin/data"
}

data() { # APP COMMAND...
	da_app=$1
	shift
	silver run "$da_app" bin/data "$@"
}

make_app() { # NAME
	new_app "$1"
	write_data
	write_app 1
	for service in $SERVICES; do
		sed -i "/^\[production\]/a service.$service =" "$REPO/app.ini"
	done
	git -C "$REPO" add -A && git -C "$REPO" commit -qm 1
	push
}

backups() {
	find "$STATE/data/blog/backups" -type f -name '*.tar.zst' | wc -l
}

command -v zstd >/dev/null || {
	echo '1..0 # SKIP zstd is not installed'
	exit 0
}
for service in postgis redis mysql; do
	has "$service" || skip "44 $service" 'it is not installed'
done
start_silverd
ok 'an app with several services' make_app blog
data blog fill one || bail 'it could not be filled'
shown=$(data blog show)
contains() { # WORD: what the app shows
	data blog show | grep -q "$1"
}
! has postgis || ok '   a point is in a polygon of SRID 26986' contains '^one|26986|1000000$'
! has mysql || ok '   MariaDB has its row' contains '^1	one .*00FF27$'
ok '44 a backup, kept on the node' silver backup blog first.tar.zst
ok '   is listed' said '^first\.tar\.zst +[0-9]+ bytes' /dev/stdin <<END
$(silver backup blog --list)
END
ok '   has a manifest that people read' \
	said '^app = blog$' /dev/stdin <<END
$(tar --zstd -xOf "$STATE/data/blog/backups/first.tar.zst" manifest.ini)
END
stream() { # the names in it
	verb backup blog - >"$TMP/blog.tar.zst"
	tar --zstd -tf "$TMP/blog.tar.zst" | tail -n 1 | grep -qx end.ini
}
ok '44 a backup to where the developer is, through ssh' stream
no_secret() {
	tr '\0' '\n' <"$STATE/apps/blog/current/env" | sed -n 's/.*_PASSWORD=//p' >"$TMP/secrets"
	zstd -dcq "$TMP/blog.tar.zst" >"$TMP/blog.tar"
	! grep -aqFf "$TMP/secrets" "$TMP/blog.tar"
}
ok '   no password is in it' no_secret

data blog fill two
ok 'the data change' must_fail equal "$(data blog show)" "$shown"
ok 'who does not say --yes changes nothing' exits 1 silver restore blog first.tar.zst
ok '44 clear' silver clear blog --yes
ok '   nothing is left' must_fail sh -c "echo '$(data blog show | tr "\n'" '  ')' | grep -qw 'one\|two'"
ok '   it serves again' wait_until 60 serves 1
ok '44 restore' silver restore blog first.tar.zst --yes
ok '   all is as it was' equal "$(data blog show)" "$shown"
ok '   it serves again' wait_until 60 serves 1
ok '   what it had is kept' test -f "$STATE/data/blog/backups/before-restore.tar.zst"
data blog fill three
ok '44 restore of what was streamed, through ssh' verb restore blog - --yes <"$TMP/blog.tar.zst"
ok '   all is as it was' equal "$(data blog show)" "$shown"
ok '   fsck knows all of it' silver fsck

data blog fill four
shown_four=$(data blog show)
cut() { # BYTES
	head -c "$1" "$TMP/blog.tar.zst" >"$TMP/cut"
	must_fail verb restore blog - --yes <"$TMP/cut"
}
size=$(stat -c %s "$TMP/blog.tar.zst")
for at in 0 1 $((size / 2)) $((size - 40)) $((size - 1)); do
	ok "an archive that was cut after $at bytes is refused" cut "$at"
done
damage() {
	cp "$TMP/blog.tar.zst" "$TMP/bad"
	printf '\377\000\377\001' | dd of="$TMP/bad" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
	must_fail verb restore blog - --yes <"$TMP/bad"
}
ok 'a damaged archive is refused' damage
repacked() { # well formed, and not what it says
	rm -rf "$TMP/re" && mkdir "$TMP/re" && tar --zstd -xf "$TMP/blog.tar.zst" -C "$TMP/re"
	printf x | dd of="$TMP/re/files.dump" bs=1 seek=20 conv=notrunc 2>/dev/null
	tar --zstd -tf "$TMP/blog.tar.zst" >"$TMP/re/names"
	tar --zstd -cf "$TMP/bad" -C "$TMP/re" -T "$TMP/re/names"
	exits 1 verb restore blog - --yes <"$TMP/bad" 2>"$TMP/out"
	said 'nothing was changed: .*a digest in it is another' "$TMP/out"
}
ok 'one that was altered and packed again is refused, too' repacked
ok '   nothing of all that changed anything' equal "$(data blog show)" "$shown_four"
ok '   nor left a half' nothing_half

new_key dev && add_user dev --role deploy >/dev/null
KEY=dev
ok 'who may deploy may back up' verb backup blog
ok '   and not restore' exits 5 verb restore blog first.tar.zst --yes
ok '   nor clear' exits 5 verb clear blog --yes
KEY='admin'
ok 'a name that leaves the directory is none' exits 2 silver backup blog ../x.tar.zst
ok 'a backup that is not there' exits 4 silver restore blog none.tar.zst --yes

small_app() { # without any process
	PLATFORM=static
	new_app small
	commit_app 1
	push
}
ok 'an app that has less' small_app
ok '   cannot take it, and says what is missing' exits 1 sh -c "\"$USR/bin/silver\" --dir '$STATE' restore small - --yes <'$TMP/blog.tar.zst'"
ok 'a backup of nothing is one' silver backup small
ok '   which can be restored' sh -c '"$0" --dir "$1" backup small - | "$0" --dir "$1" restore small - --yes' "$USR/bin/silver" "$STATE"
PLATFORM=python

ok 'destroy' silver destroy blog --yes
ok '45 leaves no trace, of backups neither' test ! -e "$STATE/data/blog"

# another node
stop_silverd
STATE=$TMP/second SSH_PORT='' HTTP_PORT=''
rm -rf "$TMP/keys"
start_silverd
ok '44 on another node' make_app blog
ok '   the data arrive' verb restore blog - --yes <"$TMP/blog.tar.zst"
ok '   and are the same' equal "$(data blog show)" "$shown"
ok '   with the names and passwords of that node' silver redeploy blog
ok '   as before' equal "$(data blog show)" "$shown"
done_testing
