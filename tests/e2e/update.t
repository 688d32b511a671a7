#!/bin/sh
# update_fetch and test: on the release that is not live yet, in their order, shown as they run; the first that fails
# refuses the push and leaves nothing. About 20 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'

# An app that tells what a request carried, and prepares itself in $SILVER_APP_CONFIG's stead: a file of its own.
write_updating_app() { # VERSION LINE...
	write_app "$@"
	cat >>"$REPO/src/app.py" <<-'END'


	_plain = application


	def application(environ, start_response):
	    path = environ["PATH_INFO"]
	    if path == "/setup":
	        start_response("200 OK", [("Content-Type", "text/plain")])
	        yield b"setting up\n"
	        yield ("flags %s %s\n" % (environ.get("silverlining.internal"), environ.get("silverlining.update"))).encode()
	        return
	    if path == "/moved":
	        start_response("302 Found", [("Location", "/")])
	        return
	    if path == "/flags":
	        start_response("200 OK", [("Content-Type", "text/plain")])
	        yield ("flags %s %s" % (environ.get("silverlining.internal"), environ.get("HTTP_X_SILVER_INTERNAL"))).encode()
	        return
	    yield from _plain(environ, start_response)
	END
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/step" <<-'END'
		#!/bin/sh
		echo "step $* of release $SILVER_RELEASE as $SILVER_APP_NAME in $(basename "$PWD")"
		[ "$1" != fail ] || { echo "it went wrong: 3" >&2; exit 3; }
		[ "$1" != hang ] || exec sleep 1000
		[ "$1" != die ] || kill -9 $$
	END
	chmod 755 "$REPO/bin/step"
	git -C "$REPO" add -A
	git -C "$REPO" commit -q --allow-empty -m "version $1"
}

write_updating_app 2 'update_fetch =' '  script:bin/step "a b" one' '  /setup' 'test = script:bin/step two'
ok 'update_fetch and test pass' push
ok '   and it is live' serves 2
ok '11 what they printed is shown' said '^remote: silver: \| step a b one of release 2 as blog in [0-9]+'
ok '   the body of a page too' said '^remote: silver: \| setting up'
ok '   a page knows that the node asks, and why' said '^remote: silver: \| flags True True'
order=$(grep -o 'step a b one\|setting up\|step two of' "$TMP/push.err" | tr '\n' ';')
ok '   in their order' equal "$order" 'step a b one;setting up;step two of;'
ok '   and the account counts them' said 'updated [0-9.]+ m?s'
ok 'a client cannot say that the node asks' \
	equal "$(fetch /flags -H 'X-Silver-Internal: update' -H 'X_Silver_Internal: update')" 'flags None None'

refused() { # WHAT PATTERN LINE...: the push is refused, and nothing has changed
	rf_what=$1 rf_pattern=$2
	shift 2
	write_updating_app 3 "$@"
	ok "11 $rf_what is refused" must_fail push
	ok '   with the reason and its line' said "$rf_pattern"
	ok '   the last line is what is live' \
		said 'remote: silver: nothing was changed; release 2 is live'
	ok '   live unchanged' serves 2
	ok '   no release more' equal "$(find "$STATE/apps/blog/releases" -mindepth 1 -maxdepth 1 | wc -l)" 2
	ok '   nothing half' nothing_half
	ok '   no process of it' wait_until 10 test ! -e "$STATE/run/service/blog.3"
}
refused 'a failing script' 'app\.ini:[0-9]+: update_fetch script:bin/step fail: ended with status 3' \
	'update_fetch = script:bin/step fail' '  script:bin/step never'
ok '   what it said is shown' said 'silver: \| it went wrong: 3'
ok '   what comes behind it does not run' must_fail said 'step never'
refused 'a failing test' 'app\.ini:[0-9]+: test script:bin/step fail: ended with status 3' \
	'test = script:bin/step fail'
refused 'a script that is killed' 'script:bin/step die: was ended by signal 9' 'update_fetch = script:bin/step die'
refused 'a page that redirects' "app\\.ini:[0-9]+: update_fetch /moved: was answered with '302 Found'; it must be 2xx" \
	'update_fetch = /moved'
refused 'a page that is not there' "update_fetch /nosuch: was answered with '404" 'update_fetch = /nosuch'
refused 'a program that is not committed' "app\\.ini:[0-9]+: program 'bin/nosuch' is not in the tree" \
	'update_fetch = script:bin/nosuch'
refused 'a task that is none' "app\\.ini:[0-9]+: update_fetch: 'bin/step' is neither a URL path" 'update_fetch = bin/step'

sed -i 's/^task_ms.*//; s/^\[node\]/[node]\ntask_ms = 2000/' "$STATE/node.ini"
stop_silverd
start_silverd
refused 'a script without an end' 'script:bin/step hang: did not end within 2 s' 'update_fetch = script:bin/step hang'

write_updating_app 4 'update_fetch = script:bin/step one'
ok 'the same app without the failing line goes live' push
ok '   as the next release' equal "$(live)" 3
ok '   and serves' serves 4
ok 'rolling back' verb rollback blog
ok '   runs no update_fetch again' must_fail said 'step one' "$TMP/ok.out"

PLATFORM=static
new_app plain
commit_app 1 'update_fetch = /setup'
ok 'a static app has nobody to ask' must_fail push
ok '   and says so' said 'app\.ini:[0-9]+: update_fetch /setup: a static app has no process to ask'
mkdir "$REPO/bin"
printf '#!/bin/sh\necho built\n' >"$REPO/bin/step"
chmod 755 "$REPO/bin/step"
commit_app 1 'update_fetch = script:bin/step'
ok 'but it may run a script' push
ok '   whose words are shown' said 'silver: \| built'

# A migration that is silent and takes long.
sed -i 's/^task_ms.*/task_ms = 300000/' "$STATE/node.ini"
stop_silverd
start_silverd
printf '#!/bin/sh\nuntil [ -e "%s" ]; do sleep 0.1; done\necho migrated\n' "$TMP/go" >"$REPO/bin/step"
commit_app 2 'update_fetch = script:bin/step'
push &
pushing=$!
still_runs() { said 'script:bin/step still runs \([0-9]+ s\)'; }
ok 'one that is silent for long shows that it lives' wait_until 60 still_runs
ok '   while the old release serves' serves 1
: >"$TMP/go"
ok '   and may end' wait "$pushing"
ok '   with its release live' serves 2
done_testing
