#!/bin/sh
# A WebSocket and a stream of events through the front: each piece arrives when it is sent, and a flip leaves both with the
# release that they began with. About 10 s.
. "$(dirname "$0")/lib.sh"

PLATFORM='exec'
start_silverd
stop_silverd || bail 'silverd does not stop'
sed -i 's/^\[node\]$/&\ndrain_ms = 300000/' "$STATE/node.ini" # however slow this machine is
start_silverd
new_app chat
version() {
	write_app "$1"
	sed "s/@VERSION@/$1/" "$HERE/upgrade.py" >"$REPO/src/server.py"
	chmod 755 "$REPO/src/server.py"
	git -C "$REPO" add -A
	git -C "$REPO" commit -qm "version $1"
}
version A
push || bail 'the first push failed'

cat >"$TMP/client.py" <<'END'
# client.py PORT DIR: begins both, makes DIR/begun, waits for DIR/flipped, goes on with both, says what came.
import os, socket, sys, time
port, where = int(sys.argv[1]), sys.argv[2]

def connect(text):
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    s.sendall(text.encode())
    return s

def until(s, end, got=b""):
    while end not in got:
        more = s.recv(4096)
        if not more:
            sys.exit("ended early: %r" % got)
        got += more
    return got

ws = connect("GET /echo HTTP/1.1\r\nHost: chat.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
head = until(ws, b"\r\n\r\n")
assert b" 101 " in head, head
ws.sendall(b"one")
first = until(ws, b"one")
events = connect("GET /events?%s/end HTTP/1.1\r\nHost: chat.localhost\r\nAccept: text/event-stream\r\n\r\n" % where)
begin = until(events, b"begin A\n\n")  # it has arrived although the answer goes on
open(where + "/begun", "w").close()
while not os.path.exists(where + "/flipped"):
    time.sleep(0.02)
ws.sendall(b"two")
second = until(ws, b"two")
open(where + "/end", "w").close()
end = until(events, b"end ")
print("%r %r %s" % (first[-5:], second[-5:], b"end A" in end))
END
mkdir "$TMP/at"
chmod 777 "$TMP/at"
python3 "$TMP/client.py" "$HTTP_PORT" "$TMP/at" >"$TMP/client.out" 2>&1 &
client=$!
ok 'a WebSocket answers, and an event arrives while its answer goes on' wait_until 60 test -e "$TMP/at/begun"
version B
ok '31 a push beside them'                   push
ok '  new requests see the new release'      equal "$(fetch /)" B
term_was_asked() { grep -rqs 'asked to end' "$STATE/log/chat"; }
ok '  the old one is asked to end'        wait_until 120 term_was_asked
: >"$TMP/at/flipped"
client_status=0
wait "$client" || client_status=$?
ok '31 both went on with the old one'        equal "$client_status $(cat "$TMP/client.out")" "0 b'A:one' b'A:two' True"
done_testing
