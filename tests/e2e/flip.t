#!/bin/sh
# 31: flips under load. Every answer is wholly old or wholly new, none is an error; a long request on the old release
# finishes there; then its processes are gone.
. "$(dirname "$0")/lib.sh"

FLIPS=${FLIPS:-50}
PLATFORM=python
start_silverd
new_app blog
commit_app A
push || bail 'the first push failed'
commit_app B
push || bail 'the second push failed'

cat >"$TMP/load.py" <<'END'
# Asks for /bytes until the file `stop` is there; says how many answers were whole, and what else came.
import collections, http.client, os, sys, threading
port, stop, host = int(sys.argv[1]), sys.argv[2], sys.argv[3] + ".localhost"
seen, lock = collections.Counter(), threading.Lock()
def ask():
    mine = collections.Counter()
    while not os.path.exists(stop):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            c.request("GET", "/bytes", headers={"Host": host})
            r = c.getresponse()
            body = r.read()
            if r.status == 200 and body in (b"A" * 20000, b"B" * 20000):
                mine["whole"] += 1
                mine[body[:1].decode()] += 1
            else:
                mine["bad %d, %d bytes of %s" % (r.status, len(body), sorted(set(body))[:4])] += 1
            c.close()
        except Exception as e:
            mine["bad %r" % e] += 1
    with lock:
        seen.update(mine)
threads = [threading.Thread(target=ask) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(dict(seen))
sys.exit(any(k.startswith("bad") for k in seen))
END
flips_under_load() { # N: of $APP, between its first two releases
	rm -f "$TMP/stop"
	python3 "$TMP/load.py" "$HTTP_PORT" "$TMP/stop" "$APP" >"$TMP/load.out" 2>&1 &
	load=$!
	flipped=0
	for i in $(seq "$1"); do
		verb activate "$APP" $((2 - i % 2)) >"$TMP/verb.out" 2>&1 || break
		flipped=$i
	done
	: >"$TMP/stop"
	load_status=0
	wait $load || load_status=$?
	ok "31 $1 flips of a $PLATFORM app under load" equal "$flipped" "$1"
	[ "$flipped" -eq "$1" ] || sed 's/^/# /' "$TMP/verb.out"
	ok '31 every answer was wholly old or new'   equal "$load_status" 0
	sed 's/^/# /' "$TMP/load.out"
	ok '31 both were seen'                       grep -q "'A'.*'B'\|'B'.*'A'" "$TMP/load.out"
}
flips_under_load "$FLIPS"

wait_until 60 settled
fetch "/wait?$TMP/finish" >"$TMP/long" &
long=$!
waiting() { grep -rqs "waiting for $TMP/finish" "$STATE/log/blog"; }
ok '31 a long request is under way'          wait_until 20 waiting
commit_app C
ok '  a push flips beside it'                push
ok '  new requests see the new release'      serves C
ok '  the long one is still waiting'         kill -0 $long
: >"$TMP/finish"
wait $long || true
ok '  and was answered by the old release'   equal "$(cat "$TMP/long")" "$(record subject $(($(live) - 1)) | sed 's/version //')"
old_is_gone() {
	equal "$(find "$STATE/run/service" -maxdepth 1 -name 'blog.*' | wc -l)" 1
}
ok '31 then only the live processes are left' wait_until 60 old_is_gone

if [ -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" ]; then
	PLATFORM=php
	new_app shop
	# shellcheck disable=SC2016 # PHP's
	for version in A B; do
		printf '[production]\nplatform = php\nrunner = index.php\n' >"$REPO/app.ini"
		printf "<?php\nheader('Content-Type: text/plain');\nfor (\$i = 0; \$i < 20; \$i++)\n\techo str_repeat('%s', 1000);\n" $version >"$REPO/index.php"
		git -C "$REPO" add -A
		git -C "$REPO" commit -qm "version $version"
		push || bail "the push of $version in PHP failed"
	done
	flips_under_load "$((FLIPS / 2))"
else
	skip '31 flips of a php app under load' 'php-fpm is not installed'
fi
done_testing
