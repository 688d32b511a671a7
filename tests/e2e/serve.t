#!/bin/sh
# `silver serve`: the working tree on a node of one's own, again whenever it changes; devel overrides; Ctrl-C ends all of it.
. "$(dirname "$0")/lib.sh"

unset SILVER_NODE SILVER_DIR GIT_SSH GIT_SSH_COMMAND 2>/dev/null || true
export XDG_CACHE_HOME="$TMP/cache" XDG_CONFIG_HOME="$TMP/config"
hosts_before=$(cksum /etc/hosts)
SERVE=
SSH_PORT=0 # of the remote that new_app makes; nothing asks it

# In the background, with its words in $TMP/serve.out; waits for the address.
start_serve() {
	: >"$TMP/serve.out"
	# a job of a shell without job control would ignore SIGINT, also behind exec
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$USR/bin/silver" serve "$REPO" >"$TMP/serve.out" 2>&1 </dev/null 3>&- &
	SERVE=$!
}
served_at() {
	wait_until 60 said 'serving .* at http://shop\.localhost:[0-9]+/' "$TMP/serve.out"
	HTTP_PORT=$(sed -n 's|.* at http://shop\.localhost:\([0-9]*\)/.*|\1|p' "$TMP/serve.out")
	STATE=$(echo "$TMP"/cache/silver/*/node)
}
end_serve() { # SIGNAL
	kill "-$1" "$SERVE"
	es_status=0
	wait "$SERVE" || es_status=$?
	SERVE=
	equal "$es_status" 0
}
end_all() {
	[ -z "$SERVE" ] || { kill -TERM "$SERVE" 2>/dev/null && wait_until 60 gone "$SERVE"; } || true
}
CLEAN_UP=end_all
app_says() { # PATH TEXT
	equal "$(fetch "$1")" "$2"
}
env_has() { # NAME VALUE
	equal "$(fetch /env | python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$1")" "$2"
}
equal_status() { # PATH STATUS
	equal "$(fetch_status "$1")" "$2"
}
theirs() {
	(cd "$REPO" && cat .git/HEAD && git for-each-ref && cksum .git/index)
}

PLATFORM=python
new_app shop
commit_app 1
echo 'ignored/' >"$REPO/.gitignore"
mkdir "$REPO/ignored"
before=$(theirs)
start_serve
ok 'serve says where'                       served_at
ok '  the working tree is served'           app_says /version 1
ok '  HEAD, index and refs are untouched'   equal "$(theirs)" "$before"
ok '  SILVER_VERSION says devel'            equal "$(fetch /env | grep -c '"SILVER_VERSION": *"devel/')" 1
ok '  the environment is a node'"'"'s'      env_has SILVER_APP_NAME shop
ok '  fsck has nothing to say'              wait_until 60 "$USR/bin/silver" --dir "$STATE" fsck

write_app 2
ok 'a change is served'                     wait_until 60 app_says /version 2
mkdir -p "$REPO/static/a/b"
echo deep >"$REPO/static/a/b/c"
ok 'a file in new directories too'          wait_until 60 app_says /a/b/c deep
echo deeper >"$REPO/static/a/b/c"
ok '  and its change'                       wait_until 60 app_says /a/b/c deeper
rm -r "$REPO/static/a"
ok '  and when it goes'                     wait_until 60 equal_status /a/b/c 404
printf 'nonsense = 1\n' >>"$REPO/app.ini"
ok 'a mistake is told'                      wait_until 60 said "app.ini:.*unknown key 'nonsense'" "$TMP/serve.out"
ok '  without git'"'"'s words'              must_fail said 'failed to push' "$TMP/serve.out"
ok '  and the old one goes on'              app_says /version 2
write_app 3
ok '  until it is mended'                   wait_until 60 app_says /version 3
echo x >"$REPO/ignored/x"
write_app 4
ok 'after an ignored file and a change'     wait_until 60 app_says /version 4
ok '  the ignored one is not there'         test ! -e "$STATE/apps/shop/current/app/ignored"
printf 'import sys\nprint("a line of the app", file=sys.stderr)\n' >>"$REPO/src/app.py"
ok 'what the app writes is shown'           wait_until 60 said 'a line of the app' "$TMP/serve.out"
second() {
	timeout 60 "$USR/bin/silver" serve "$REPO" </dev/null >"$TMP/second.out" 2>&1
}
ok 'a second one for the same tree'         must_fail second
ok '  is told why'                          said 'another silverd runs this node' "$TMP/second.out"
ok '  and the first goes on'                app_says /version 4
ok 'Ctrl-C ends it with status 0'           end_serve INT
ok '  and all that it started'              wait_until 60 nothing_runs

# again, with overrides
mkdir -p "$TMP/config/silver"
cat >"$TMP/config/silver/silver.ini" <<'END'
[devel]
CONFIG_X = all
CONFIG_Y = all
[devel:shop]
CONFIG_Y = of $shop "x"
[devel:other]
CONFIG_X = other
END
start_serve
ok 'again'                                  served_at
ok '  with what was there'                  wait_until 60 app_says /version 4
ok '[devel] counts over the environment'    wait_until 60 env_has CONFIG_X all
ok '  [devel:APP] over that, byte for byte' env_has CONFIG_Y "of \$shop \"x\""
ok 'SIGTERM ends it too'                    end_serve TERM
printf '[devel]\nCONFIG-Z = bad\n' >"$TMP/config/silver/silver.ini"
write_app 5
start_serve
ok 'a name that is no variable is told'     wait_until 60 said "'CONFIG-Z' is no variable" "$TMP/serve.out"
ok '  and it ends when it is told to'       end_serve TERM
must_be_usage() {
	exits 2 timeout 60 "$USR/bin/silver" serve "$REPO" --port x
}
ok 'a port that is none: usage'             must_be_usage
ok 'outside of a checkout'                  exits 4 timeout 60 "$USR/bin/silver" serve /
rm "$TMP/config/silver/silver.ini"

if [ -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" ]; then
	new_app shop
	printf '[production]\nplatform = php\nrunner = index.php\n' >"$REPO/app.ini"
	cat >"$REPO/index.php" <<-'END'
		<?php
		require 'silversupport.php';
		if ($_SERVER['PATH_INFO'] === '/env')
			echo json_encode(getenv());
		else
			echo json_encode([1, $_SERVER['silverlining_devel'] ?? '0', silversupport\is_production()]);
	END
	start_serve
	ok 'a php app is served'                    served_at
	ok '  which knows that this is no production' app_says / '[1,"1",false]'
	ok '  and has the environment of a node'    env_has SILVER_APP_NAME shop
	sed -i 's/\[1,/[2,/' "$REPO/index.php"
	ok '  a change of it is served'             wait_until 60 app_says / '[2,"1",false]'
	sed -i 's/\[2,/[/' "$REPO/index.php"
	printf 'undefined_function(;\n' >>"$REPO/index.php"
	ok '  a mistake is told, with its line'     wait_until 60 said 'index.php on line 7' "$TMP/serve.out"
	ok '  and the old one goes on'              app_says / '[2,"1",false]'
	ok '  Ctrl-C ends it'                       end_serve INT
else
	skip 'a php app is served' 'php-fpm is not installed'
fi
ok '/etc/hosts is as it was'                equal "$(cksum /etc/hosts)" "$hosts_before"
ok 'nothing is left running'                wait_until 60 nothing_runs
done_testing
