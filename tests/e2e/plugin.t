#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# Services that the operator adds: examples/service-kv from its first push to its restore; what a broken one can do, which
# is to fail by itself; couchdb and mongodb, which are only told of. About 20 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=static
kv=$TOP/examples/service-kv/kv
ok 'the example keeps the rules' silver service check "$kv" --value 4096
json_is_whole() {
	silver service check "$kv" --json | python3 -c '
import json, sys
rules = json.load(sys.stdin)
assert len(rules) >= 14 and all(rule["ok"] and rule["next"] is None for rule in rules), rules'
}
ok '   also for programs' json_is_whole
ok '   without one there is nothing to look at' exits 4 silver service check "$TMP/none/kv"

start_silverd
mkdir -p "$STATE/services.d"
install -m 755 "$kv" "$STATE/services.d/kv"

plug() { # NAME: its script from stdin; all verbs but the ones it takes print {}
	{
		printf '#!/bin/sh\n'
		cat
		printf 'echo "{}"\n'
	} >"$STATE/services.d/$1"
	chmod 755 "$STATE/services.d/$1"
}

write_kv() { # bin/kv KEY [VALUE]
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/kv" <<-'END'
		#!/bin/sh
		[ $# -eq 1 ] || printf %s "$2" >"$CONFIG_KV_DIR/$1"
		cat "$CONFIG_KV_DIR/$1"
	END
	chmod 755 "$REPO/bin/kv"
}

new_app blog
write_kv
commit_app 1 'service.kv = ten bytes'
ok 'a value that the plug-in does not take is refused' must_fail push
ok '   in its own words, with line' said "app\.ini:3: service\.kv: the plug-in 'kv': 'check' ended with status 1: the value is empty or a number"
commit_app 1 'service.kv = 4096' 'update_fetch = script:bin/kv first one'
ok '44 a service of the operator at the first push' push
ok '   update_fetch has it' said 'silver: \| one'
ok '   its value came' equal "$(silver run blog sh -c 'echo $CONFIG_KV_LIMIT')" 4096
ok '   its data are the app'"'"'s' equal "$(stat -c %u "$STATE/data/blog/service.kv/store")" "$(stat -c %u "$STATE/data/blog")"
ok '   status and fsck know it' silver fsck
commit_app 2 'service.kv = 4096'
ok 'a second push asks nobody' push
ok '   indeed' must_fail said provided
commit_app 3 'service.kv = 100'
ok 'another value is provided' push
ok '   and is in the environment' equal "$(silver run blog sh -c 'echo $CONFIG_KV_LIMIT')" 100
ok '   the data are as they were' equal "$(silver run blog bin/kv first)" one
ok '   it has no password to rotate' exits 1 silver rotate blog kv

ok '44 backup' silver backup blog kept.tar.zst
silver run blog bin/kv first two >/dev/null
ok '44 clear' silver clear blog kv --yes
ok '   nothing is left' must_fail silver run blog bin/kv first
ok '44 restore' silver restore blog kept.tar.zst --yes
ok '   all is as it was' equal "$(silver run blog bin/kv first)" one
commit_app 4 'service.kv = 100'
ok '   a push later, too' push
ok '   indeed' equal "$(silver run blog bin/kv first)" one

other_app() {
	new_app other
	write_kv
	commit_app 1 'service.kv ='
	push
}
ok 'another app has its own' other_app
ok '   empty' must_fail silver run other bin/kv first
if [ "$(id -u)" -eq 0 ]; then
	ok '   and cannot read that of the first' must_fail silver run other cat "$STATE/data/blog/service.kv/store/first"
else
	skip '   and cannot read that of the first' 'all apps are one user without root'
fi

# Who it runs as, and what it is told
plug who <<'END'
[ "$1" != env ] || { printf '{"CONFIG_WHO_UID": "%s", "CONFIG_WHO_ENV": "%s"}\n' "$(id -u)" "$(env | cut -d= -f1 | sort | tr '\n' ' ')"; exit; }
END
plug broker <<'END'
[ "$1" != env ] || { printf '{"BROKER_URL": "%s/%s", "CONFIG_BROKER_USER": "%s", "CONFIG_BROKER_KNOWS": "%s"}\n' "$SILVER_SERVICE_ADMIN" \
	"$SILVER_APP_NAME" "$(id -un)" "${#SILVER_SERVICE_PASSWORD}"; exit; }
END
echo 'a secret of the operator' >"$TMP/secret"
chmod 600 "$TMP/secret"
printf '\n[service.broker]\nadmin = broker://db.example.com\npassword_file = %s\n[service.hang]\ntimeout_ms = 500\n' "$TMP/secret" >>"$STATE/node.ini"
value() {
	tr '\0' '\n' <"$STATE/apps/$APP/current/env" | sed -n "s/^$1=//p"
}
new_app who
commit_app 1 'service.who =' 'service.broker ='
ok 'two more' push
ok '   one runs as the app does, never as root' equal "$(value CONFIG_WHO_UID)" "$(stat -c %u "$STATE/data/who")"
ok '   and is told what the manual says' equal "$(value CONFIG_WHO_ENV)" 'HOME LC_ALL PATH PWD SILVER_APP_NAME SILVER_NODE_ID SILVER_SERVICE SILVER_SERVICE_DIR SILVER_SERVICE_VALUE '
ok '   one that has a server has its address and password' equal "$(value BROKER_URL)$(value CONFIG_BROKER_KNOWS)" broker://db.example.com/who24
if [ "$(id -u)" -eq 0 ]; then
	ok '   as a user of its own' equal "$(value CONFIG_BROKER_USER)" silver-x-broker
else
	skip '   as a user of its own' 'all are one user without root'
fi

# Broken ones. Each is refused in words, in bounded time, and leaves the others alone.
broken() { # NAME PATTERN, the script from stdin
	plug "$1"
	new_app bad
	commit_app 1 "service.$1 ="
	must_fail push && said "app\\.ini:3: service\\.$1: $2" && APP=blog && serves 4
}
ok 'broken: it fails' broken fails "the plug-in 'fails': 'provision' ended with status 3: no disk" <<'END'
[ "$1" != provision ] || { echo 'no disk' >&2; exit 3; }
END
ok '   it hangs' broken hang "the plug-in 'hang': 'check': it did not end within 500 ms and was ended" <<'END'
sleep 47110
END
nothing_sleeps() {
	! pgrep -f 'sleep 4711[0]' >/dev/null
}
ok '   nothing of it is left' wait_until 10 nothing_sleeps
ok '   it babbles' broken babbles "the plug-in 'babbles': 'env': it printed more than 65536 bytes" <<'END'
[ "$1" != env ] || exec yes
END
ok '   it complains without end' broken hang "the plug-in 'hang': 'check': it did not end within 500 ms" <<'END'
exec yes >&2
END
ok '   it leaves a child that holds its output' broken hang "the plug-in 'hang': 'check': what it printed is no JSON object" <<'END'
sleep 47111 & exit 0
END
nothing_sleeps_on() {
	! pgrep -f 'sleep 4711[1]' >/dev/null
}
ok '   which is ended, too' wait_until 10 nothing_sleeps_on
ok '   it prints no JSON' broken prose "the plug-in 'prose': 'check': what it printed is no JSON object: line 1" <<'END'
echo all is well
END
ok '   it names what it may not' broken greedy "the plug-in 'greedy': 'env': 'LD_PRELOAD' is no name of a variable" <<'END'
[ "$1" != env ] || { echo '{"LD_PRELOAD": "/tmp/x.so"}'; exit; }
END
ok '   it ends by a signal' broken crash "the plug-in 'crash': 'check' was killed by signal 11" <<'END'
kill -SEGV $$
END
open_to_all() {
	chmod 777 "$STATE/services.d/fails"
	must_fail push && said "service\\.fails: others than its owner may write its program 'fails': .chmod go-w."
}
new_app bad
commit_app 1 'service.fails ='
ok '   others may write it' open_to_all
linked() {
	ln -sfn /bin/true "$STATE/services.d/fails"
	must_fail push && said "service\\.fails: its program 'fails' is no regular file"
}
ok '   it is a link' linked
rm "$STATE/services.d/fails"
ok '   it is there no more' must_fail push
ok '   which names those that are' said "this node has no service 'fails'.*the services are postgresql.*, broker, .*kv"
ok '   none of them made the app live' test ! -e "$STATE/apps/bad/current"

for kind in babbles hang greedy prose; do
	ok "service check finds what is wrong with '$kind'" exits 1 silver service check --timeout 1 "$STATE/services.d/$kind"
done
says_next() {
	must_fail silver service check "$STATE/services.d/prose" >"$TMP/out" && said '^BROKEN check ' "$TMP/out" &&
		said 'no JSON object' "$TMP/out" && said 'next: print \{\}' "$TMP/out"
}
ok '   and says what to do next' says_next

# A backup that fails leaves no half, and one that hangs is ended
plug half <<'END'
case $1 in
env) echo '{"CONFIG_HALF": "1"}'; exit ;;
backup) echo begun; echo 'the disk is gone' >&2; exit 1 ;;
esac
END
new_app half
commit_app 1 'service.half ='
ok 'a plug-in whose backup fails' push
backup_fails() {
	must_fail silver backup half x.tar.zst >"$TMP/out" 2>&1 && said "backing up 'half': the plug-in 'half': 'backup' ended with status 1: the disk is gone" "$TMP/out" &&
		test ! -e "$STATE/data/half/backups/x.tar.zst"
}
ok '   has none, and the reason' backup_fails

# One that waits holds up its own app, no other
plug slow <<END
[ "\$1" != provision ] || { : >"\$SILVER_SERVICE_DIR/waits"; until [ -e "$TMP/go" ]; do sleep 0.05; done; }
[ "\$1" != env ] || { echo '{"CONFIG_SLOW": "1"}'; exit; }
END
new_app slow
commit_app 1 'service.slow ='
push_slow() {
	git_node -C "$TMP/work/slow" push "$(url slow)" HEAD:master >"$TMP/slow.out" 2>&1
}
push_slow &
slow_pid=$!
ok 'while the service of one app is slow' wait_until 60 test -e "$STATE/data/slow/service.slow/waits"
APP=blog REPO=$TMP/work/blog
commit_app 5 'service.kv = 7'
ok '   the push of another is not held up, nor is its provisioning' push
ok '   it is live' serves 5
ok '   while the first still waits' test ! -e "$STATE/apps/slow/current"
: >"$TMP/go"
ok '   which goes live in the end' wait "$slow_pid"

# Servers that nobody here speaks to
new_app couch
commit_app 1 'service.couchdb =' 'service.mongodb ='
ok 'couchdb and mongodb are refused as long as node.ini names no server' must_fail push
for service in couchdb mongodb; do
	ok "   $service: with what to write there" \
		said "app\\.ini:[34]: service\\.$service: Debian has no server of it, .*: \\[service\\.$service\\] host = HOST\\[:PORT\\]"
done
printf '[service.couchdb]\nhost = couch.example.com:5984\n[service.mongodb]\nhost = mongo://x/y\n' >>"$STATE/node.ini"
ok '   an address that is none is refused' must_fail push
ok '   with its line' said 'node\.ini:[0-9]+: \[service\.mongodb\]: host is HOST or HOST:PORT'
sed -i 's|mongo://x/y|10.0.0.7|' "$STATE/node.ini"
ok 'with both' push
ok '   the app knows where they are' equal "$(tr '\0' '\n' <"$STATE/apps/couch/current/env" | grep -E '^CONFIG_(COUCH|MONGO)DB_' | tr '\n' ' ')" \
	'CONFIG_COUCHDB_DB=couch CONFIG_COUCHDB_HOST=couch.example.com:5984 CONFIG_MONGODB_DB=couch CONFIG_MONGODB_HOST=10.0.0.7 '
said_of_backup() {
	silver backup couch >"$TMP/out" 2>&1 && said 'couchdb: left as it is' "$TMP/out"
}
ok '   a backup says that they are not in it' said_of_backup

ok '45 destroy' silver destroy blog --yes
ok '   leaves nothing' test ! -e "$STATE/data/blog"
ok 'fsck finds nothing' wait_until 20 silver fsck
done_testing
