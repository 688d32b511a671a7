# lib.sh - what the kill sweep and the power sweep share: prepared nodes, the operations, and what must hold afterwards.
#
# No silverd and no ssh for a case: git receive-pack, silver-deploy and silver-root run as silverd runs them
# (docs/CONTRACT.md), below cut(1) of this directory, which ends them before the K-th call that changes the disk.
# tests/e2e/crash.t does it to a push over the real receiver.
#
#	SHARD=1/8	every eighth case, beginning with the first (default: all); in the kill sweep no multiple of
#			three, which would leave out ways to recover
#	OPS='push settle'	these operations only
# shellcheck shell=sh disable=SC2034,SC2154 # op comes from who includes this, and the others are theirs
. "$(dirname "$0")/../e2e/lib.sh"

APP=blog
REPO=$TMP/work
CASE=$TMP/case # the node's directory of this case
CUT=           # options of cut
export CASE CUT
SHARD=${SHARD:-1/1}
part=${SHARD%/*} parts=${SHARD#*/}
case_n=0
began=$(date +%s)
OPERATIONS='first main push back merge rollback activate relayout redeploy fresh config waiting branch settle prune
	recover_flip recover_intent recover_ref recover_gone create destroy
	stage staged provision backup grant ungrant locate'

${CC:-cc} -O2 -D_GNU_SOURCE -o "$TMP/cut" "$TOP/tests/sweep/cut.c" || bail 'no compiler for cut.c'

# Root mounts and copies; the node's own programs run as a user who has no name and nothing else.
AS=
[ "$(id -u)" -ne 0 ] || AS='setpriv --reuid=61997 --regid=61997 --clear-groups'

# Not a case of this shard: 1.
mine() {
	case_n=$((case_n + 1))
	[ $(((case_n - 1) % parts)) -eq $((part - 1)) ]
}

# --- the programs, as silverd starts them ----------------------------------------------------------

cat >"$TMP/owner" <<END
#!/bin/sh
# owner PROGRAM ARGUMENT...: in the environment of docs/CONTRACT.md
exec 4<>"\$CASE/apps/$APP/lock"
exec env -i PATH="\$PATH" HOME=/nonexistent LANG=C.UTF-8 SILVER_DIR="\$CASE" SILVER_APP=$APP SILVER_USER=tester \\
	SILVER_PEER=local SILVER_LOCK_FD=4 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=5 \\
	GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=$USR/lib/silver/hooks \\
	GIT_CONFIG_KEY_1=safe.directory "GIT_CONFIG_VALUE_1=*" \\
	GIT_CONFIG_KEY_2=receive.procReceiveRefs GIT_CONFIG_VALUE_2=refs/heads \\
	GIT_CONFIG_KEY_3=core.alternateRefsCommand GIT_CONFIG_VALUE_3=/bin/true \\
	GIT_CONFIG_KEY_4=pack.writeReverseIndex GIT_CONFIG_VALUE_4=false \\
	GIT_EXEC_PATH=$USR/lib/silver/git SILVER_PRE_RECEIVE=$USR/lib/silver/hooks/pre-receive \\
	\${CUT:+$TMP/cut \$CUT "\$CASE"} $AS "\$@"
END
cat >"$TMP/receive" <<END
#!/bin/sh
exec $TMP/owner git receive-pack "\$1"
END
chmod 755 "$TMP/owner" "$TMP/receive"

deploy() { # VERB [ARGS...]
	d_verb=$1
	shift
	"$TMP/owner" "$USR/lib/silver/silver-deploy" "$d_verb" "$APP" "$@"
}

root() { # VERB [ARGS...] of silver-root
	# shellcheck disable=SC2086 # options and words
	${CUT:+"$TMP/cut" $CUT "$CASE"} $AS "$USR/lib/silver/silver-root" --dir "$CASE" "$@"
}

send() { # REFSPEC...: git push
	git -C "$REPO" push --receive-pack="$TMP/receive" "$CASE/apps/$APP/repo.git" "$@"
}

without_cut() {
	(CUT='' && "$@")
}

# --- nodes to begin with ------------------------------------------------------------------------------

make_commits() { # c0 ... c6: files, modes, links and directories come, change and go
	git init -q "$REPO"
	mkdir "$REPO/static" "$REPO/same"
	for mc_i in 1 2 3; do echo "same $mc_i" >"$REPO/same/$mc_i"; done
	printf '[production]\nplatform = static\n' >"$REPO/app.ini"
	for mc_n in 0 1 2 3 4 5 6; do
		echo "$mc_n" >"$REPO/static/version"
		rm -rf "$REPO/turns" "$REPO/d$((mc_n - 1))"
		mkdir -p "$REPO/d$mc_n/e" && echo "$mc_n" >"$REPO/d$mc_n/e/f"
		if [ $((mc_n % 2)) -eq 0 ]; then
			mkdir "$REPO/turns" && echo x >"$REPO/turns/into" && chmod 755 "$REPO/static/version"
		else
			ln -s static/version "$REPO/turns" && chmod 644 "$REPO/static/version"
		fi
		git -C "$REPO" add -A
		git -C "$REPO" commit -q -m "version $mc_n"
		git -C "$REPO" tag "c$mc_n"
	done
}

make_node() {
	mkdir -p "$CASE"
	printf '[node]\nssh = 127.0.0.1:0\nhttp = 127.0.0.1:0\nkeep = 3\n' >"$CASE/node.ini"
	[ -z "$AS" ] || chown 61997:61997 "$CASE" "$CASE/node.ini"
	root node
}

# The node that an operation begins on, in $CASE: `node` is empty, `app` has an app, `base` three releases of it.
make_state() {
	make_node || return 1
	[ "$1" != node ] || return 0
	root create "$APP" || return 1
	[ "$1" != app ] || return 0
	for ms_n in 0 1 2; do
		send -q "c$ms_n:refs/heads/master" && deploy settle || return 1
	done
	send -q c4:refs/heads/other && deploy settle
}

commit() {
	git -C "$REPO" rev-parse "$1^{commit}"
}

# --- the operations -------------------------------------------------------------------------------------
# from: the state; old, new: what may be live afterwards (- nothing); prepare_: what happened before, run_: what is ended.

operation() { # NAME: $from $old $new $scenario
	from=base old=c2 new=c2 scenario=49
	case $1 in first | main | create) scenario=17 ;; esac
	case $1 in
	first | main) from=app old=- new=c0 ;;
	create) from=node old=- new=- ;;
	waiting) from=app old=- new=- ;; # what is set before there is a release
	push) new=c3 ;;
	back | activate) new=c0 ;;
	rollback | relayout) new=c1 ;;
	merge | settle | prune) old=c3 new=c3 ;;
	branch) new=c4 ;;
	staged) new=c3 ;;
	recover_flip) old=c3 new=c3 ;;
	recover_ref) new=c3 ;;
	esac
}

prepare() { # its status is the last command's
	case $1 in
	merge | settle) send -q c3:refs/heads/master ;;
	prune) # settling ended again and again: much to do
		send -q c3:refs/heads/master && send -q c4:refs/heads/master && send -q -f c3:refs/heads/master
		send -q c5:refs/heads/master && send -q -f c3:refs/heads/master
		;;
	config | waiting) deploy 'config put' file <"$REPO/app.ini" ;;
	relayout) rm -rf "$CASE/apps/$APP/slots/$(slot_of "$(readlink "$CASE/apps/$APP/previous")")" ;;
	fresh) rm "$CASE/apps/$APP/current/app/static/version" ;;
	recover_flip | recover_intent)
		pr_call='1 -c post-receive'
		[ "$1" = recover_flip ] || pr_call=$(intent_call)
		! CUT="-k $pr_call" send -q c3:refs/heads/master
		test -h "$CASE/apps/$APP/next"
		;;
	recover_ref)
		send -q c3:refs/heads/third
		# shellcheck disable=SC2086
		$AS git --git-dir="$CASE/apps/$APP/repo.git" update-ref refs/heads/master "$(commit c3)"
		;;
	recover_gone) rm -rf "$CASE/apps/$APP/$(readlink "$CASE/apps/$APP/current")" ;;
	staged) send -q -o stage c3:refs/heads/master ;;
	backup) give_services ;;
	grant) echo secret | root 'key set' maps ;;
	ungrant) echo secret | root 'key set' maps && root 'key grant' maps "$APP" ;;
	esac
}

# What the app keeps, in a file of its own and in a database.
give_services() {
	root provision "$APP" files '' && root provision "$APP" sqlite '' && echo before >"$(given)"
}
given() {
	echo "$CASE/data/$APP/files/given"
}

perform() {
	case $1 in
	first) send c0:refs/heads/master ;;
	main) send c0:refs/heads/main ;;
	push) send c3:refs/heads/master ;;
	back) send -f c0:refs/heads/master ;;
	merge) send c4:refs/heads/other c5:refs/heads/x/y c1:refs/tags/old ;;
	rollback | relayout) deploy rollback ;;
	activate) deploy activate 1 ;;
	redeploy | fresh) deploy redeploy ;;
	config | waiting) deploy 'config set' KEY=value ;;
	branch) deploy branch other ;;
	settle | prune) deploy settle ;;
	recover_*) deploy recover ;;
	create) root create "$APP" ;;
	destroy) root destroy "$APP" --yes ;;
	stage) send -o stage c3:refs/heads/master ;;
	staged) deploy activate 4 ;;
	provision) root provision "$APP" files '' && root provision "$APP" sqlite '' ;;
	backup) root backup "$APP" kept.tar.zst ;;
	grant) root 'key grant' maps "$APP" ;;
	ungrant) root 'key remove' maps ;;
	locate) root 'location add' "$APP" www.example.com ;;
	esac
}

# A verb of the node that was stopped is called again: then all is as if it had not been.
again() {
	case $op in
	ungrant) if [ -e "$CASE/keys/maps" ]; then perform "$op"; else root 'key list'; fi ;;
	locate) perform "$op" || [ -h "$CASE/hosts/www.example.com" ] ;;
	provision | backup | grant) perform "$op" ;;
	*) return 0 ;;
	esac || return 1
	case $op in
	provision) test -d "$CASE/data/$APP/files" && test -s "$CASE/apps/$APP/services/sqlite" ;;
	backup) root backup "$APP" --list | grep -q kept.tar.zst ;;
	grant) equal "$(cat "$CASE/data/$APP/keys/maps")" secret ;;
	ungrant) test ! -e "$CASE/data/$APP/keys/maps" ;;
	esac
}

slot_of() { # releases/N
	basename "$(readlink "$CASE/apps/$APP/$1/app")"
}

# The call after pre-receive's last: the intent is on disk, the ref has not moved.
intent_call() {
	cp -a "$CASE" "$CASE.twin"
	CASE=$CASE.twin CUT="-l $TMP/intent.log" send -q c3:refs/heads/master
	rm -rf "$CASE.twin"
	awk '$3 == "pre-receive" { last = $1 } END { print last + 1 }' "$TMP/intent.log"
}

# --- what must hold ---------------------------------------------------------------------------------------

node_git() {
	git --git-dir="$CASE/apps/$APP/repo.git" "$@"
}

live_commit() {
	lc_release=$(readlink "$CASE/apps/$APP/current") || {
		echo -
		return 0
	}
	sed -n 's/^commit *= *//p' "$CASE/apps/$APP/$lc_release/record.ini"
}

# The start of silverd: the node, then every app.
restart() {
	root node || return 1
	[ ! -e "$CASE/apps/$APP" ] || { deploy recover && deploy settle; }
}

lock_is_free() {
	[ ! -e "$CASE/apps/$APP" ] || flock -n "$CASE/apps/$APP/lock" true || {
		echo 'the lock is held'
		return 1
	}
}

hash_tree() { # DIR: git's own hashing, into a repository that is not the node's; tree-hash.py's start costs ten times this
	rm -f "$TMP/index"
	export GIT_DIR="$REPO/.git" GIT_INDEX_FILE="$TMP/index"
	git --work-tree="$1" add -A && git write-tree
	unset GIT_DIR GIT_INDEX_FILE
}

live_is_whole() { # COMMIT...: one of these is live, as the ref says, file for file
	lw_live=$(live_commit)
	lw_ref=$(node_git rev-parse -q --verify HEAD 2>/dev/null) || lw_ref=-
	[ "$lw_live" = "$lw_ref" ] || {
		echo "live is $lw_live, the ref $lw_ref"
		return 1
	}
	for lw_want; do
		[ "$lw_want" = - ] || lw_want=$(commit "$lw_want")
		[ "$lw_live" != "$lw_want" ] || lw_want=found
		[ "$lw_want" != found ] || break
	done
	[ "$lw_want" = found ] || {
		echo "live is $lw_live, not one of: $*"
		return 1
	}
	[ "$lw_live" != - ] || return 0
	equal "$(hash_tree "$CASE/apps/$APP/current/app/")" "$(git -C "$REPO" rev-parse "$lw_live^{tree}")" && deploy verify
}

# Half names, and names that nothing accounts for. A quarantine is kept for a day: it is made older.
nothing_is_left() {
	nl_app=$CASE/apps/$APP
	nl_left=$(find "$CASE" -path "$nl_app/slots/*/*" -prune -o \( -name '*.new' -o -name '*.lock' -o -name '.trash-*' \
		-o -name 'tmp_*' -o -name '*.keep' -o -name '*.gone' -o -name next \) -print)
	[ -z "$nl_left" ] || {
		echo "left over: $nl_left"
		return 1
	}
	if [ ! -e "$nl_app" ]; then
		nl_left=$(find "$CASE" -name "*$APP*")
		[ -z "$nl_left" ] || echo "left over: $nl_left"
		[ -z "$nl_left" ]
		return
	fi
	for nl_at in "$nl_app"/releases/*; do
		[ -e "$nl_at/live" ] || [ -e "$nl_at/staged" ] || [ ! -e "$nl_at" ] || {
			echo "$nl_at was not accepted"
			return 1
		}
	done
	for nl_at in "$nl_app"/repo.git/objects/pack/*.pack; do
		[ -e "${nl_at%.pack}.idx" ] || [ ! -e "$nl_at" ] || {
			echo "$nl_at has no index"
			return 1
		}
	done
	equal "$(ls "$nl_app/releases")" "$(node_git for-each-ref --format='%(refname:lstrip=2)' refs/releases refs/staged | sort)"
}

age_quarantines() {
	find "$CASE/apps/$APP/repo.git/objects" -maxdepth 1 -name 'tmp_objdir-*' -exec touch -d '2 days ago' '{}' +
}

# The next push, whatever came before, and the idle work behind it.
next_push_works() {
	[ -e "$CASE/apps/$APP" ] || root create "$APP" || return 1 # as silverd does
	np_branch=$(sed -n 's/^ref: //p' "$CASE/apps/$APP/repo.git/HEAD")
	send -f "c6:$np_branch" || return 1
	age_quarantines
	deploy settle && live_is_whole c6 && node_is_sound &&
		equal "$(cat "$CASE/hosts/$APP.localhost/app/static/version")" 6 # as nginx reaches it
}

node_is_sound() {
	root fsck && nothing_is_left
}

# Before anybody recovers: work that was interrupted, and nothing that is none.
is_pending() {
	case $op in relayout | fresh | recover_ref | recover_gone) return 0 ;; esac # begun with damage
	ip_status=0
	root fsck || ip_status=$?
	[ "$ip_status" -eq 0 ] || [ "$ip_status" -eq 3 ]
}

# What begins with damage ends it: until then a release is what it was. A power cut may have taken the damage.
heal() {
	case $op in
	fresh) { deploy verify || deploy redeploy; } && deploy verify --all --repair ;;
	relayout) test "$(readlink "$CASE/apps/$APP/current")" != releases/3 || deploy rollback ;;
	esac
}

# What the pusher, or who called the verb, was told.
told_live() {
	grep -q "$APP release [0-9]* is live" "$TMP/said"
}

# What was told to be staged waits.
stage_is_kept() {
	[ "$op" != stage ] || ! grep -q "$APP release 4 is staged" "$TMP/said" || [ -e "$CASE/apps/$APP/releases/4/staged" ]
}

# holds RECOVERY: restart, settle (behind the session of a killed push), or push (nobody comes before the next one)
holds() {
	lock_is_free && is_pending || return 1
	case $op in
	create | destroy) app_holds "$1" && return 0 || return 1 ;;
	fresh | relayout) heal || return 1 ;;
	esac
	[ "$1" = push ] || {
		age_quarantines
		case $1 in restart) restart ;; settle) deploy settle ;; esac || return 1
		# shellcheck disable=SC2046
		live_is_whole $(told_live || echo "$old") "$new" && stage_is_kept && again && node_is_sound || return 1
	}
	[ "$1" != push ] || again || return 1
	next_push_works
}

app_holds() { # an app is there, or it is not, when the node has started again
	[ "$1" = push ] || {
		restart || return 1
		if [ -e "$CASE/apps/$APP" ]; then
			live_is_whole "$old" || return 1
		fi
		node_is_sound || return 1
	}
	next_push_works
}

progress() {
	echo "# $1: $2 calls; $case_n cases, $tap_n of this shard, $tap_failed failed, $(($(date +%s) - began)) s" | tee -a "$TMP/progress" >&2
}
