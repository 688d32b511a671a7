#!/bin/sh
# Client and server die while a push is held in each of its phases. The client: TERM, KILL, stopped, a network that goes silent,
# closes, resets. The server: kill -9 of silverd, of the sessions, of git receive-pack, of the push's whole process group. Ref and
# live agree afterwards, what came whole goes live without its client, verify and fsck are clean, and the next push works.
#
#	TRIES=100	of the client's death, and as many of the server's (20 and 12, under the sanitizers 6 and 4: 45 s; `make
#			sweep`: 100). 42 tries are each phase with each way to die; 28 those of the server.
. "$(dirname "$0")/lib.sh"

command -v strace >/dev/null || bail 'strace is missing'
. "$HERE/crash-hooks.sh"
if [ -n "${SAN:-}" ]; then clients=6 servers=4; else clients=20 servers=12; fi
clients=${TRIES:-$clients} servers=${TRIES:-$servers}

# accept: git has taken the objects, the ref moves next; moved: it has; flip: at a call of post-receive
PHASES='upload gate stage prove accept moved flip'
CLIENT_DEATHS='TERM KILL STOP silent close reset'
SERVER_DEATHS='silverd session receive-pack group'
UPLOADED='100000 0 1000 2500 4000 200000 30000' # bytes of the client; key exchange, login and pack

nth() { # I LIST...: the I-th, and round again
	shift $((1 + $1 % ($# - 1)))
	echo "$1"
}

# --- a push that is held ---------------------------------------------------------------------------

commit_next() {
	n=$((n + 1))
	rm -rf "$REPO/d$((n - 1))"
	mkdir "$REPO/d$n" && echo $n >"$REPO/d$n/f"
	commit_app $n 'update_fetch = script:bin/step'
}

hold_phase() { # PHASE I
	rm -f "$TMP/net/held" "$TMP/net/limit"
	hold_at prove 0 none
	case $1 in
	upload)
		# shellcheck disable=SC2086
		nth $(($2 / 7)) $UPLOADED >"$TMP/net/limit"
		head -c 400000 /dev/urandom >"$REPO/noise"
		git -C "$REPO" add noise && git -C "$REPO" commit -q --amend --no-edit
		;;
	gate) hold_at pre-receive 0 blog ;;
	stage) hold_at pre-receive $((1 + $2 / 7 % stage_calls)) blog ;;
	prove) hold_at prove 0 blog ;;
	accept) hold_at proc-receive 0 blog ;;
	moved) hold_at post-receive 0 blog ;;
	flip) hold_at post-receive $((1 + $2 / 7 % flip_calls)) blog ;;
	esac
}

begin_push() { # its pid in $pid
	(PUSH_SECONDS=100 && git_node -C "$REPO" push "ssh://silver@127.0.0.1:$(cat "$TMP/net/port")/blog" HEAD:master) \
		>"$TMP/push.out" 2>"$TMP/push.err" &
	pid=$!
}

is_held() {
	held || [ -e "$TMP/net/held" ]
}

held_or_over() {
	is_held || gone "$pid"
}

count_calls() { # HOOK: how many it makes in a push; in $calls
	commit_next
	hold_at "$1" 9999 blog
	push || bail 'a push to be counted failed'
	let_go
	# strace counts each call of each process for itself
	calls=$(sed -n 's/^\([0-9]* *[a-z0-9]*\)(.*/\1/p' "$TMP/crash/hold.trace" | sort | uniq -c | sort -n | awk 'END { print $1 }')
}

# --- what must hold ----------------------------------------------------------------------------------

agreed() {
	let_go
	settled && ref_is_live
}

pushed_is_live() {
	equal "$(record commit)" "$(git -C "$REPO" rev-parse HEAD)"
}

landed() {
	agreed && pushed_is_live
}

sound() {
	silver verify blog && wait_until 20 silver fsck
}

# Before anybody tidied: what a killed git received may wait there, and nothing may be damaged.
undamaged() {
	silver verify blog || return 1
	un_status=0
	silver fsck || un_status=$?
	[ "$un_status" -eq 0 ] || [ "$un_status" -eq 3 ]
}

next_push() {
	commit_next
	push && serves "$n" && ref_is_live && tree_is_exact
}

# --- the client ----------------------------------------------------------------------------------------

network() { # silent, close, reset
	echo "$1" >"$TMP/net/do.new"
	mv "$TMP/net/do.new" "$TMP/net/do"
	wait_until 20 test ! -e "$TMP/net/do"
}

client_dies() { # HOW
	case $1 in
	TERM | KILL | STOP) kill_tree "$1" "$pid" ;;
	*) network "$1" ;;
	esac
}

client_try() { # I
	# shellcheck disable=SC2086
	phase=$(nth "$1" $PHASES) how=$(nth "$1" $CLIENT_DEATHS)
	commit_next
	was=$(live)
	hold_phase "$phase" "$1"
	begin_push
	wait_until 60 held_or_over || bail "the push is not held: $phase"
	if is_held; then
		held_n=$((held_n + 1))
	fi
	client_dies "$how"
	what="client dies ($how) in $phase $(cat "$TMP/net/limit" 2>/dev/null || hold_place)"
	if [ "$phase" = upload ]; then
		ok "17 $what: live unchanged"       equal "$(live)" "$was"
		ok '16   live and ref agree'        ref_is_live
	else
		ok "16 $what: it goes live all the same" wait_until 60 landed
	fi
	ok '     verify and fsck are clean'         sound
	ok '     the next push works'               next_push
	kill_tree KILL "$pid"
	network close
	wait "$pid" 2>/dev/null || true
}

# --- the server ----------------------------------------------------------------------------------------

receive_pack() {
	pgrep -of "receive-pack $STATE/apps/blog/repo.git"
}

server_dies() { # WHAT
	case $1 in
	silverd)
		kill -KILL "$SILVERD"
		wait "$SILVERD" 2>/dev/null || true
		;;
	session) for sd_pid in $(pgrep -P "$SILVERD" -x silver-session); do kill -KILL "$sd_pid"; done ;;
	receive-pack) kill -KILL "$(receive_pack)" ;;
	group) kill -s KILL -- "-$(ps -o pgid= -p "$(receive_pack)" | tr -d ' ')" ;;
	esac
}

supervision() {
	for sv_pid in $(pgrep -x s6-svscan); do
		case $(readlink "/proc/$sv_pid/cwd") in "$STATE"/*) echo "$sv_pid" ;; esac
	done
	(APP=prog && fetch /pid)
}

server_try() { # I
	# shellcheck disable=SC2086
	phase=$(nth "$1" $PHASES) how=$(nth "$1" $SERVER_DEATHS)
	[ "$phase" != upload ] || [ "$how" = silverd ] || [ "$how" = session ] || phase=gate # there may be no receive-pack
	commit_next
	hold_phase "$phase" "$1"
	begin_push
	wait_until 60 held_or_over || bail "the push is not held: $phase"
	if is_held; then
		held_n=$((held_n + 1))
	fi
	! is_held || server_dies "$how" || bail "there is no $how to kill in $phase"
	what="$how killed in $phase $(cat "$TMP/net/limit" 2>/dev/null || hold_place)"
	[ $(($1 / 4 % 2)) -eq 0 ] || let_go # what is left of the push ends before silverd starts, or while it does
	[ "$how" != silverd ] || ! gone "$SILVERD" || start_silverd
	[ "$phase" != upload ] || network close
	ok "16 $what: live and ref agree"           wait_until 60 agreed
	wait "$pid" 2>/dev/null || true
	# told so: by Silver's words, not by git's
	! grep -q 'is live at' "$TMP/push.err" || ok '     the pusher was told so, and it is' pushed_is_live
	ok '     what supervises, and what it runs, stays' equal "$(supervision)" "$supervised"
	ok '     nothing is damaged'                undamaged
	find "$STATE/apps/blog/repo.git/objects" -maxdepth 1 -name 'tmp_objdir-*' -exec touch -d '2 days ago' '{}' +
	ok '15   the next push works'               next_push
	ok '     verify and fsck are clean'         sound
}

# --- all of it -------------------------------------------------------------------------------------------

crash_hooks pre-receive proc-receive post-receive
mkdir "$TMP/net"
start_silverd
PLATFORM='exec'
new_app prog
commit_app 1
push || bail 'the first push of prog failed'
PLATFORM=static
new_app blog
mkdir "$REPO/bin"
cat >"$REPO/bin/step" <<END
#!/bin/sh
[ -s $TMP/crash/hold.prove.blog ] || exit 0
: >$TMP/crash/held
while [ -s $TMP/crash/hold.prove.blog ]; do sleep 0.05; done
END
chmod 755 "$REPO/bin/step"
n=0 held_n=0
commit_next
push || bail 'the first push failed'
python3 "$HERE/proxy.py" "$TMP/net" "$SSH_PORT" >"$TMP/proxy.err" 2>&1 &
proxy=$!
end_proxy() {
	kill "$proxy"
}
CLEAN_UP=end_proxy
wait_until 20 test -e "$TMP/net/port" || bail "no proxy: $(cat "$TMP/proxy.err")"
supervised=$(supervision)
[ "$(echo "$supervised" | wc -l)" -eq 2 ] || bail "nothing supervises: $supervised"
count_calls pre-receive && stage_calls=$calls
count_calls post-receive && flip_calls=$calls

i=0
while [ $i -lt "$clients" ]; do
	client_try $i
	i=$((i + 1))
done
i=0
while [ $i -lt "$servers" ]; do
	server_try $i
	i=$((i + 1))
done
echo "# $held_n of $((clients + servers)) pushes were held; up to call $stage_calls of pre-receive, $flip_calls of post-receive"
ok '   nearly every push was held where it should be' test $((held_n * 10)) -ge $(((clients + servers) * 9))
ok '   nothing is left half' nothing_half
done_testing
