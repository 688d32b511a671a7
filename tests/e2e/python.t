#!/bin/sh
# What a Python app finds: WSGI, ASGI and Paste Deploy objects, its workers, and what happens to one that hangs or
# crashes. About 40 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd
new_app blog
write_app 1 '[limits]' 'timeout = 3'
cat >>"$REPO/src/app.py" <<'END'


_plain = application


def application(environ, start_response):
    import ctypes
    import threading
    import time

    path = environ["PATH_INFO"]
    if path == "/hang":
        while True:
            time.sleep(1000)
    if path == "/crash":
        ctypes.string_at(0)
    if path == "/gil":
        print("holding", flush=True)
        ctypes.PyDLL(None).sleep(1000)
    if path == "/support":
        from silversupport import env, secret

        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            key = secret.get_key("nosuch")
        except LookupError:
            key = "none"
        return [("%s %s %s" % (env.is_production(), secret.get_secret(), key)).encode()]
    if path == "/quick":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % os.getpid()]
    return _plain(environ, start_response)
END
sed -i '1a import part' "$REPO/src/app.py"
echo 'x = 1' >"$REPO/src/part.py"
mkdir -p "$REPO/lib/python"
echo 'import os; os.environ["CUSTOMIZED"] = "by " + os.path.basename(__file__)' >"$REPO/lib/python/silvercustomize.py"
git -C "$REPO" add -A
git -C "$REPO" commit -qm 1
ok 'a WSGI app with a time limit goes live' push
of_this_node() { # other tests run beside this one
	for on_pid in $(pgrep -f 'silver_wsgi:load'); do
		case $(readlink "/proc/$on_pid/cwd" 2>/dev/null) in "$STATE"/apps/blog/*) echo "$on_pid" ;; esac
	done
}
workers() {
	fetch /quick >/dev/null
	of_this_node | wc -l
}
three() { # the master and two workers
	equal "$(workers)" 3 || {
		of_this_node
		return 1
	}
}
ok 'two workers serve it' wait_until 60 three

support=$(fetch /support)
echo "$support" >"$TMP/support"
ok 'silversupport: in production, with a secret, without a key' \
	said '^True [0-9a-f]{64} none$' "$TMP/support"
customized() { said '"CUSTOMIZED": "by silvercustomize.py"' "$TMP/env"; }
fetch /env >"$TMP/env"
ok 'silvercustomize is imported for requests' customized
ok '   and in run' equal "$(verb run blog python3 -c "'import os; print(os.environ[\"CUSTOMIZED\"])'")" 'by silvercustomize.py'
no_secret_in_env() { ! verb run blog env | grep -q "$(echo "$support" | cut -d' ' -f2)"; }
ok '   the secret is not in the environment' no_secret_in_env
ok '   and the same from the command line' equal "$(verb run blog python3 -c \
	'"from silversupport import secret; print(secret.get_secret())"')" "$(echo "$support" | cut -d' ' -f2)"
git -C "$REPO" commit -q --allow-empty -m 1b
echo >>"$REPO/src/app.py" && git -C "$REPO" commit -qam 1b
ok '   and in the next release' push
ok '   still' equal "$(fetch /support)" "$support"
inodes() { # of FILE's byte code: in how many slots, and how many different files
	find "$STATE/data/blog/pycache" -path '*/slots/*' -name "$1.*.pyc" -printf '%i\n' | sort | uniq -c | awk '{ n += $1 } END { print n, NR }'
}
ok '   the byte code of an unchanged file is not made again' equal "$(inodes part)" '2 1'
ok '   but that of a changed one' equal "$(inodes app)" '2 2'
ok 'two workers serve that, too' wait_until 60 three

# One request of many never ends: the others are answered meanwhile, and the worker is replaced.
before=$(of_this_node | sort | tr '\n' ' ')
fetch /hang --max-time 30 >/dev/null 2>&1 &
hanging=$!
all_answered() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(fetch_status /quick --max-time 5)" = 200 ] || return 1
	done
}
ok '32 while a request hangs the others are answered' all_answered
hung_is_told() { verb logs blog | grep -q 'silver: a request for /hang takes more than 3 s; its worker is replaced'; }
ok '32 the hanging one is noticed, with its place in the code' wait_until 20 hung_is_told
replaced() {
	[ "$(of_this_node | sort | tr '\n' ' ')" != "$before" ] && three
}
ok '   its worker is replaced' wait_until 60 replaced
ok '   and all is answered' all_answered
wait $hanging || true

fetch /crash >/dev/null 2>&1 || true
ok '32 a worker that crashes is replaced' wait_until 60 three
ok '   and all is answered' all_answered

fetch /gil --max-time 30 >/dev/null 2>&1 &
hanging=$!
holding() { grep -rq holding "$STATE/log/blog"; }
wait_until 20 holding # what that worker had taken before would wait with it
ok '32 while one holds the interpreter the other worker answers' all_answered
gil_is_told() { verb logs blog | grep -q 'WORKER TIMEOUT'; }
ok '   and it is killed' wait_until 30 gil_is_told
ok '   and replaced' wait_until 60 three
wait $hanging || true

# ASGI, in the two ways that it is written.
if /usr/bin/python3 -c 'import uvicorn' 2>/dev/null; then
	new_app async
	mkdir -p "$REPO/src"
	printf '[production]\nrunner = src/app.py\n' >"$REPO/app.ini"
	cat >"$REPO/src/app.py" <<-'END'
		class App:
		    async def __call__(self, scope, receive, send):
		        if scope["type"] == "lifespan":
		            while True:
		                message = await receive()
		                await send({"type": message["type"] + ".complete"})
		                if message["type"] == "lifespan.shutdown":
		                    return
		        headers = dict(scope["headers"])
		        body = "%s %s %s %s" % (scope["scheme"], scope["client"][0], scope.get("silverlining.internal"),
		                                headers.get(b"x-silver-internal"))
		        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
		        await send({"type": "http.response.body", "body": body.encode()})
		application = App()
	END
	git -C "$REPO" add -A
	git -C "$REPO" commit -qm 1
	ok 'an ASGI object goes live' push
	ok '   and answers, with the address and scheme of the client' \
		equal "$(fetch / -H 'X-Silver-Internal: update')" 'http 127.0.0.1 None None'
	cat >"$REPO/src/app.py" <<-'END'
		async def application(scope, receive, send):
		    assert scope["type"] == "http"
		    await send({"type": "http.response.start", "status": 200, "headers": []})
		    await send({"type": "http.response.body", "body": b"a function"})
	END
	git -C "$REPO" commit -qam 2
	ok 'an ASGI function goes live' push
	ok '   and answers' equal "$(fetch /)" 'a function'
else
	skip 'an ASGI object goes live' 'python3-uvicorn is not installed'
fi

if /usr/bin/python3 -c 'import paste.deploy' 2>/dev/null; then
	new_app paste
	mkdir -p "$REPO/src" "$REPO/lib/python"
	printf '[production]\nrunner = src/deploy.ini#site\n' >"$REPO/app.ini"
	cat >"$REPO/src/deploy.ini" <<-'END'
		[app:site]
		paste.app_factory = pastedsite:factory
		greeting = hello from paste
	END
	cat >"$REPO/lib/python/pastedsite.py" <<-'END'
		def factory(global_conf, greeting):
		    def application(environ, start_response):
		        start_response("200 OK", [("Content-Type", "text/plain")])
		        return [greeting.encode()]
		    return application
	END
	git -C "$REPO" add -A
	git -C "$REPO" commit -qm 1
	ok 'a Paste Deploy file goes live' push
	ok '   and answers' equal "$(fetch /)" 'hello from paste'
else
	skip 'a Paste Deploy file goes live' 'python3-pastedeploy is not installed'
fi
done_testing
