#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# Two apps with every service that keeps data, each against the other: neither connects to, reads nor guesses what the other has,
# and what opens it is told nowhere. About 30 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
SERVICES='postgresql mysql redis sqlite files'
start_silverd

# bin/of SERVICE: says what is in the data of the app whose variables are in the environment
write_of() {
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/of" <<-'END'
		#!/bin/sh
		case $1 in
		postgresql) exec psql --no-psqlrc -wAtc "${2:-SELECT word FROM secret}" "$CONFIG_PG_SQLALCHEMY" ;;
		mysql) MYSQL_PWD=$CONFIG_MYSQL_PASSWORD exec mariadb --no-defaults -N -h "$CONFIG_MYSQL_HOST" -P "$CONFIG_MYSQL_PORT" \
			-u "$CONFIG_MYSQL_USER" -e "${2:-SELECT word FROM secret}" "$CONFIG_MYSQL_DBNAME" ;;
		redis) [ -n "$2" ] || set -- redis get "${CONFIG_REDIS_PREFIX}secret"
			shift; exec redis-cli -e --no-auth-warning -u "$REDIS_URL" "$@" ;;
		sqlite) exec python3 -c 'import sqlite3, sys
		for row in sqlite3.connect("file:" + sys.argv[1] + "?mode=rw", uri=True).execute(sys.argv[2]): print(row[0])' \
			"$CONFIG_SQLITE_PATH" "${2:-SELECT word FROM secret}" ;;
		files) exec cat "$CONFIG_FILES/secret" ;;
		esac
	END
	cat >"$REPO/bin/fill" <<-'END'
		#!/bin/sh
		set -e
		for service in postgresql mysql; do
			bin/of $service 'CREATE TABLE secret (word VARCHAR(20))'
			bin/of $service "INSERT INTO secret VALUES ('of-$SILVER_APP_NAME')"
		done
		bin/of redis set "${CONFIG_REDIS_PREFIX}secret" "of-$SILVER_APP_NAME"
		python3 -c 'import os, sqlite3
		db = sqlite3.connect(os.environ["CONFIG_SQLITE_PATH"])
		db.execute("CREATE TABLE secret (word)")
		db.execute("INSERT INTO secret VALUES (?)", ("of-" + os.environ["SILVER_APP_NAME"],))
		db.commit()'
		echo "of-$SILVER_APP_NAME" >"$CONFIG_FILES/secret"
	END
	chmod 755 "$REPO/bin/of" "$REPO/bin/fill"
}

make_app() { # NAME
	new_app "$1"
	write_of
	write_app 1
	for service in $SERVICES; do
		echo "service.$service =" >>"$REPO/app.ini"
	done
	git -C "$REPO" add -A && git -C "$REPO" commit -qm 1
	push && silver run "$1" bin/fill >"$TMP/fill.out" 2>&1
}

variables() { # APP: NAME=VALUE lines of its services
	tr '\0' '\n' <"$STATE/apps/$1/current/env" | grep -E '^(CONFIG_|REDIS_URL|DATABASE_URL)'
}

# What APP gets with the address of OTHER: by either name, with its own password, none, and a guessed one
answers() { # APP OTHER SERVICE
	variables "$2" >"$TMP/theirs"
	case $3 in
	sqlite | files)
		cp "$TMP/theirs" "$TMP/tried"
		run_with "$1" "$3" 2>&1 || true
		return
		;;
	esac
	for an_user in "$1" "$2"; do
		for an_password in "$(variables "$1" | sed -n "s/^CONFIG_$(prefix "$3")_PASSWORD=//p")" '' "$2"; do
			sed -E -e "s|^(CONFIG_[A-Z]*_PASSWORD)=.*|\\1=$an_password|; s|^(CONFIG_[A-Z]*_USER(NAME)?)=.*|\\1=$an_user|" \
				-e "s|^([A-Z_]*=[a-z]+://)[^:@]*:[^@]*@|\\1$an_user:$an_password@|" "$TMP/theirs" >"$TMP/tried"
			run_with "$1" "$3" 2>&1 || true
		done
	done
}
# The way that is tried is one: with the password of the other it leads there.
is_a_way() { # APP OTHER SERVICE
	variables "$2" >"$TMP/tried"
	equal "$(run_with "$1" "$3" 2>&1)" "of-$2"
}
prefix() {
	case $1 in postgresql) echo PG ;; *) echo "$1" | tr '[:lower:]' '[:upper:]' ;; esac
}
run_with() { # APP SERVICE: in the app's processes, with the variables that are tried
	sed "s/'/'\\\\''/g; s/=\\(.*\\)/='\\1'/; s/^/export /" "$TMP/tried" >"$TMP/exports"
	silver run "$1" sh -c "$(cat "$TMP/exports")
		exec bin/of $2"
}
is_shut() { # APP OTHER SERVICE
	answers "$@" >"$TMP/answers"
	! grep "of-$2" "$TMP/answers" || return 1
	test -s "$TMP/answers" # each was refused in words
}

ok 'an app with every service' make_app blog
ok 'and another' make_app shop
for service in $SERVICES; do
	for pair in 'blog shop' 'shop blog'; do
		app=${pair% *} other=${pair#* }
		ok "44 $service: $app has its own" equal "$(silver run "$app" bin/of "$service")" "of-$app"
		case $service in
		sqlite | files)
			[ "$(id -u)" -eq 0 ] || {
				skip "44 $service: that of $other is shut for $app" 'all apps are one user without root'
				continue
			}
			;;
		esac
		case $service in postgresql | mysql | redis) ok '   the way that is tried would lead there' is_a_way "$app" "$other" "$service" ;; esac
		ok "44 $service: that of $other is shut for $app" is_shut "$app" "$other" "$service"
	done
done

# The passwords
for app in blog shop; do
	variables "$app" | sed -n 's/^CONFIG_[A-Z]*_PASSWORD=//p'
done | sort -u >"$TMP/passwords"
ok 'six passwords' equal "$(wc -l <"$TMP/passwords")" 6
ok '   of 128 bits' equal "$(grep -cxE '[0-9a-f]{32}' "$TMP/passwords")" 6
not_told() { # FILE...: anywhere in them
	! grep -alFf "$TMP/passwords" "$@" 2>/dev/null
}
ok '   in no command line' not_told /proc/[0-9]*/cmdline
ok '   in no output of git' not_told "$TMP"/push.*
logs() {
	# shellcheck disable=SC2046 # no blanks in them
	not_told "$TMP/silverd.log" $(find "$STATE/log" "$STATE/services" "$STATE/run" -type f)
}
ok '   in no log, nor with a server' logs
modes() {
	find "$STATE"/apps/*/services "$STATE"/apps/*/releases -type f \( -perm -001 -o -perm -004 -o -perm -002 \) >"$TMP/open"
	# shellcheck disable=SC2046
	[ ! -s "$TMP/open" ] || not_told $(cat "$TMP/open")
}
ok '   in no file that others may read' modes
pages() {
	fetch /none >"$TMP/page.404" && curl -sS -H 'Host: nobody.example' "http://127.0.0.1:$HTTP_PORT/" >"$TMP/page.host" &&
		silver disable blog >/dev/null && fetch / >"$TMP/page.503" && silver enable blog >/dev/null && test -s "$TMP/page.503" && not_told "$TMP"/page.*
}
APP=blog
ok '   in no error page' pages
done_testing
