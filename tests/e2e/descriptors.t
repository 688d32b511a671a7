#!/bin/sh
# silverd itself without descriptors, or without memory for another process, for a while: what is live serves, a push is
# refused or waits, and afterwards all is as before (25 s).
. "$(dirname "$0")/lib.sh"

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
wait_until 20 settled

first_free() { # the lowest descriptor that is not in use: what is free below the highest counts, too
	ff_n=0
	while [ -e "/proc/$SILVERD/fd/$ff_n" ]; do ff_n=$((ff_n + 1)); done
	echo $ff_n
}
limit() { # N: silverd may have so many
	prlimit --pid "$SILVERD" --nofile="$1:$usual_hard"
}
usual_soft=$(prlimit --pid "$SILVERD" --nofile --output SOFT --noheadings | tr -d ' ')
usual_hard=$(prlimit --pid "$SILVERD" --nofile --output HARD --noheadings | tr -d ' ')
# Whatever came of it, it is what was told.
is_as_told() { # STATUS VERSION BEFORE
	if [ "$1" -eq 0 ] && grep -q 'is live at' "$TMP/push.err"; then serves "$2"; else serves "$3"; fi
}

# With enough of them to speak to the client at all it is told.
has_reason() {
	[ "$1" -eq 0 ] || said 'Too many open files'
}

n=1
lived=0
for spare in 0 1 2 3 5 8 12 400; do
	n=$((n + 1))
	commit_app $n
	before=$(fetch /version)
	limit $(($(first_free) + spare))
	push_status=0
	PUSH_SECONDS=4 push >/dev/null || push_status=$?
	ok "48 with $spare descriptors left a push ($push_status) does what it tells" is_as_told $push_status $n "$before"
	[ $spare -lt 12 ] || ok '   a refusal has a reason' has_reason $push_status
	ok '   silverd lives'                     kill -0 "$SILVERD"
	[ $push_status -ne 0 ] || lived=$((lived + 1))
	limit "$usual_soft"
	n=$((n + 1))
	commit_app $n
	ok '   afterwards the next push works'    wait_until 30 push
	ok '   and is live'                       serves $n
	ok '   ref and live agree'                wait_until 20 ref_is_live
	wait_until 20 settled >/dev/null || true
done
ok '48 and with enough of them a push went live'   test "$lived" -gt 0

# no memory for another process
strace -qq -o /dev/null -e trace=clone,clone3,fork,vfork -e inject=clone,clone3,fork,vfork:error=ENOMEM -p "$SILVERD" 2>"$TMP/strace.err" &
tracer=$!
traced() {
	grep -q "^TracerPid:[[:space:]]*$tracer\$" "/proc/$SILVERD/status"
}
if wait_until 5 traced >/dev/null; then
	n=$((n + 1))
	commit_app $n
	before=$(fetch /version)
	push_status=0
	PUSH_SECONDS=4 push >/dev/null || push_status=$?
	ok "48 without memory for a process a push ($push_status) does what it tells" is_as_told $push_status $n "$before"
	ok '   and it fails'                      test $push_status -ne 0
	ok '   with the reason'                   said 'Cannot allocate memory|Connection closed|Connection reset|timed out|hung up'
	kill -INT $tracer
	wait $tracer 2>/dev/null || true
	ok '   silverd lives'                     kill -0 "$SILVERD"
	ok '   afterwards the same push works'    wait_until 30 push
	ok '   and is live'                       serves $n
else
	skip '48 without memory for a process' 'silverd may not be traced here'
fi
ok '   nothing is left half'                      nothing_half
done_testing
