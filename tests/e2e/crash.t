#!/bin/sh
# kill -9 of every process of a push, at each call that changes the disk: the lock is free, ref and live agree, the
# next push works. The hooks run below strace, which kills at the K-th such call; then git receive-pack is killed too.
. "$(dirname "$0")/lib.sh"

command -v strace >/dev/null || bail 'strace is missing'
. "$HERE/crash-hooks.sh"

crash_hooks pre-receive post-receive
start_silverd
new_app blog
commit_app 0
push || bail 'the first push failed'

n=0
sweep() { # HOOK
	k=0
	while :; do
		k=$((k + 1)) n=$((n + 1))
		wait_until 20 settled
		crash_at "$1" $k
		rm -rf "$REPO/d$((n - 1))"
		mkdir "$REPO/d$n" && echo $n >"$REPO/d$n/f"
		commit_app $n
		must=
		push || must=$?
		crash_never "$1"
		crashed || break
		ok "15 $1 killed at call $k ($(crash_place)): the lock is free" wait_until 20 settled
		ok '16   ref and live agree' wait_until 20 ref_is_live
		ok '16   what is live serves' serves "$(git -C "$REPO" log -1 --format=%s "$(record commit)" | sed 's/version //')"
		n=$((n + 1))
		commit_app $n
		ok '15   the next push works' push
		ok '     and is live' serves $n
		ok '     wholly' tree_is_exact
		[ $k -lt 60 ] || break
	done
	ok "15 $1 ran through after $((k - 1)) kills" test "$k" -gt 2
	ok '   and that push landed' test -z "$must"
}
sweep pre-receive
sweep post-receive
ok '   nothing is left half' nothing_half

# Somebody else may get the lock first when a killed push lets go of it (a backup, a curious operator): what finishes
# the push waits its turn.
wait_until 20 settled
n=$((n + 1))
commit_app $n
crash_at post-receive 1
{
	# until the push has it, without a pause: a push is soon over; then we are next
	wl_end=$(($(date +%s) + 60))
	while flock -n "$STATE/apps/$APP/lock" true && [ "$(date +%s)" -lt "$wl_end" ]; do
		:
	done
	flock "$STATE/apps/$APP/lock" sleep 1
} &
must_fail push
crash_never post-receive
ok '16 a push killed while somebody else waits for the lock' crashed
ok '   goes live all the same' wait_until 20 serves $n
wait $!

# git receive-pack killed while it moves refs leaves its locks; as root they are the owner's
wait_until 20 settled
for lock in refs/heads/master.lock refs/heads/other.lock refs/tags/t.lock HEAD.lock packed-refs.lock refs/releases/.9.new; do
	: >"$STATE/apps/blog/repo.git/$lock"
	chown --reference="$STATE/apps/blog/repo.git" "$STATE/apps/blog/repo.git/$lock"
done
n=$((n + 1))
commit_app $n
ok '15 locks that a killed git left are no obstacle' push HEAD:master HEAD:refs/heads/other HEAD:refs/tags/t
ok '   and that push is live' serves $n
ok '29 verify is clean' verb verify blog
done_testing
