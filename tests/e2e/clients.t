#!/bin/sh
# Clients that vanish: in the middle of an upload, while a release is proven, after the answer. Ref and live agree, and
# the next push works.
. "$(dirname "$0")/lib.sh"

# An ssh that passes BYTES of what the client sends, then dies (as KILL or TERM) or just says that no more comes.
cut_ssh() { # BYTES HOW
	cat >"$TMP/cut-ssh" <<-END
		#!/bin/bash
		# what comes in is passed on up to the limit, byte by byte as it comes
		exec 4> >(exec ssh -F "$TMP/ssh_config" -i "$TMP/keys/$KEY" "\$@")
		ssh_pid=\$!
		head -c $1 >&4
		case $2 in
		eof) exec 4>&-; wait \$ssh_pid ;;
		*) kill -$2 \$ssh_pid; kill -$2 \$PPID ;;
		esac
	END
	chmod 755 "$TMP/cut-ssh"
}
push_cut() { # APP BYTES HOW [ARGS...]
	cut_ssh "$2" "$3"
	GIT_SSH_COMMAND="$TMP/cut-ssh" timeout 60 git -C "$REPO" push "$(url "$1")" HEAD:master >"$TMP/push.out" 2>"$TMP/push.err"
}

start_silverd
new_app blog
commit_app 1
python3 -c 'import os, sys; sys.stdout.buffer.write(os.urandom(400000))' >"$REPO/noise"
commit_app 2
ok '17 a first push that is cut after 100 000 bytes fails' must_fail push_cut blog 100000 eof
ok '17 and the next push works'             push
ok '  it is live'                           serves 2
ok '  live and ref agree'                   ref_is_live
app_n=0
for bytes in 0 1 100 3000 200000; do
	for how in KILL TERM eof; do
		app_n=$((app_n + 1))
		APP=first$app_n
		push_cut "$APP" "$bytes" "$how" || true
		ok "17 a first push killed ($how) after $bytes bytes: the next one works" push
		ok '  it is live'                   ref_is_live
	done
done

APP=blog
commit_app 3
for i in 1 2 3 4; do
	python3 -c 'import os, sys; sys.stdout.buffer.write(os.urandom(100000))' >"$REPO/noise"
	commit_app "3.$i"
	push_cut blog $((i * 20000)) KILL || true
	ok "16 an upload killed after $((i * 20000)) bytes: ref and live agree" wait_until 20 ref_is_live
	ok '  live unchanged'                       serves 2
done
ok '16 and the next push works'             push
ok '  it is live'                           serves 3.4
ok '  nothing is left half'                 nothing_half

# While it is proven, and at the end: the server goes on, or it never happened; never in between.
PLATFORM=python
for how in KILL TERM; do
	rm -f "$TMP/go"
	commit_app "proven-$how" 'health = /needs'
	sed -i "s|    if path == \"/version\":|    if path == \"/needs\":\n        status = \"200 OK\" if os.path.exists(\"$TMP/go\") else \"503 Service Unavailable\"\n    elif path == \"/version\":|" "$REPO/src/app.py"
	git -C "$REPO" commit -qam "waits"
	number=$(($(live) + 1))
	git_node -C "$REPO" push "$(url blog)" HEAD:master >"$TMP/push.out" 2>"$TMP/push.err" &
	pid=$!
	wait_until 40 test -e "$STATE/apps/blog/releases/$number/run/http.sock" || bail 'the release is not being proven'
	kill_tree $how $pid
	wait "$pid" 2>/dev/null || true
	ok "16 client killed ($how) while the release is proven: nothing has moved yet" ref_is_live
	: >"$TMP/go"
	landed() { equal "$(app_git rev-parse HEAD)" "$(git -C "$REPO" rev-parse HEAD)"; }
	ok '  the push goes on to its end' wait_until 40 landed
	ok '  ref and live agree'          wait_until 20 ref_is_live
	ok '  it serves'                   serves "proven-$how"
	commit_app "after-$how"
	ok '  the next push works'         push
	ok '  and serves'                  serves "after-$how"
done

# Killed at the very moment the answer arrives: the last bytes of the push are on their way.
PLATFORM=static
for delay in 0.05 0.1 0.15 0.2 0.3; do
	commit_app "d$delay"
	git_node -C "$REPO" push "$(url blog)" HEAD:master >"$TMP/push.out" 2>"$TMP/push.err" &
	pid=$!
	timeout -s KILL "$delay" tail -f /dev/null --pid=$pid || true
	kill_tree KILL $pid
	wait "$pid" 2>/dev/null || true
	ok "16 client killed $delay s into a push: ref and live agree" wait_until 20 ref_is_live
done
commit_app last
# the last one may still be under way: then the ref moves below this push, which is told so
ok '16 the next push works' wait_until 20 push
ok '  and serves'           serves last
ok '  nothing is left half' nothing_half
ok '  the tree is exact'    tree_is_exact
done_testing
