#!/bin/sh
# What a client of SSH may not do: a shell, forwarding, a subsystem, foreign environment; nothing reaches a shell.
. "$(dirname "$0")/lib.sh"

# The server's end of a connection on which nothing sensible is said.
garbage() {
	timeout 60 python3 - "$SSH_PORT" <<-'END'
		import os, socket, sys
		for junk in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(3000), b"SSH-2.0-x\r\n" + os.urandom(3000), b"SSH-1.5-old\r\n", b"\0" * 70000):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=50)
		    try:
		        s.sendall(junk)
		        while s.recv(4096):
		            pass
		    except ConnectionError:
		        pass
	END
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'

ok '39 no command: usage and a status'          must_fail ssh_node
ssh_node >"$TMP/out" 2>&1 </dev/null || true
ok '  it names the verbs'                       said 'help|status|verbs|usage' "$TMP/out"
ok '39 a shell with a terminal: the same'       must_fail ssh_node -tt </dev/null
for command in sh 'sh -i' bash '/bin/sh -c id' 'git-shell' 'scp -t /tmp' 'rsync --server . /' 'git-receive-pack' 'git-receive-pack a b c' \
	'git-upload-pack ../../etc' 'git status' 'silver-root create x' "$(printf 'x%.0s' $(seq 2000))"; do
	ok "39 '$(printf '%.40s' "$command")' is refused" must_fail ssh_node "$command" </dev/null
done
ok '39 an unknown verb is a usage error'        exits 2 ssh_node frobnicate
ssh_node stauts >"$TMP/out" 2>&1 || true
ok '  and the nearest is named'                 said "status" "$TMP/out"
for injection in "status blog; touch $TMP/pwned" "status blog && touch $TMP/pwned" "status \$(touch $TMP/pwned)" "status \`touch $TMP/pwned\`" \
	"git-receive-pack 'blog; touch $TMP/pwned'" "git-receive-pack 'blog'; touch $TMP/pwned" "status blog | tee $TMP/pwned" "status blog > $TMP/pwned" \
	"run blog /bin/true; touch $TMP/pwned" "status 'blog
touch $TMP/pwned'"; do
	ssh_node "$injection" >/dev/null 2>&1 </dev/null || true
done
ok '39 metacharacters are inert'                test ! -e "$TMP/pwned"
ok '39 quoted words arrive as words'            equal "$(ssh_node "run blog printf '<%s>' 'a b' \"c'd\" e\\ f ''")" "<a b><c'd><e f><>"
ok '39 an unclosed quote is a usage error'      must_fail ssh_node "status 'blog"

free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ok '39 remote forwarding is refused'            must_fail ssh_node -o ExitOnForwardFailure=yes -R "$free:127.0.0.1:$HTTP_PORT" help
ok '39 a direct channel is refused'             must_fail ssh_node -W "127.0.0.1:$HTTP_PORT" </dev/null
ok '39 sftp is refused'                         must_fail ssh_node -s sftp </dev/null
ok '39 agent forwarding gives no socket'        equal "$(ssh_node -A run blog printenv SSH_AUTH_SOCK || echo none)" none
ok '39 X11 forwarding gives no display'         equal "$(DISPLAY=:9 ssh_node -X run blog printenv DISPLAY 2>/dev/null || echo none)" none
ok '39 environment of the client does not arrive' \
	equal "$(LC_EVIL=1 GIT_CONFIG_COUNT=1 LD_PRELOAD='' ssh_node -o SendEnv='LC_* GIT_*' -o SetEnv='SILVER_DIR=/x BASH_ENV=/x' run blog env | grep -cE 'EVIL|GIT_CONFIG|BASH_ENV|SILVER_DIR=/x')" 0
ok '39 a password is not asked for'             must_fail ssh_node -o PubkeyAuthentication=no -o PreferredAuthentications=password,keyboard-interactive help
sed "s/User silver/User \"ro'ot;\$(id)\"/" "$TMP/ssh_config" >"$TMP/odd_config"
ok '39 any user name is the same key'           equal "$(timeout 60 ssh -F "$TMP/odd_config" -i "$TMP/keys/admin" -p "$SSH_PORT" 127.0.0.1 apps | grep -c blog)" 1
ok 'a large command is cut off, not taken in'   must_fail ssh_node "status $(head -c 100000 /dev/zero | tr '\0' x)"

ok '39 garbage instead of SSH is hung up on'    garbage
host_key=$(ssh-keyscan -p "$SSH_PORT" -t ed25519 127.0.0.1 2>/dev/null)
ok '40 one host key'                            test -n "$host_key"
stop_silverd
start_silverd
ok '40 it is the same after a restart'          equal "$(ssh-keyscan -p "$SSH_PORT" -t ed25519 127.0.0.1 2>/dev/null)" "$host_key"
ok '40 and clients that know it still connect'  verb status blog
ok '40 it is for the owner only'                equal "$(stat -c %a "$STATE/ssh/host_ed25519")" 600
ok 'the node serves'                            serves 1
done_testing
