# lib.sh - what the end-to-end tests share: a node of their own, keys, apps, pushes, and TAP.
#
#	. "$(dirname "$0")/lib.sh"	set -eu; $TMP, $STATE; cleans up on exit
#	start_silverd			a node on free ports; $SSH_PORT, $HTTP_PORT, $SILVERD (its pid)
#	new_app blog			an empty repository in $REPO with the remote `silver`; $APP
#	commit_app 1			the app's files at version 1 (see there)
#	push [ARGS...]			git push silver ARGS (default: HEAD:master); $TMP/push.err has what git said
#	ok 'what holds' COMMAND...	one test point; the output of a COMMAND that failed is shown
#	done_testing			stops the node and closes the account
#
# Real git, ssh and curl against the installed programs ($USR; made here from the build directory $B when
# nobody made one). Nothing waits by the clock: wait_until waits for an event, with a deadline.
# shellcheck shell=sh
set -eu
umask 022

HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
TMP=$(mktemp -d /tmp/silver-e2e.XXXXXX)
chmod 711 "$TMP" # other users (the app's, nginx's) pass, and see nothing
STATE=$TMP/node
SILVERD=
APP=
REPO=
PLATFORM=static
tap_n=0
tap_failed=0

# --- test points -------------------------------------------------------------------------------

ok() {
	tap_what=$1
	shift
	tap_n=$((tap_n + 1))
	if "$@" >"$TMP/ok.out" 2>&1; then
		echo "ok $tap_n - $tap_what"
	else
		tap_status=$?
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_n - $tap_what"
		echo "# status $tap_status of: $*"
		sed 's/^/# | /' "$TMP/ok.out"
	fi
}

skip() { # 'what' 'why it cannot be tried here'
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

# An orderly no (git says it with 128, ssh with 255): neither a success, nor a time-out, nor the death of the program.
must_fail() {
	mf_status=0
	"$@" || mf_status=$?
	case $mf_status in
	0 | 124 | 126 | 127) return 1 ;;
	128 | 255) return 0 ;;
	*) [ "$mf_status" -lt 128 ] ;;
	esac
}

# exits STATUS COMMAND...
exits() {
	ex_want=$1
	shift
	ex_status=0
	"$@" || ex_status=$?
	[ "$ex_status" -eq "$ex_want" ] || {
		echo "status $ex_status, expected $ex_want"
		return 1
	}
}

# equal A B: the same text
equal() {
	[ "$1" = "$2" ] || {
		printf "'%s'\nis not\n'%s'\n" "$1" "$2"
		return 1
	}
}

# said PATTERN [FILE]: an extended regular expression in what the last push (or FILE) printed
said() {
	grep -Eq -e "$1" "${2:-$TMP/push.err}" || {
		echo "no '$1' in:"
		cat "${2:-$TMP/push.err}"
		return 1
	}
}

# Ends this test file; the others go on.
bail() {
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n - cannot go on: $1"
	echo "1..$tap_n"
	exit 1
}

done_testing() {
	if [ -n "$SILVERD" ]; then
		ok 'silverd ends on SIGTERM with status 0' stop_silverd
		ok 'and leaves no process behind' wait_until 10 nothing_runs
	fi
	ok 'no sanitizer complained' no_sanitizer_report
	echo "1..$tap_n"
	[ "$tap_failed" -eq 0 ]
}

no_sanitizer_report() {
	! grep -rhE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$TMP"/*.log "$TMP"/*.err "$STATE"/log 2>/dev/null
}

# wait_until SECONDS COMMAND...: until it succeeds; 1 when the time is over. Only the last try's output is shown.
wait_until() {
	wu_end=$(($(date +%s) + $1))
	shift
	until wu_out=$("$@" 2>&1); do
		[ "$(date +%s)" -le "$wu_end" ] || {
			echo "$wu_out"
			return 1
		}
		sleep 0.05
	done
}

# --- processes and cleaning up -----------------------------------------------------------------

# Processes of ours, by what the kernel says of them: directory, root, arguments. Also of nodes beside $STATE ($TMP/node2), and
# of one whose directory is gone: a worker of nginx that lost its master has nothing else to be known by.
our_processes() {
	for op_proc in /proc/[0-9]*; do
		op_pid=${op_proc#/proc/}
		[ "$op_pid" != "$$" ] || continue
		case $(readlink "$op_proc/cwd" 2>/dev/null) in "$STATE"*) echo "$op_pid" && continue ;; esac
		case $(readlink "$op_proc/root" 2>/dev/null) in "$STATE"*) echo "$op_pid" && continue ;; esac
		case $(tr '\0' ' ' 2>/dev/null <"$op_proc/cmdline") in *"$STATE"*) echo "$op_pid" ;; esac
	done
}

# ours PATTERN: the processes of this node's own programs whose words match; other test files have their nodes beside it. 1: none
ours() {
	ou_status=1
	for ou_pid in $(pgrep -f -- "$1"); do
		tr '\0' '\n' 2>/dev/null <"/proc/$ou_pid/environ" | grep -qxF "SILVER_DIR=$STATE" || continue
		echo "$ou_pid"
		ou_status=0
	done
	return $ou_status
}

nothing_runs() {
	[ -z "$(our_processes)" ] || {
		for nr_pid in $(our_processes); do
			ps -o pid=,ppid=,user=,stat=,args= -p "$nr_pid" || true
		done
		return 1
	}
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# A background client with all its children: the shell's function, timeout, ssh.
kill_tree() { # SIGNAL PID
	for kt_child in $(pgrep -P "$2" || true); do
		kill_tree "$1" "$kt_child"
	done
	kill "-$1" "$2" 2>/dev/null || true
}

clean_up() {
	cu_status=$?
	trap - EXIT INT TERM
	set +e
	[ -z "$SILVERD" ] || kill -TERM "$SILVERD" 2>/dev/null
	[ -z "$SILVERD" ] || wait_until 20 gone "$SILVERD"
	# background clients, and whatever a killed silverd left
	for cu_pid in $(jobs -p) $(our_processes); do
		kill_tree KILL "$cu_pid"
	done
	if [ "$cu_status" -ne 0 ] || [ "$tap_failed" -gt 0 ]; then
		[ ! -f "$TMP/silverd.log" ] || tail -n 30 "$TMP/silverd.log" | sed 's/^/# silverd: /'
		[ -z "${KEEP:-}" ] || {
			echo "# kept: $TMP"
			exit "$cu_status"
		}
	fi
	${CLEAN_UP:+"$CLEAN_UP"} # a test's own
	remove_users
	wait_until 10 nothing_runs >/dev/null
	rm -rf "$TMP"
	exit "$cu_status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The users that silver-root made for this node's apps: who owns them.
remove_users() {
	[ "$(id -u)" -eq 0 ] || return 0
	for ru_dir in "$TMP"/node*/apps/*/repo.git "$TMP"/node*/data/* "$STATE"/apps/*/repo.git "$STATE"/data/*; do
		[ -d "$ru_dir" ] || continue
		ru_user=$(stat -c %U "$ru_dir")
		case $ru_user in
		root | UNKNOWN | nobody) ;;
		*)
			ru_group=$(stat -c %G "$ru_dir")
			userdel "$ru_user" 2>/dev/null
			groupdel "$ru_group" 2>/dev/null
			;;
		esac
	done
}

# --- the node ------------------------------------------------------------------------------------

if [ -z "${USR:-}" ]; then
	B=${B:-build}
	case $B in /*) ;; *) B=$TOP/$B ;; esac
	USR=$TMP/usr
	make -s -C "$TOP" install B="$B" SAN="${SAN:-}" CC="${CC:-gcc}" PREFIX="$USR" >"$TMP/install.log" 2>&1 || {
		cat "$TMP/install.log" >&2
		echo 'Bail out! make install failed'
		exit 1
	}
fi

# Starts the node in $STATE and waits until it says that it is ready. Started again, it keeps its ports.
start_silverd() {
	mkfifo "$TMP/ready.$$"
	"$USR/sbin/silverd" --dir "$STATE" --ssh "127.0.0.1:${SSH_PORT:-0}" --http "127.0.0.1:${HTTP_PORT:-0}" "$@" \
		>"$TMP/ready.$$" 2>>"$TMP/silverd.log" 3>&- &
	SILVERD=$!
	exec 3<"$TMP/ready.$$"
	rm "$TMP/ready.$$"
	READY=$(timeout 60 head -n 1 <&3) || READY=
	exec 3<&-
	SSH_PORT=$(expr "$READY" : '.*ssh=127\.0\.0\.1:\([0-9]*\)') || bail "silverd said '$READY'"
	HTTP_PORT=$(expr "$READY" : '.*http=127\.0\.0\.1:\([0-9]*\)') || bail "silverd said '$READY'"
	write_ssh_config
	[ -e "$TMP/keys/admin" ] || {
		new_key admin
		add_user admin --role admin >/dev/null 2>&1 || bail 'the first user could not be added'
	}
	KEY='admin'
}

stop_silverd() {
	kill -TERM "$SILVERD"
	ss_status=0
	wait "$SILVERD" || ss_status=$?
	SILVERD=
	[ "$ss_status" -eq 0 ] || {
		echo "silverd ended with status $ss_status"
		return 1
	}
}

# --- keys, ssh, git ------------------------------------------------------------------------------

new_key() {
	mkdir -p "$TMP/keys"
	ssh-keygen -q -t ed25519 -N '' -C "$1@test" -f "$TMP/keys/$1"
}

# add_user NAME [ARGS...]: NAME's public key, by the operator
add_user() {
	au_name=$1
	shift
	silver user add "$au_name" "$@" <"$TMP/keys/$au_name.pub"
}

silver() { # the operator's command line, on the node
	"$USR/bin/silver" --dir "$STATE" "$@"
}

write_ssh_config() {
	cat >"$TMP/ssh_config" <<-END
		User silver
		IdentitiesOnly yes
		IdentityAgent none
		UserKnownHostsFile $TMP/known_hosts
		GlobalKnownHostsFile /dev/null
		StrictHostKeyChecking accept-new
		HashKnownHosts no
		BatchMode yes
		ConnectTimeout 20
		LogLevel ERROR
	END
}

# ssh as the user whose key is $KEY
ssh_node() {
	timeout 120 ssh -F "$TMP/ssh_config" -i "$TMP/keys/$KEY" -p "$SSH_PORT" silver@127.0.0.1 "$@"
}

# A verb as a developer calls it.
verb() {
	ssh_node "$@"
}

export GIT_CONFIG_GLOBAL="$TMP/gitconfig" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 HOME="$TMP" LC_ALL=C.UTF-8
unset GIT_DIR GIT_WORK_TREE SSH_AUTH_SOCK XDG_CONFIG_HOME 2>/dev/null || true
cat >"$GIT_CONFIG_GLOBAL" <<-'END'
	[user]
		name = Test
		email = test@example.com
	[init]
		defaultBranch = master
	[advice]
		detachedHead = false
	[safe]
		directory = *
	[protocol "file"]
		allow = always
END

git_node() { # git that reaches the node as $KEY
	GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/$KEY" timeout "${PUSH_SECONDS:-180}" git "$@"
}

url() {
	echo "ssh://silver@127.0.0.1:$SSH_PORT/$1"
}

# push [ARGS...] of $REPO: options and refspecs of git push
push() {
	[ $# -gt 0 ] || set -- HEAD:master
	pu_status=0
	git_node -C "$REPO" push "$(url "$APP")" "$@" >"$TMP/push.out" 2>"$TMP/push.err" || pu_status=$?
	[ "$pu_status" -eq 0 ] || sed 's/^/# git: /' "$TMP/push.err"
	return "$pu_status"
}

# --- apps ------------------------------------------------------------------------------------------

new_app() {
	APP=$1
	REPO=$TMP/work/$1
	rm -rf "$REPO"
	git init -q "$REPO"
	git -C "$REPO" remote add silver "$(url "$APP")"
}

# commit_app VERSION [LINE...]: files of a $PLATFORM app that answers VERSION at /version, LINEs in its app.ini
commit_app() {
	write_app "$@"
	git -C "$REPO" add -A
	git -C "$REPO" commit -q --allow-empty -m "version $1"
}

write_app() {
	wa_version=$1
	shift
	mkdir -p "$REPO/static" "$REPO/src"
	{
		echo '[production]'
		echo "platform = $PLATFORM"
		case $PLATFORM in
		python) echo 'runner = src/app.py' ;;
		exec) echo 'runner = src/server.py' ;;
		esac
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$REPO/app.ini"
	case $PLATFORM in
	static) echo "$wa_version" >"$REPO/static/version" ;;
	python) sed "s/@VERSION@/$wa_version/" "$HERE/app.py" >"$REPO/src/app.py" ;;
	exec)
		sed "s/@VERSION@/$wa_version/" "$HERE/app.py" >"$REPO/src/app.py"
		cp "$HERE/server.py" "$REPO/src/server.py"
		chmod 755 "$REPO/src/server.py"
		;;
	esac
	[ "$PLATFORM" = static ] || {
		rm -f "$REPO/static/version" # a file there is served before the app is asked
		echo "$wa_version" >"$REPO/static/file"
	}
}

# fetch PATH [CURL ARGS]: the body that $APP answers
fetch() {
	ft_path=$1
	shift
	curl -sS --max-time 60 -H "Host: $APP.localhost:$HTTP_PORT" "$@" "http://127.0.0.1:$HTTP_PORT$ft_path"
}

# fetch_status PATH [CURL ARGS]: 200
fetch_status() {
	fetch "$@" -o /dev/null -w '%{http_code}'
}

# serves VERSION: the app answers it
serves() {
	equal "$(fetch /version)" "$1"
}

# The release that is live: its number ("" when there is none).
live() {
	basename "$(readlink "$STATE/apps/$APP/current" 2>/dev/null)"
}

app_git() {
	git --git-dir="$STATE/apps/$APP/repo.git" "$@"
}

record() { # record KEY [RELEASE]: a value of a release's record
	sed -n "s/^$1 *= *//p" "$STATE/apps/$APP/releases/${2:-$(live)}/record.ini" | head -n 1
}

# The invariant: the commit that the deploy branch names is the live one.
ref_is_live() {
	equal "$(app_git rev-parse HEAD)" "$(record commit)"
}

# What a crash or a refusal may not leave: half releases, an intent, temporaries. The idle work after a push is given
# its time: it writes records too.
nothing_half() {
	wait_until 20 no_left_overs
}
no_left_overs() {
	nh_left=$(find "$STATE/apps/$APP" -path "$STATE/apps/$APP/slots/*/*" -prune -o \( -name '*.new' -o -name next \) -print)
	[ -z "$nh_left" ] || {
		echo "$nh_left"
		return 1
	}
}

# The tree below the live release, hashed from the disk, is that of the commit.
tree_is_exact() {
	equal "$(python3 "$HERE/tree-hash.py" "$STATE/apps/$APP/current/app/")" \
		"$(git -C "$REPO" rev-parse "${1:-HEAD}^{tree}")"
}

# A moment in which nothing of the node works on $APP: the idle work after a push is done.
settled() {
	flock -n "$STATE/apps/$APP/lock" true && ! pgrep -f "silver-deploy settle $APP\$" >/dev/null
}
