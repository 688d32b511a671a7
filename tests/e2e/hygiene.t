#!/bin/sh
# One app that leaks, bombs or crashes leaves the other answering; what [limits] cannot give is said.
. "$(dirname "$0")/lib.sh"

start_silverd
stop_silverd
sed -i 's/^\[node\]/[node]\ndrain_ms = 3000\nmax_app_tasks = 200/' "$STATE/node.ini"
start_silverd

PLATFORM=python
new_app good
commit_app 1
push || bail 'the first push failed'
new_app bad
write_app 1 '[limits]' 'memory = 96M' 'cpu = 50%' 'tasks = 120' 'timeout = 3' '[process:leaky]' 'command = bin/leaky'
cat >>"$REPO/src/app.py" <<'END'


_plain = application
_kept = []


def application(environ, start_response):
    import ctypes
    import sys
    import subprocess

    path = environ["PATH_INFO"]
    if path == "/leak": # 16 MB a request, for good
        _kept.append(b"x" * (16 << 20))
    if path == "/crash":
        ctypes.string_at(0)
    if path == "/wedge":
        __import__("time").sleep(3600)
    if path == "/bomb":
        subprocess.Popen([sys.executable, "bin/bomb"])
    return _plain(environ, start_response)
END
mkdir -p "$REPO/bin"
cat >"$REPO/bin/leaky" <<'END'
#!/usr/bin/python3
# Grows until it is told no, and dies of it.
import time
print("begins", flush=True)
kept = []
while True:
    kept.append(b"x" * (8 << 20))
    time.sleep(0.05)
END
cat >"$REPO/bin/bomb" <<'END'
#!/usr/bin/python3
# As many processes as it can get, for two minutes: then the machine has them back whatever went wrong.
import os, time
end = time.monotonic() + 120
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            continue
    except OSError:
        time.sleep(0.05)
END
chmod 755 "$REPO"/bin/*
git -C "$REPO" add -A
git -C "$REPO" commit -qm 1
ok 'a push with [limits] goes live' push
ok '   cpu, which this node cannot limit, is said' said 'warning: app.ini:[0-9]+: \[limits\] cpu is not enforced on this node: '
[ "$(id -u)" -eq 0 ] || ok '   and tasks' said 'warning: app.ini:[0-9]+: \[limits\] tasks is not enforced on this node: '
status_says() { verb status bad >"$TMP/status" && said "$1" "$TMP/status"; }
ok '   status tells what holds' status_says '^  limits    96 MB for each process, .*cpu not enforced'
sed -i 's/^tasks = .*/tasks = 300/' "$REPO/app.ini"
git -C "$REPO" commit -qam 2
ok 'more than the node gives is refused' must_fail push
ok '   with both numbers and the setting' said 'app.ini:[0-9]+: tasks of 300 is more than this node gives: 200 \(max_app_tasks'
git -C "$REPO" reset -q --hard HEAD~1

good_answers() {
	APP=good
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(fetch_status /)" = 200 ] || return 1
	done
	APP=bad
}
log_has() { grep -rqs "$2" "$STATE/log/bad/1$1"; }

ok '32 a worker that leaks dies of its limit' wait_until 60 log_has .leaky.1 'MemoryError'
ends() { read -r count _ 2>/dev/null <"$STATE/run/service/bad.1.leaky.1/ends" && [ "$count" -ge 2 ]; }
ok '   and is begun again' wait_until 60 ends
ok '   while the other app answers' good_answers

leak() {
	fetch /leak >/dev/null 2>&1 || true
	log_has '' 'a worker has [0-9]* MB of at most 96; it is replaced'
}
ok '32 a request that leaks costs its worker' wait_until 60 leak
bad_answers() { [ "$(fetch_status /)" = 200 ]; }
ok '   the app answers again' wait_until 60 bad_answers
ok '   and the other app did' good_answers

fetch /crash >/dev/null 2>&1 || true
ok '32 after a crash the other app answers' good_answers
ok '   and so does the app' wait_until 60 bad_answers

# One request of a hundred never ends: all others of the app are answered, and so is the other app.
cat >"$TMP/many.py" <<'END'
import concurrent.futures, http.client, sys
def ask(n):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    connection.request("GET", "/wedge" if n % 100 == 50 else "/version", headers={"Host": "bad.localhost"})
    try:
        return n, connection.getresponse().status
    except OSError as e:
        return n, str(e)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    answers = dict(pool.map(ask, range(300)))
print({n: a for n, a in answers.items() if (a == 200) == (n % 100 == 50)})
END
ok '32 1 % of the requests wedge: each of the others is answered' equal "$(python3 "$TMP/many.py" "$HTTP_PORT")" '{}'
ok '   so is the other app' good_answers
ok '   the log says where they hung' wait_until 60 log_has '' 'sleep(3600)'
ok '   and the app answers' wait_until 60 bad_answers

# Two hundred clients that never end their request.
cat >"$TMP/slow.py" <<'END'
import socket, sys, time
open_ = []
for _ in range(200):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"POST /count HTTP/1.1\r\nHost: bad.localhost\r\nContent-Length: 100\r\n\r\nx")
    open_.append(s)
open(sys.argv[2], "w").close()
time.sleep(600)
END
python3 "$TMP/slow.py" "$HTTP_PORT" "$TMP/slow.ready" &
slow=$!
ok '32 with 200 slow clients of it' wait_until 60 test -e "$TMP/slow.ready"
ok '   the other app answers' good_answers
ok '   and so does the app' bad_answers
kill "$slow"

if [ "$(id -u)" -eq 0 ]; then
	runner=$(stat -c %u "$STATE/data/bad")
	tasks() { ps -L -U "$1" -o pid= | wc -l; }
	fetch /bomb >/dev/null 2>&1 || true
	full() { [ "$(tasks "$runner")" -ge 100 ]; }
	ok '32 a fork bomb gets what its app may have' wait_until 60 full
	ok '   and no more' test "$(tasks "$runner")" -le 125
	ok '   while the other app answers' good_answers
	APP=good REPO=$TMP/work/good
	git -C "$REPO" commit -q --allow-empty -m 2
	echo >>"$REPO/src/app.py"
	git -C "$REPO" commit -qam 2
	ok '   and can be pushed' push
	ok '   which ends with its app' verb destroy bad --yes
	nothing_of_it() { [ "$(tasks "$runner")" -eq 0 ]; }
	ok '   whole' wait_until 60 nothing_of_it
else
	skip '32 a fork bomb gets what its app may have' 'without root apps have no users to count by'
fi
done_testing
