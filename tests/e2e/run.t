#!/bin/sh
# `silver run`, logs, and what an app sees of its environment: the same everywhere.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd
new_app blog
commit_app 1
mkdir -p "$REPO/bin"
printf '#!/bin/sh\nprintf "<%%s>" "$@"\nexit 7\n' >"$REPO/bin/tool"
chmod 755 "$REPO/bin/tool"
commit_app 1
push || bail 'the first push failed'

ok '39 run passes arguments and exit status' exits 7 verb run blog bin/tool a
ok '  as words'                              equal "$(verb run blog bin/tool a 'b\ c' || true)" '<a><b c>'
ok 'run passes standard input'               equal "$(echo through | verb run blog cat)" through
ok 'run keeps stdout and stderr apart'       equal "$(verb run blog sh -c "'echo out; echo err >&2'" 2>/dev/null)" out
ok 'run of nothing there'                    must_fail verb run blog no-such-program
ok 'run dies of a signal: 128 more'          exits 143 verb run blog sh -c "'kill -TERM \$\$'"
ok 'run is in the directory of the release'  equal "$(verb run blog cat static/file)" 1
ok 'a large output arrives whole'            equal "$(verb run blog head -c 30000000 /dev/zero | wc -c)" 30000000
ok 'a large input too'                       equal "$(head -c 30000000 /dev/zero | verb run blog wc -c | tr -d ' ')" 30000000
ok 'without a terminal there is none'        equal "$(verb run blog sh -c "'test -t 0 && echo tty || echo none'" </dev/null)" none
tty_says() {
	script -qec "timeout --foreground 60 ssh -tt -F $TMP/ssh_config -i $TMP/keys/admin -p $SSH_PORT silver@127.0.0.1 run blog sh -c \"'test -t 0 && stty size && exit 5'\"" /dev/null </dev/null
}
ok 'with one there is one, and its exit status' exits 5 tty_says

# --- files that the words name --------------------------------------------------------------------------
silver_here() { # in a directory of the developer's
	(cd "$TMP/here" && GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/admin" \
		timeout 60 "$USR/bin/silver" --node "127.0.0.1:$SSH_PORT" "$@" 2>"$TMP/here.err")
}
left_over() {
	verb run blog sh -c "'ls -A \$TMPDIR | grep ^tmp'"
}
mkdir -p "$TMP/here/data"
printf 'a,b\0\n' >"$TMP/here/data/it's 1.csv"
ok 'a local file in the words of run is carried' equal "$(silver_here run blog cat "data/it's 1.csv" | od -c)" "$(od -c "$TMP/here/data/it's 1.csv")"
ok '  which is said'                         said "carrying 'data/it's 1.csv'" "$TMP/here.err"
ok '  with its name, behind an option, too'  said "--map=/.*/it's 1.csv>" "$(silver_here run blog sh -c 'printf "<%s>" "$@"' sh "--map=data/it's 1.csv" >"$TMP/out"; echo "$TMP/out")"
ok '  and what is none stays as it is'       equal "$(silver_here run blog printf '<%s>' data no/such --x=data /etc)" '<data><no/such><--x=data></etc>'
ok '  the status is that of the command'     exits 7 silver_here run blog sh -c 'exit 7' sh "data/it's 1.csv"
ok '  and nothing of it is left there'       must_fail left_over

fetch /env >"$TMP/request"
verb run blog python3 -c "'import json, os; print(json.dumps(dict(os.environ)))'" >"$TMP/run"
cat >"$TMP/same.py" <<'END'
import json, sys
request, run = (json.load(open(f)) for f in sys.argv[1:3])
# what differs by nature: of the process, not of the release
own = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "SERVER_SOFTWARE", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "LINES", "COLUMNS", "PYTHONUNBUFFERED"}
differ = sorted(k for k in (set(request) | set(run)) - own if request.get(k) != run.get(k))
print({k: (request.get(k), run.get(k)) for k in differ})
for name in ("SILVER_VERSION", "SILVER_APP_NAME", "SILVER_INSTANCE_NAME", "SILVER_CANONICAL_HOSTNAME", "SILVER_APP_CONFIG",
             "SILVER_LOGS", "SILVER_APP_DIR", "SILVER_COMMIT", "SILVER_RELEASE", "TEMP", "TMPDIR"):
    if not request.get(name):
        differ.append("no " + name)
for name in request:
    if name in ("SILVER_DIR", "SILVER_USER", "SILVER_LOCK_FD", "SILVER_MONITOR_FD") or name.startswith(("GIT_", "SSH_")):
        differ.append("leaks " + name)
print(differ)
sys.exit(1 if differ else 0)
END
ok '43 the environment is the same in a request and in run' python3 "$TMP/same.py" "$TMP/request" "$TMP/run"
ok '  SILVER_RELEASE'                        equal "$(verb run blog printenv SILVER_RELEASE)" 1
ok '  SILVER_COMMIT'                         equal "$(verb run blog printenv SILVER_COMMIT)" "$(git -C "$REPO" rev-parse HEAD)"
ok '  SILVER_VERSION has the prefix that apps test' said '^silverlining/' "$(verb run blog printenv SILVER_VERSION >"$TMP/v"; echo "$TMP/v")"
if [ "$(id -u)" -eq 0 ]; then
	ok 'run is the user of the requests'      equal "$(verb run blog id -u)" "$(fetch /who | cut -d' ' -f1)"
	ok '  who is not root'                    test "$(verb run blog id -u)" -gt 0
	ok '  nor the owner of the releases'      must_fail equal "$(verb run blog id -u)" "$(stat -c %u "$STATE/apps/blog/repo.git")"
	ok 'an app cannot write its release'      equal "$(fetch /write)" 'Permission denied'
	new_app other
	PLATFORM=static
	commit_app 1
	push || bail 'the push of another app failed'
	APP=blog
	ok 'an app cannot read another'           must_fail verb run blog ls "$STATE/apps/other"
	ok 'nor its data'                         must_fail verb run blog ls "$STATE/data/other"
	ok 'nor the host key'                     must_fail verb run blog cat "$STATE/ssh/host_ed25519"
	ok 'nor its own repository'               must_fail verb run blog ls "$STATE/apps/blog/repo.git"
else
	skip 'users of their own' 'needs root'
fi

fetch /say?hello-from-the-app >/dev/null
logged() { verb logs blog 2>/dev/null | grep -q 'hello-from-the-app'; }
ok 'what an app prints is in its log'        wait_until 20 logged
both() { verb logs blog | grep -q 'stderr hello-from-the-app'; }
ok '  on both streams'                       wait_until 20 both
ok 'logs -n limits'                          equal "$(verb logs blog -n 1 | wc -l)" 1
ssh_node logs blog -f >"$TMP/follow" 2>&1 &
follow=$!
wait_until 20 grep -q 'hello-from' "$TMP/follow" || true
fetch /say?followed-line >/dev/null
ok 'logs -f goes on'                         wait_until 20 grep -q 'followed-line' "$TMP/follow"
kill_tree TERM $follow
wait $follow 2>/dev/null || true
no_follower() { ! pgrep -f "silver-deploy logs blog"; }
ok '  and ends with its client'              wait_until 20 no_follower

# 33: a worker that dies comes back
pid=$(fetch /pid)
fetch /exit >/dev/null 2>&1 || true
another() { # than PID
	ap=$(fetch /pid 2>/dev/null) && [ "$ap" -gt 0 ] 2>/dev/null && [ "$ap" != "$1" ]
}
ok '33 a crashed process is started again'   wait_until 30 another "$pid"
PLATFORM='exec'
new_app tool
commit_app 1
ok 'platform exec serves on the inherited socket' push
ok '  it answers'                            serves 1
master=$(fetch /pid)
kill -KILL "$master"
ok '33 killed, it is started again'          wait_until 30 another "$master"
done_testing
