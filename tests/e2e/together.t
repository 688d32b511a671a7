#!/bin/sh
# Pushes at once: to one app, to two, to twenty. What is live is one of them, wholly, and the ref says which.
. "$(dirname "$0")/lib.sh"

# A push of its own in the background: push_bg NAME REPO URL REFSPEC; its pid in $PID
push_bg() {
	git_node -C "$2" push -f "$3" "$4" >"$TMP/$1.out" 2>"$TMP/$1.err" &
	PID=$!
}
ended() { # PID: its status in $STATUS (a subshell could not wait for it)
	STATUS=0
	wait "$1" || STATUS=$?
}

start_silverd
new_app blog
for i in $(seq 300); do
	echo "$i" >"$REPO/f$i"
done
commit_app base
push || bail 'the first push failed'
git -C "$REPO" checkout -q -b a
for i in $(seq 300); do echo "a $i" >"$REPO/f$i"; done
commit_app a
git -C "$REPO" checkout -q -b b master
for i in $(seq 300); do echo "b $i" >"$REPO/f$i"; done
commit_app b

for round in 1 2 3; do
	push_bg a "$REPO" "$(url blog)" a:master
	pid_a=$PID
	push_bg b "$REPO" "$(url blog)" b:master
	pid_b=$PID
	ended "$pid_a" && a=$STATUS
	ended "$pid_b" && b=$STATUS
	ok "14 round $round: of two pushes to one app at least one lands" test "$a" -eq 0 -o "$b" -eq 0
	ok '  live and ref agree' ref_is_live
	winner=$(git -C "$REPO" log -1 --format=%s "$(record commit)")
	ok '  the tree is that of one of them' tree_is_exact "$(record commit)"
	ok '  it serves that one' serves "${winner#version }"
	[ "$a" -eq 0 ] || ok '  a was told why' said 'push|moved|fetch first' "$TMP/a.err"
	[ "$b" -eq 0 ] || ok '  b was told why' said 'push|moved|fetch first' "$TMP/b.err"
done
ok '14 nothing is left half' nothing_half

# who waits longer than allowed is told who holds it
PLATFORM=python
git -C "$REPO" checkout -q -B slow a
commit_app slow 'health = /needs'
sed -i "s|    if path == \"/version\":|    if path == \"/needs\":\n        status = \"200 OK\" if os.path.exists(\"$TMP/go\") else \"503 Service Unavailable\"\n    elif path == \"/version\":|" "$REPO/src/app.py"
git -C "$REPO" commit -qam 'waits'
sed -i 's/^\[node\]/[node]\nlock_wait_ms = 300/' "$STATE/node.ini"
stop_silverd
start_silverd
git -C "$REPO" checkout -q -B late b
git -C "$REPO" commit -q --allow-empty -m 'comes late'
push_bg slow "$REPO" "$(url blog)" slow:master
pid=$PID
# it holds the lock as soon as its release is there and is being proven
proving() {
	[ -n "$(find "$STATE/apps/blog/releases" -maxdepth 2 -name run -newer "$STATE/node.ini" 2>/dev/null)" ] &&
		! flock -n "$STATE/apps/blog/lock" true
}
ok '14 a push that is being proven holds the lock' wait_until 30 proving
APP=blog
ok '14 another push is refused when it has waited' must_fail push -f late:master
ok '  and told who holds it' said 'admin.*push|push.*admin'
PLATFORM=static
new_app other
commit_app 1
ok '14 another app is not held up' push
ok '  and is live' serves 1
: >"$TMP/go"
ended "$pid"
ok '14 the first one lands' equal "$STATUS" 0
APP=blog
ok '  and is live' serves slow
ok '  live and ref agree' ref_is_live

# twenty apps
REPO=$TMP/work/other
pids=
for i in $(seq 20); do
	push_bg "many$i" "$REPO" "$(url "many$i")" master:master
	pids="$pids $PID"
done
landed=0
for pid in $pids; do
	ended "$pid"
	[ "$STATUS" -ne 0 ] || landed=$((landed + 1))
done
ok '14 twenty first pushes to twenty apps at once all land' equal "$landed" 20
serving=0
for i in $(seq 20); do
	APP=many$i
	[ "$(fetch /version)" != 1 ] || serving=$((serving + 1))
done
ok '  and all serve' equal "$serving" 20
done_testing
