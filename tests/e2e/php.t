#!/bin/sh
# platform = php: what is served in which order, under a path too; one front runner; the environment; drain; what nobody sees.
. "$(dirname "$0")/lib.sh"

[ -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" ] || {
	skip 'php' 'php-fpm is not installed'
	done_testing
	exit
}
start_silverd

new_app shop
mkdir -p "$REPO/bin" "$REPO/static" "$REPO/web/.well-known"
cat >"$REPO/web/index.php" <<'END_OF'
<?php
const VERSION = '@VERSION@';
$path = $_SERVER['PATH_INFO'];
switch ($path) {
case '/env': // of the release, and what CGI says of this request
	echo json_encode(getenv());
	break;
case '/server':
	$only = array_map('strtolower', array_keys($_GET));
	echo json_encode(array_filter($_SERVER, fn($name) => in_array(strtolower($name), $only), ARRAY_FILTER_USE_KEY));
	break;
case '/support':
	require 'silversupport.php';
	echo json_encode([silversupport\is_production(), silversupport\get_secret(), silversupport\get_key('nosuch')]), "\n";
	break;
case '/version':
	echo VERSION, "\n";
	break;
case '/wait': // until the file that the query names is there
	error_log("waiting for $_SERVER[QUERY_STRING]");
	while (!file_exists($_SERVER['QUERY_STRING'])) {
		usleep(20000);
		clearstatcache();
	}
	echo VERSION, "\n";
	break;
case '/set-up':
	if (empty($_SERVER['silverlining_update']))
		http_response_code(403);
	echo 'set up by ', empty($_SERVER['silverlining_internal']) ? 'anybody' : 'the node', "\n";
	break;
case '/throw':
	echo "half a page\n";
	throw new RuntimeException('a secret of the app\'s');
case '/show':
	ini_set('display_errors', '1');
	undefined_function();
case '/own': // an app that has a page of its own for it
	register_shutdown_function(function () { http_response_code(500); echo "sorry\n"; });
	undefined_function();
case '/hang':
	while (true)
		usleep(100000);
case '/die':
	posix_kill(posix_getpid(), 9);
case '/count':
	echo strlen(file_get_contents('php://input')), "\n";
	break;
case '/visits':
	session_start();
	echo $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1, "\n";
	break;
case '/stream':
	header('X-Accel-Buffering: no');
	ob_end_flush(); // Debian's php.ini has begun one
	echo "first\n";
	flush();
	while (!file_exists($_SERVER['QUERY_STRING'])) {
		usleep(20000);
		clearstatcache();
	}
	echo "last\n";
	break;
default:
	echo "the app: $path\n";
}
END_OF
mv "$REPO/web/index.php" "$TMP/index.php"
cat >"$REPO/bin/note.php" <<'END_OF'
#!/usr/bin/php
<?php
file_put_contents(getenv('TMPDIR') . "/$argv[1].env.new", json_encode(getenv()));
rename(getenv('TMPDIR') . "/$argv[1].env.new", getenv('TMPDIR') . "/$argv[1].env");
while ($argv[1] == 'worker')
	usleep(100000);
END_OF
chmod 755 "$REPO/bin/note.php"
echo 'of static' >"$REPO/static/both.txt"
echo 'of web' | tee "$REPO/web/both.txt" "$REPO/web/written.txt" "$REPO/web/web.txt" >/dev/null
echo 'a card' >"$REPO/web/.well-known/card"
for file in other.php OTHER.PHP old.php.bak old.php~ lib.inc settings.ini .htaccess .secret; do
	echo '<?php echo "the source"; // of a file' >"$REPO/web/$file"
done
mkdir -p "$REPO/web/dir.php" "$REPO/web/.hidden"
echo 'in a directory' | tee "$REPO/web/dir.php/file.txt" "$REPO/web/.hidden/file.txt" >/dev/null
commit_php() { # VERSION [LINE...]
	cp_version=$1
	shift
	sed "s/@VERSION@/$cp_version/" "$TMP/index.php" >"$REPO/web/index.php"
	printf '%s\n' '[production]' 'platform = php' 'runner = web/index.php' 'php_root = web' 'service.writable_root =' \
		'default_location = site.localhost/shop' \
		'update_fetch = /set-up' '    script:bin/note.php fetched' "$@" \
		'[process:worker]' 'command = bin/note.php worker' '[cron:tidy]' 'schedule = 30 4 1 1 *' 'command = bin/note.php tidy' >"$REPO/app.ini"
	git -C "$REPO" add -A -f
	git -C "$REPO" commit -q -m "version $cp_version"
}
is_app() { # PATH: the runner answers it
	equal "$(fetch "$1")" "the app: $1"
}

commit_php 1
push || bail "the first push failed"
ok 'a php app goes live'                                serves 1
ok '   and set itself up, by a request of the node'     said '\| set up by the node'
ok '   for which nobody else may ask'                   equal "$(fetch_status /set-up)" 403
ok '   not by a header'                                 equal "$(fetch_status /set-up -H 'X-Silver-Internal: update' -H 'silverlining_update: 1' -H 'X_Silver_Internal: update')" 403
ok 'the runner answers /'                               is_app /
ok '   and every path that no file has'                 is_app /a/b.html
echo 'of data' >"$STATE/data/shop/writable_root/written.txt"
ok '45 static/ comes first'                             equal "$(fetch /both.txt)" 'of static'
ok '   then what the app wrote'                         equal "$(fetch /written.txt)" 'of data'
ok '   then what is below php_root'                     equal "$(fetch /web.txt)" 'of web'
ok '   with its type'                                   equal "$(fetch /web.txt -o /dev/null -w '%{content_type}')" 'text/plain; charset=utf-8'
ok '   asked for again it has not changed'              equal "$(fetch_status /web.txt -H "If-None-Match: $(fetch /web.txt -o /dev/null -D - | sed -n 's/^ETag: \([^\r]*\).*/\1/p')")" 304
ok '   and what hosts may publish there'                equal "$(fetch /.well-known/card)" 'a card'
for path in /other.php /OTHER.PHP /old.php.bak /old.php~ /lib.inc /settings.ini /.htaccess /.secret /.hidden/file.txt /dir.php/file.txt; do
	ok "46 $path is the app's business, and no source" is_app "$path"
done
ok '   however it is written'                           equal "$(fetch /%2ehtaccess)" 'the app: /.htaccess'
ok '   nor below the top of the tree'                   is_app /app.ini
ok '   the runner is one of them'                       is_app /index.php
ok 'a posted body arrives'                              equal "$(head -c 9000000 /dev/zero | fetch /count --data-binary @- -H 'Content-Type: application/octet-stream')" 9000000
ok 'posted to a file it is the app that is asked'       equal "$(fetch /web.txt -d x)" 'the app: /web.txt'

support=$(fetch /support)
echo "$support" >"$TMP/support"
ok 'silversupport: in production, with a secret, without a key' said '^\[true,"[0-9a-f]{64}",null\]$' "$TMP/support"
ok '   the secret is that of the app'                   equal "$(cat "$STATE/data/shop/secret")" "$(echo "$support" | cut -d '"' -f 2)"
ok '   the same for php-cli'                            equal "$(verb run shop php -r "'require \"silversupport.php\"; echo silversupport\get_secret();'")" "$(cat "$STATE/data/shop/secret")"

# --- what CGI says -------------------------------------------------------------------------------
site() { # PATH [CURL ARGS]: through the location with a path
	si_path=$1
	shift
	curl -sS --max-time 60 -H "Host: site.localhost:$HTTP_PORT" "$@" "http://127.0.0.1:$HTTP_PORT$si_path"
}
ok 'under a path: the app sees what is behind it'       equal "$(site /shop/a/b)" 'the app: /a/b'
ok '   files too'                                       equal "$(site /shop/web.txt)" 'of web'
site '/shop/server?script_name&path_info&request_uri&x=%2f&server_port&https&remote_addr&document_root&php_self' >"$TMP/server"
server_is() { # NAME VALUE
	equal "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2]))' "$TMP/server" "$1")" "$2"
}
ok '   SCRIPT_NAME has it'                              server_is SCRIPT_NAME /shop/index.php
ok '   REQUEST_URI as it came'                          server_is REQUEST_URI '/shop/server?script_name&path_info&request_uri&x=%2f&server_port&https&remote_addr&document_root&php_self'
ok '   PATH_INFO'                                       server_is PATH_INFO /server
ok '   the port'                                        server_is SERVER_PORT "$HTTP_PORT"
ok '   the client'                                      server_is REMOTE_ADDR 127.0.0.1
ok '   no HTTPS'                                        server_is HTTPS None
ok '   the files'                                       server_is DOCUMENT_ROOT "$(readlink -f "$STATE/apps/shop/current/app")/web"

# --- the environment -----------------------------------------------------------------------------
tmp=$STATE/data/shop/tmp/1
verb run shop bin/note.php ran >/dev/null
fetch /env >"$TMP/request.env"
ok 'a worker runs with php-cli'                         wait_until 60 test -s "$tmp/worker.env"
waits() { # the clock, ready for the signal that strikes it
	wa_pid=$(cat "$STATE/run/service/shop.1.cron-tidy/session") && grep -qx snooze "/proc/$wa_pid/comm" &&
		grep -Eq '^SigCgt:[[:space:]]*[0-9a-f]*[2367abef][0-9a-f]{3}$' "/proc/$wa_pid/status"
}
ok '   the clock waits'                                 wait_until 60 waits
kill -ALRM "$(cat "$STATE/run/service/shop.1.cron-tidy/session")"
ok '   and strikes'                                     wait_until 60 test -s "$tmp/tidy.env"
tr '\0' '\n' <"$STATE/apps/shop/current/env" >"$TMP/release.env"
cat >"$TMP/same.py" <<'END_OF'
import json, sys
# what a web server says of a request (RFC 3875, and PHP's own), and php-fpm's way to inherit a socket
cgi = set("""QUERY_STRING REQUEST_METHOD CONTENT_TYPE CONTENT_LENGTH REQUEST_URI PATH_INFO SERVER_PROTOCOL REQUEST_SCHEME HTTPS
GATEWAY_INTERFACE SERVER_SOFTWARE REMOTE_ADDR SERVER_NAME SERVER_PORT REDIRECT_STATUS SCRIPT_FILENAME DOCUMENT_ROOT SCRIPT_NAME
FCGI_ROLE PHP_SELF FPM_SOCKETS""".split())
release = dict(line.rstrip("\n").split("=", 1) for line in open(sys.argv[1]))
bad = 0
for name in sys.argv[2:]:
    found = {k: v for k, v in json.load(open(name)).items() if k not in cgi and not k.startswith("HTTP_")}
    for key in sorted(found.keys() | release.keys()):
        if found.get(key) != release.get(key):
            print(name, key, found.get(key), release.get(key))
            bad = 1
sys.exit(bad or len(release) < 15)
END_OF
ok '43 the environment is the same in a request, update_fetch, a worker, by the clock and in run' \
	python3 "$TMP/same.py" "$TMP/release.env" "$TMP/request.env" "$tmp/fetched.env" "$tmp/worker.env" "$tmp/tidy.env" "$tmp/ran.env"

# --- what the public sees of a failure ------------------------------------------------------------
fails_well() { # PATH: 500, the request's id and nothing of the app's
	fetch "$1" -D "$TMP/head" >"$TMP/body" || return 1
	fw_id=$(sed -n 's/^X-Request-ID: \([0-9a-f]*\).*/\1/p' "$TMP/head")
	said '^HTTP/1.1 500' "$TMP/head" && said "Request $fw_id<" "$TMP/body" && must_fail grep -Eqi 'secret|undefined|\.php|half' "$TMP/body" &&
		wait_until 60 logged "silver: request $fw_id failed: GET \"$1\""
}
logged() { grep -rqsF -e "$1" "$STATE/log/shop"; }
ok '47 an exception: a page with the id'                fails_well /throw
ok '   the log has it'                                  logged "RuntimeException: a secret of the app's"
ok '   an error that the app would show, too'           fails_well /show
ok '   an app may have a page of its own'               equal "$(fetch /own)" sorry
ok '   one that is killed is no answer'                 equal "$(fetch_status /die)" 503
ok '   and the next is answered'                        is_app /next

fetch "/stream?$TMP/last" -N >"$TMP/stream" &
streaming=$!
ok 'an answer in pieces arrives as it comes'            wait_until 60 said first "$TMP/stream"
: >"$TMP/last"
wait "$streaming" || true
ok '   to its end'                                      equal "$(tail -n 1 "$TMP/stream")" last

# --- data that survive, requests that finish --------------------------------------------------------
fetch /visits -c "$TMP/cookies" >/dev/null
fetch "/wait?$TMP/go" >"$TMP/waited" 2>&1 &
waiting=$!
ok 'a request of release 1 is under way'                wait_until 60 logged "waiting for $TMP/go"
commit_php 2
printf '[limits]\ntimeout = 2\n' >>"$REPO/app.ini"
git -C "$REPO" commit -qam limits
ok 'release 2 is pushed meanwhile'                      push
ok '   and answers'                                     serves 2
ok '   a session goes on in it'                         equal "$(fetch /visits -b "$TMP/cookies")" 2
: >"$TMP/go"
answered() { equal "$(cat "$TMP/waited")" 1; }
wait "$waiting" || true
ok '34 what release 1 had begun it has finished'        answered
ended() { [ ! -e "$STATE/run/service/shop.1" ] && ! grep -rqs php-fpm "$STATE"/run/service/.shop.1.gone 2>/dev/null; }
ok '   then it ended'                                   wait_until 60 ended
ok '33 a request that hangs is ended'                   equal "$(fetch_status /hang)" 503

# --- crashes ----------------------------------------------------------------------------------------
main=$(cat "$STATE/run/service/shop.2/session")
kill -KILL "$(pgrep -P "$main" php-fpm)"
again() { [ "$(cat "$STATE/run/service/shop.2/session")" != "$main" ] && serves 2; }
ok '33 php-fpm killed: all of it is started again'      wait_until 60 again

ok 'fsck has nothing to say'                            wait_until 60 silver fsck shop

# --- refusals ---------------------------------------------------------------------------------------
refused() { # PATTERN
	must_fail push || return 1
	said "$1" && serves 2
}
sed -i '2s/.*/const VERSION = ;/' "$REPO/web/index.php"
git -C "$REPO" commit -qam syntax
ok '10 a syntax error is refused, with its line'        refused 'PHP Parse error: .*web/index.php on line 2'
git -C "$REPO" reset -q --hard HEAD~1
sed -i 's/^php_root.*/php_root = "we b"/' "$REPO/app.ini"
git -C "$REPO" commit -qam root
ok '   a php_root that is none, too'                    refused 'app.ini:4: php_root .* is no directory of the tree'
done_testing
