#!/bin/sh
# The node as such: made, stopped, killed, started again, twice on one machine, with what is wrong on its disk.
. "$(dirname "$0")/lib.sh"

port_in_use() {
	"$USR/sbin/silverd" --dir "$TMP/node-port" --ssh "127.0.0.1:$SSH_PORT" --http 127.0.0.1:0 >"$TMP/out" 2>&1 && return 1
	said "127\.0\.0\.1:$SSH_PORT|:$SSH_PORT" "$TMP/out"
}
one_nginx() {
	on_n=0
	for on_pid in $(pgrep -f '^nginx: master'); do
		[ "$(readlink "/proc/$on_pid/cwd")" != "$STATE" ] || on_n=$((on_n + 1))
	done
	equal "$on_n" 1
}

start_silverd
ok 'a new node has a commented node.ini'     grep -q '^#\|^;' "$STATE/node.ini"
ok '  a host key'                            test -s "$STATE/ssh/host_ed25519"
new_app blog
commit_app 1
push || bail 'the first push failed'
PLATFORM=python
new_app py
commit_app 1
push || bail 'the first push of py failed'
PLATFORM=static
APP=blog
REPO=$TMP/work/blog

ok 'a second silverd on the same directory is refused' must_fail timeout 30 "$USR/sbin/silverd" --dir "$STATE" --ssh 127.0.0.1:0 --http 127.0.0.1:0
ok '  and does no harm'                      serves 1
ok 'a port in use is an error that names it' port_in_use

# two nodes on one machine
mkfifo "$TMP/ready2"
"$USR/sbin/silverd" --dir "$TMP/node2" --ssh 127.0.0.1:0 --http 127.0.0.1:0 >"$TMP/ready2" 2>>"$TMP/silverd2.log" 3>&- &
second=$!
timeout 60 head -n 1 <"$TMP/ready2" >"$TMP/node2.ready" || true
ok 'a second node starts beside the first'   said 'ready ssh=.* http=' "$TMP/node2.ready"
first_state=$STATE first_http=$HTTP_PORT first_ssh=$SSH_PORT
STATE=$TMP/node2
HTTP_PORT=$(expr "$(cat "$TMP/node2.ready")" : '.*http=127\.0\.0\.1:\([0-9]*\)')
SSH_PORT=$(expr "$(cat "$TMP/node2.ready")" : '.*ssh=127\.0\.0\.1:\([0-9]*\)')
rm -f "$TMP/known_hosts"
new_key other
add_user other --role admin >/dev/null
KEY='other'
commit_app 77
ok '  an app of the same name goes live there' push
ok '  and serves'                            serves 77
kill -TERM "$second"
ok '  it stops'                              wait_until 30 gone "$second"
ok '  with all it started'                   wait_until 20 nothing_runs
STATE=$first_state HTTP_PORT=$first_http SSH_PORT=$first_ssh KEY='admin'
rm -f "$TMP/known_hosts"
git -C "$REPO" reset -q --hard HEAD~1
ok '  and the first still serves its own'    serves 1

# SIGTERM stops all it started and nothing else
sleep infinity &
bystander=$!
ok 'SIGTERM stops it'                        stop_silverd
ok '  and all it started'                    wait_until 10 nothing_runs
ok '  and nothing else'                      kill -0 $bystander
kill $bystander
start_silverd
ok 'started again it finds its apps'         serves 1
APP=py
ok '  and their processes'                   serves 1
APP=blog

# kill -9 of silverd: what it started may go on; the next one takes over
kill -KILL "$SILVERD"
wait "$SILVERD" 2>/dev/null || true
APP=py
ok 'after kill -9 of silverd apps go on serving' serves 1
APP=blog
start_silverd
ok '  started again it serves'               serves 1
ok '  one nginx, not two'                    one_nginx
commit_app 2
ok '  and takes pushes'                      push
ok '  they go live'                          serves 2

# kill -9 in the middle of a push
PLATFORM=python
APP=py REPO=$TMP/work/py
commit_app 2 'health = /needs'
sed -i "s|    if path == \"/version\":|    if path == \"/needs\":\n        status = \"200 OK\" if os.path.exists(\"$TMP/go\") else \"503 Service Unavailable\"\n    elif path == \"/version\":|" "$REPO/src/app.py"
git -C "$REPO" commit -qam 'waits'
git_node -C "$REPO" push "$(url py)" HEAD:master >"$TMP/push.out" 2>"$TMP/push.err" &
client=$!
ok 'a push is under way'                     wait_until 40 test -e "$STATE/apps/py/releases/2/run/http.sock"
kill -KILL "$SILVERD"
wait "$SILVERD" 2>/dev/null || true
start_silverd
ok '16 silverd killed in the middle of a push: ref and live agree' wait_until 30 ref_is_live
ok '  the old release serves'                serves 1
: >"$TMP/go"
wait $client 2>/dev/null || true
ok '  the next push works'                   wait_until 60 push
ok '  and is live'                           serves 2
ok '  ref and live agree'                    ref_is_live

# everything at once: as if the power went
for pid in $(our_processes); do kill -KILL "$pid" 2>/dev/null || true; done
wait "$SILVERD" 2>/dev/null || true
ok 'kill -9 of everything: nothing runs'     wait_until 10 nothing_runs
start_silverd
ok '35 all that was live is live again'      wait_until 10 serves 2
APP=blog
ok '  the other app too'                     serves 2

# by hand: a dangling current, a ref that somebody moved, left-overs
stop_silverd
REPO=$TMP/work/blog PLATFORM=static
rm "$STATE/apps/blog/current"
ln -s releases/99 "$STATE/apps/blog/current"
start_silverd
ok 'a dangling current: what the ref names is live again' serves 2
ok '  says so'                               grep -q 'the live release is gone' "$TMP/silverd.log"
ok '  ref and live agree'                    ref_is_live
stop_silverd
app_git update-ref refs/heads/master "$(git -C "$REPO" rev-parse HEAD)" 2>/dev/null
start_silverd
ok 'a ref that was moved by hand is deployed, or moved back' wait_until 30 ref_is_live
mkdir "$STATE/apps/blog/releases/7.new"
stop_silverd
start_silverd
ok 'a half release is removed'               test ! -e "$STATE/apps/blog/releases/7.new"
stop_silverd
echo 'nonsense = 1' >>"$STATE/node.ini"
"$USR/sbin/silverd" --dir "$STATE" >"$TMP/out" 2>&1 && bail 'a bad node.ini was taken'
ok 'a bad node.ini is refused with its line' said 'node\.ini:[0-9]+: ' "$TMP/out"
sed -i '/^nonsense/d' "$STATE/node.ini"
start_silverd
ok 'and started again all is well'           wait_until 10 fetch /version
done_testing
