#!/bin/sh
# Two pushers race to one app, again and again: what is live is one of the two, wholly, as the ref says, and each was told what
# became of its commit. Then everything else that one may do to an app, beside a push. And two apps, one of them held anywhere.
#
#	ROUNDS=200	of two pushers, and a tenth of it of each verb (30 and 2, under the sanitizers 6 and 1: 45 s; `make sweep`: 200)
. "$(dirname "$0")/lib.sh"

. "$HERE/crash-hooks.sh"
if [ -n "${SAN:-}" ]; then rounds=6 verb_rounds=1; else rounds=30 verb_rounds=2; fi
[ -z "${ROUNDS:-}" ] || verb_rounds=$((ROUNDS / 10))
rounds=${ROUNDS:-$rounds}
FILES='0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29'

# version NAME FROM: a commit on FROM (a commit), every file of which says NAME; in $commit
version() {
	git -C "$REPO" checkout -q --detach "$2"
	for ve_i in $FILES; do echo "$1 $ve_i" >"$REPO/f$ve_i"; done
	commit_app "$1"
	commit=$(git -C "$REPO" rev-parse HEAD)
}

# bg NAME COMMAND...: its pid in $PID, its output in $TMP/NAME.err
bg() {
	bg_name=$1
	shift
	"$@" >"$TMP/$bg_name.err" 2>&1 &
	PID=$!
}
push_bg() { # NAME COMMIT [OPTIONS...]: as the user NAME
	KEY=$1
	pb_commit=$2
	shift 2
	bg "$KEY" git_node -C "$REPO" push "$@" "$(url "$APP")" "$pb_commit:refs/heads/master"
	KEY='admin'
}
ended() { # PID: its status in $STATUS (a subshell could not wait for it)
	STATUS=0
	wait "$1" || STATUS=$?
}

# accepted COMMIT: it has been live, as a release of some number
accepted() {
	app_git for-each-ref --format='%(objectname)' refs/releases | grep -qx "$1"
}

# git's own words for a ref that moved, and Silver's: for a ref, and for the lock
REASON='fetch first|non-fast-forward|reference already exists|silver: .*(moved|another|push|under way|is not there|no app)'

# told_truth NAME STATUS COMMIT: success means that it was live, failure that it never was, and says why
told_truth() {
	if [ "$2" -eq 0 ]; then
		said 'release [0-9]+ is live' "$TMP/$1.err" && accepted "$3"
	else
		! accepted "$3" && [ "$2" -lt 124 ] && said "$REASON" "$TMP/$1.err"
	fi
}

at_rest() {
	settled && ref_is_live
}

# whole: ref and live agree, and every file is of the commit that they name
whole() {
	wait_until 30 at_rest || return 1
	wh_live=$(record commit)
	serves "$(git -C "$REPO" log -1 --format=%s "$wh_live" | sed 's/version //')" && tree_is_exact "$wh_live"
}

sound() {
	silver verify "$APP" --all && wait_until 20 silver fsck "$APP"
}

# --- two pushers ---------------------------------------------------------------------------------------

refused_n=0
race() { # ROUND: every other one forced, so that both may land; else the slower one comes too late
	base=$(record commit)
	version "a$1" "$base" && a=$commit
	version "b$1" "$base" && b=$commit
	force=
	[ $(($1 % 2)) -eq 0 ] || force=-f
	push_bg ann "$a" ${force:+"$force"} && pid_a=$PID
	[ $(($1 % 3)) -ne 0 ] || sleep "0.$((10 + $1 * 7 % 90))" # not always at the same moment
	push_bg ben "$b" ${force:+"$force"} && pid_b=$PID
	ended "$pid_a" && status_a=$STATUS
	ended "$pid_b" && status_b=$STATUS
	[ "$status_a" -eq 0 ] && [ "$status_b" -eq 0 ] || refused_n=$((refused_n + 1))
	ok "14 round $1${force:+, forced}: one is live, wholly, as the ref says" whole
	ok '     it is one of the two'              one_of "$a" "$b"
	ok '     one was told what became of it'    told_truth ann "$status_a" "$a"
	ok '     and so was the other'              told_truth ben "$status_b" "$b"
	ok '     one of them landed'                test "$status_a" -eq 0 -o "$status_b" -eq 0
}
one_of() {
	test "$(record commit)" = "$1" -o "$(record commit)" = "$2"
}

# --- a verb and a push ---------------------------------------------------------------------------------

run_verb() { # VERB
	case $1 in
	activate) verb activate "$APP" "$(basename "$(readlink "$STATE/apps/$APP/previous")")" ;;
	branch) verb branch "$APP" other ;;
	repair) verb verify "$APP" --repair ;;
	fsck) exits 0 verb fsck "$APP" || exits 3 verb fsck "$APP" ;; # a step that is under way is pending
	stage) git_node -C "$REPO" push -o stage "$(url "$APP")" "$c:refs/heads/master" ;;
	*) verb "$1" "$APP" ;;
	esac
}

beside() { # VERB ROUND
	base=$(record commit)
	version "$1-stage$2" "$base" && c=$commit
	version "$1$2" "$base" && a=$commit
	if [ "$1" = branch ]; then
		git_node -C "$REPO" push -qf "$(url "$APP")" "$base:refs/heads/other" 2>/dev/null || bail 'no other branch'
	fi
	[ $(($2 % 2)) -eq 1 ] || { bg verb run_verb "$1" && pid_v=$PID; }
	push_bg ann "$a" -f && pid_a=$PID
	[ $(($2 % 2)) -eq 0 ] || { bg verb run_verb "$1" && pid_v=$PID; }
	ended "$pid_a" && status_a=$STATUS
	ended "$pid_v" && status_v=$STATUS
	ok "14 push and $1, round $2: ref and live agree, wholly" whole
	if [ "$1" = branch ] && grep -q 'not deployed' "$TMP/ann.err"; then
		ok '     the pusher was told that it is not deployed' equal "$status_a $(app_git rev-parse master)" "0 $a"
	else
		ok '     the pusher was told the truth' told_truth ann "$status_a" "$a"
	fi
	ok "     $1 came to its end"                verb_ended "$1"
	ok '     verify and fsck are clean'         sound
	[ "$1" != branch ] || verb branch "$APP" master >/dev/null 2>&1 || bail 'the branch does not come back'
}
verb_ended() { # done, or refused with its reason; what only looks finds nothing
	[ "$status_v" -eq 0 ] || {
		case $1 in verify | fsck | repair | redeploy) cat "$TMP/verb.err" && return 1 ;; esac
		[ "$status_v" -lt 124 ] && said 'silver: ' "$TMP/verb.err"
	}
}

create_again() {
	verb destroy "$APP" --yes && verb create "$APP"
}
# git receives without the lock: when its repository is destroyed meanwhile it gives up, in words of its own.
landed_or_refused() {
	if [ "$status_a" -eq 0 ]; then
		said 'release [0-9]+ is live' "$TMP/ann.err"
	else
		[ "$status_a" -eq 1 ] || [ "$status_a" -eq 128 ] || return 1
		said '^(fatal|error): |rejected' "$TMP/ann.err" && ! grep 'is live' "$TMP/ann.err"
	fi
}
ends() { # ROUND: destroy and create beside a push
	base=$(git -C "$REPO" rev-parse "$a")
	version "end$1" "$base" && a=$commit
	bg verb create_again && pid_v=$PID
	push_bg ann "$a" -f && pid_a=$PID
	ended "$pid_a" && status_a=$STATUS
	ended "$pid_v" && status_v=$STATUS
	ok "14 push and destroy, create, round $1: the push lands, or is refused" landed_or_refused
	ok '     destroy and create came to their end' test "$status_v" -lt 124
	version "new$1" "$a" && a=$commit
	ok '     the next push works'               push -f "$a:refs/heads/master"
	ok '     ref and live agree, wholly'        whole
	ok '     verify and fsck are clean'         sound
}

# --- two apps ------------------------------------------------------------------------------------------

two_apps() { # HOOK K: a push to blog is held there, and all goes on in the other app
	APP=blog
	version "held-$1-$2" "$(record commit)" && a=$commit
	hold_at "$1" "$2" blog
	push_bg ann "$a" && pid_a=$PID
	wait_until 60 held || bail "not held in $1"
	APP=tmp
	version "goes-on-$1-$2" "$a" && b=$commit
	ok "14 blog is held in $1, at $2: tmp is pushed" push -f "$b:refs/heads/master"
	ok '     and serves'                        serves "goes-on-$1-$2"
	ok '     redeployed'                        verb redeploy tmp
	ok '     rolled back'                       verb rollback tmp
	ok '     verified'                          verb verify tmp
	ok '     destroyed'                         verb destroy tmp --yes
	ok '     and made'                          verb create tmp
	APP=blog
	ok '     blog is held all the while'        must_fail flock -n "$STATE/apps/blog/lock" true
	go_on() { let_go; gone "$pid_a"; }
	wait_until 60 go_on
	ended "$pid_a"
	ok '     and lands'                         told_truth ann "$STATUS" "$a"
}

# --- all of it -------------------------------------------------------------------------------------------

crash_hooks pre-receive post-receive
start_silverd
for key in ann ben; do
	new_key "$key"
	add_user "$key" --role admin >/dev/null 2>&1 || bail "no user $key"
done
new_app blog
commit_app base
push || bail 'the first push failed'
base=$(git -C "$REPO" rev-parse HEAD)
version second "$base"
push HEAD:master || bail 'the second push failed'

i=0
while [ $i -lt "$rounds" ]; do
	i=$((i + 1))
	race $i
done
ok '14 verify and fsck are clean' sound
echo "# in $refused_n of $rounds rounds one of the two was refused"

for what in rollback redeploy activate branch verify repair fsck stage; do
	i=0
	while [ $i -lt "$verb_rounds" ]; do
		i=$((i + 1))
		beside $what $i
	done
done
ok '   nothing is left half' nothing_half
APP=tmp
push -f "$a:refs/heads/master" || bail 'the first push of tmp failed'
i=0
while [ $i -lt "$verb_rounds" ]; do
	i=$((i + 1))
	ends $i
done
for at in 'pre-receive 2' 'pre-receive 12' 'post-receive 0' 'post-receive 5'; do
	# shellcheck disable=SC2086
	two_apps $at
done
APP=blog
ok '   nothing is left half' nothing_half
done_testing
