#!/bin/sh
# service.redis: a prefix of keys of one's own, from a server that the node starts for itself. About 15 s.
# shellcheck disable=SC2016 # expanded in the app's environment
. "$(dirname "$0")/lib.sh"

PLATFORM=static
start_silverd

write_keys() { # bin/keys COMMAND...; $AS: another user and password
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/keys" <<-'END'
		#!/bin/sh
		export REDISCLI_AUTH="$CONFIG_REDIS_PASSWORD"
		exec redis-cli -h "$CONFIG_REDIS_HOST" -p "$CONFIG_REDIS_PORT" --user "$CONFIG_REDIS_USER" "$@" 2>&1
	END
	chmod 755 "$REPO/bin/keys"
}

keys() { # APP COMMAND...
	ky_app=$1
	shift
	silver run "$ky_app" bin/keys "$@"
}

answers() { # PATTERN APP COMMAND...
	an_pattern=$1
	shift
	an_said=$(keys "$@") || true
	echo "$an_said" | grep -q "$an_pattern" || {
		echo "$an_said"
		return 1
	}
}

env_of() { # APP NAME
	tr '\0' '\n' <"$STATE/apps/$1/current/env" | sed -n "s/^$2=//p"
}

new_app blog
write_keys
commit_app 1 'service.redis =' "update_fetch = script:bin/keys set blog:a 'one'"
ok '44 the first push makes the server and a user' push
ok '   what update_fetch put is there' answers '^one$' blog get blog:a
ok '   REDIS_URL leads to it, too' equal "$(silver run blog sh -c 'redis-cli --no-auth-warning -u "$REDIS_URL" get blog:a')" one
ok '   its prefix is in the environment' equal "$(env_of blog CONFIG_REDIS_PREFIX)" blog:
password=$(env_of blog CONFIG_REDIS_PASSWORD)
not_told() {
	! grep -q "$password" "$TMP/push.err" "$TMP/silverd.log" && ! grep -rqs "$password" "$STATE/services" "$STATE/log" &&
		! grep -aqs "$password" /proc/[0-9]*/cmdline
}
ok '   its password is in no log, no output and no command line' not_told

new_app shop
write_keys
commit_app 1 'service.redis ='
ok 'a second app' push
set -f # '*' is Redis's
for command in 'get blog:a' 'set blog:a x' 'del blog:a' 'keys *' 'scan 0' 'randomkey' 'flushall' 'flushdb' 'config get *' \
	'acl list' 'monitor' 'client list' 'publish blog:c x' 'function list' 'save' 'shutdown' 'pubsub channels'; do
	# shellcheck disable=SC2086 # words are meant
	ok "44 isolation: it may not $command" answers NOPERM shop $command
done
set +f
ok '   nor log in without a password' answers 'NOAUTH\|WRONGPASS' shop --user blog --pass x get blog:a
ok '   a script may not either' answers "NOPERM\|can't access" shop eval "return redis.call('get', 'blog:a')" 0
ok '   its own prefix is its own' answers '^OK$' shop set shop:a two
ok '   the first has what it had' answers '^one$' blog get blog:a

ok '43 the push said which names are new' said 'environment: new CONFIG_REDIS_HOST CONFIG_REDIS_PASSWORD '

APP=blog REPO=$TMP/work/blog
names_only() {
	verb env blog >"$TMP/names" && grep -qx CONFIG_REDIS_PASSWORD "$TMP/names" && ! grep -q = "$TMP/names"
}
ok 'silver env prints names' names_only
new_key dev && add_user dev --role deploy >/dev/null
KEY=dev
ok '   values not for everybody' exits 5 verb env blog --values
KEY='admin'
has_value() {
	verb env blog --values | grep -qx "CONFIG_REDIS_PASSWORD=$password"
}
ok '   but for admins' has_value
old_goes() {
	redis-cli --no-auth-warning -u "redis://blog:$password@127.0.0.1:$(cat "$STATE/services/redis/port")/0" get blog:a | grep -qx one
}
ok 'rotate gives another password in a new release' verb rotate blog redis
ok '   which leads to the same data' answers '^one$' blog get blog:a
ok '   it is another' test "$(env_of blog CONFIG_REDIS_PASSWORD)" != "$password"
ok '   the old one is shut when the old release is gone' wait_until 60 must_fail old_goes
ok '   a release that has it is not rolled back to' must_fail verb rollback blog
ok '   and again' wait_until 60 verb rotate blog redis
ok '   the same data' answers '^one$' blog get blog:a
ok '   a service that it has not' exits 4 verb rotate blog mysql
password=$(env_of blog CONFIG_REDIS_PASSWORD)
commit_app 2 'service.redis ='
ok 'a second push asks nobody' push
ok '   indeed' must_fail said provided
ok '   and keeps the password' equal "$(env_of blog CONFIG_REDIS_PASSWORD)" "$password"

ok 'the node ends, with its server' stop_silverd
ok '   nothing is left running' wait_until 30 nothing_runs
start_silverd
ok '45 and starts with it: data and users are there' answers '^one$' blog get blog:a
admin() {
	REDISCLI_AUTH=$(cat "$STATE/services/redis/data/admin") redis-cli -p "$(cat "$STATE/services/redis/port")" --user silver-admin "$@"
}
kill -KILL "$(admin info server | sed -n 's/^process_id:\([0-9]*\).*/\1/p')"
ok 'a server that was killed comes back' wait_until 60 answers '^one$' blog get blog:a

ok '45 destroy leaves no trace' silver destroy shop --yes
ok '   no user' must_fail sh -c 'echo "$1" | grep -q shop' - "$(admin acl list)"
ok '   no key' equal "$(admin keys '*' | sort | tr '\n' ' ')" 'blog:a silver:blog '
ok 'fsck finds nothing' wait_until 20 silver fsck
done_testing
