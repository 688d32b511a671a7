#!/bin/sh
# silverd beside a supervisor of its own, as the units of systemd run it: applications outlive silverd, and who stops the
# supervisor stops them. Scenarios 35 and 47 without the reboot, which setup.t has.
. "$(dirname "$0")/lib.sh"

start_supervisor() {
	"$USR/lib/silver/silver-exec" --dir "$STATE" supervise >>"$TMP/supervisor.log" 2>&1 3>&- &
	SUPERVISOR=$!
}
own_clean_up() {
	[ -z "${SUPERVISOR:-}" ] || kill -TERM "$SUPERVISOR" 2>/dev/null
}
CLEAN_UP='own_clean_up'
same_processes() { # the application's, as they were
	equal "$(app_pids)" "$APP_PIDS"
}
app_pids() {
	for ap_pid in $(our_processes); do
		case $(tr '\0' ' ' 2>/dev/null <"/proc/$ap_pid/cmdline") in *gunicorn*) echo "$ap_pid" ;; esac
	done | sort
}
without_a_tree() {
	timeout 100 "$USR/sbin/silverd" --dir "$STATE" --keep-apps >"$TMP/out" 2>&1 &
	wt_pid=$!
	sleep 1 # it waits: what supervises may be about to start
	kill -0 "$wt_pid"
	kill -TERM "$wt_pid"
	wait "$wt_pid" || true
}

ok '--make makes the node'                   "$USR/sbin/silverd" --dir "$STATE" --ssh 127.0.0.1:0 --http 127.0.0.1:0 --make
ok '  with its host key'                     test -s "$STATE/ssh/host_ed25519"
cp "$STATE/node.ini" "$STATE/ssh/host_ed25519" "$TMP/"
ok '  again it changes nothing'              "$USR/sbin/silverd" --dir "$STATE" --ssh 127.0.0.1:1 --make
ok '  not the settings'                      cmp "$STATE/node.ini" "$TMP/node.ini"
ok '  not the host key (scenario 40)'        cmp "$STATE/ssh/host_ed25519" "$TMP/host_ed25519"
ok '--keep-apps waits for who supervises'    without_a_tree

start_supervisor
start_silverd --keep-apps
ok '--make beside a silverd that runs is content' "$USR/sbin/silverd" --dir "$STATE" --make
ok 'a second supervisor is refused'          exits 3 "$USR/lib/silver/silver-exec" --dir "$STATE" supervise
PLATFORM=python
new_app blog
commit_app 1
ok 'a push goes live'                        push
ok '  and serves'                            serves 1
APP_PIDS=$(app_pids)
ok 'SIGTERM ends silverd'                    stop_silverd
ok '  and the application serves on'         serves 1
start_silverd --keep-apps
ok 'the next silverd finds it'               same_processes
ok '  it serves'                             serves 1
commit_app 2
ok '  and the next push goes live'           push
ok '  it serves'                             serves 2
kill -KILL "$SILVERD"
wait "$SILVERD" 2>/dev/null || true
ok 'after kill -9 it serves on'              serves 2
start_silverd --keep-apps
ok '  and is found'                          serves 2

# what supervises is killed with all below it, as a unit is: a new one starts empty
stop_silverd
kill -KILL "$SUPERVISOR"
wait "$SUPERVISOR" 2>/dev/null || true
until nothing_runs >/dev/null; do # what is killed may just have started another
	for pid in $(our_processes); do kill -KILL "$pid" 2>/dev/null || true; done
done
start_supervisor
start_silverd --keep-apps
ok 'with a new supervisor all is live again' wait_until 30 serves 2
ok 'SIGTERM ends silverd'                    stop_silverd
kill -TERM "$SUPERVISOR"
ok 'the end of the supervisor is that of the applications' wait_until 30 nothing_runs
done_testing
