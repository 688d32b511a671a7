#!/bin/sh
# 41: connections that never log in, that dawdle, that are a thousand: a good push still gets through.
. "$(dirname "$0")/lib.sh"

start_silverd
stop_silverd
sed -i 's/^\[node\]/[node]\ngrace_ms = 5000/' "$STATE/node.ini"
start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'

cat >"$TMP/hold.py" <<'END'
# Opens N connections as MODE says and holds them until standard input ends.
import resource, socket, sys, threading, time
port, n, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
held = []
for i in range(n):
    s = socket.socket()
    s.settimeout(10)
    try:
        s.connect(("127.0.0.1", port))
        if mode == "banner":
            s.sendall(b"SSH-2.0-idle\r\n")
        held.append(s)
    except OSError:
        pass # turned away: that is allowed
def drip():
    while True:
        for s in held:
            try:
                s.send(b"S")
            except OSError:
                pass
        time.sleep(0.2)
if mode == "drip":
    threading.Thread(target=drip, daemon=True).start()
print("held", len(held), flush=True)
if mode == "until-closed":
    for s in held:
        s.settimeout(60)
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
    print("closed", flush=True)
else:
    sys.stdin.read()
END
hold() { # N MODE: in the background, until `let_go`
	mkfifo "$TMP/hold"
	python3 "$TMP/hold.py" "$SSH_PORT" "$1" "$2" <"$TMP/hold" >"$TMP/hold.out" 2>&1 &
	HOLD=$!
	exec 4>"$TMP/hold"
	rm "$TMP/hold"
	wait_until 120 grep -q held "$TMP/hold.out" || bail 'the connections could not be made'
}
let_go() {
	exec 4>&-
	wait "$HOLD" || true
}

# One may be kept ready for the next connection.
few_sessions() {
	[ "$(pgrep -c -P "$SILVERD" -f silver-session)" -le 2 ]
}

# with sanitizers a session takes its time to start; a thousand of them are a test of that
crowd=1000
[ -z "${SAN:-}" ] || crowd=100
for mode in silent banner drip; do
	hold $crowd $mode
	commit_app "$mode"
	ok "41 a push gets through $crowd connections ($mode)" push
	ok '  and is live'                              serves "$mode"
	ok '  a session keeps its place'                verb status blog
	let_go
done
ok '41 who does not log in is hung up on'               timeout 60 python3 "$TMP/hold.py" "$SSH_PORT" 5 until-closed
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$SILVERD/status")
[ -n "${SAN:-}" ] || ok "41 silverd has not grown ($rss kB)" test "$rss" -lt 16000
ok '41 no session is left over'                         wait_until 30 few_sessions
done_testing
