#!/bin/sh
# Bytes through a session arrive whole: in both directions, over re-keys, whoever of the two is slow, whoever leaves first.
. "$(dirname "$0")/lib.sh"

# The digest of what comes back when $TMP/big goes through COMMAND on the node.
through() { # [SSH OPTIONS] COMMAND
	ssh_node "$@" <"$TMP/big" | sha256sum
}

slowly() {
	python3 -c 'import sys, time
while chunk := sys.stdin.buffer.read1(70000):
    sys.stdout.buffer.write(chunk)
    time.sleep(0.004)'
}

most_memory() { # the largest resident size in kB of a session while COMMAND ran
	most=0
	"$@" >/dev/null &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		for session in $(pgrep -P "$SILVERD" -x silver-session || true); do
			now=$(awk '/^VmHWM/ { print $2 }' "/proc/$session/status" 2>/dev/null || true)
			[ "${now:-0}" -le "$most" ] || most=$now
		done
		sleep 0.05
	done
	echo "$most"
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
head -c 40000000 /dev/urandom >"$TMP/big"
whole=$(sha256sum <"$TMP/big")

ok 'there and back'                                    equal "$(through run blog cat)" "$whole"
ok 'with a new key every 4 MB'                         equal "$(through -o RekeyLimit=4M run blog cat)" "$whole"
ok '  and once more with another cipher'               equal "$(through -o RekeyLimit=4M -c aes128-gcm@openssh.com run blog cat)" "$whole"
ok 'a child that sleeps first'                         equal "$(through -o RekeyLimit=4M "run blog sh -c 'sleep 2; exec cat'")" "$whole"
ok 'a client that reads slowly'                        equal "$(ssh_node -o RekeyLimit=4M run blog cat <"$TMP/big" | slowly | sha256sum)" "$whole"
ok 'on stderr'                                         equal "$(ssh_node "run blog sh -c 'cat >&2'" <"$TMP/big" 2>&1 >/dev/null | sha256sum)" "$whole"
ok 'a child that reads nothing is no obstacle'         equal "$(ssh_node "run blog sh -c 'exec <&-; echo over'" <"$TMP/big")" over
ok 'what the child leaves behind is not waited for'    equal "$(timeout 15 ssh -F "$TMP/ssh_config" -i "$TMP/keys/$KEY" -p "$SSH_PORT" 127.0.0.1 "run blog sh -c 'sleep 60 & echo bye'")" bye
ok 'the exit status comes through'                     exits 37 ssh_node "run blog sh -c 'exit 37'"
if [ "${SAN:-}" ]; then
	skip 'a session stays below 10 MB' 'shadow memory'
else
	most=$(most_memory through "run blog sh -c 'sleep 2; exec cat >/dev/null'")
	ok 'a session stays below 10 MB'                   test "$most" -gt 1000 -a "$most" -lt 10240
	echo "# $most kB"
fi
done_testing
