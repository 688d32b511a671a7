#!/bin/sh
# A node behind the machine's own sshd: silver-shell is what its keys run. The same roles, verbs and pushes, the same end of a push whose
# client dies; and nobody but the user that node.ini names gets near it.
. "$(dirname "$0")/lib.sh"

[ -x /usr/sbin/sshd ] || bail '/usr/sbin/sshd is missing: apt-get install openssh-server'
SHELL_PROGRAM=$(echo "$USR"/lib*/silver/silver-shell)
KEYS=$TMP/authorized_keys
SSHD=
DOOR=$(id -un)
end_sshd() {
	[ -z "$SSHD" ] || kill "$SSHD" 2>/dev/null
	[ "$(id -u)" -ne 0 ] || userdel "$DOOR" 2>/dev/null
}
CLEAN_UP='end_sshd'
if [ "$(id -u)" -eq 0 ]; then
	DOOR=door-e2e-$$
	useradd --system --no-create-home --home-dir / --shell /bin/sh "$DOOR"
	usermod -p '*' "$DOOR" # no password, and not locked
fi

start_silverd
stop_silverd
sed -i "s/^#* *shell_user *=.*/shell_user = $DOOR/" "$STATE/node.ini"
grep -q "^shell_user = $DOOR\$" "$STATE/node.ini" || bail 'node.ini has no line for shell_user'
start_silverd
new_key reader
new_key stranger
add_user reader --role read >/dev/null
key_line() { # NAME: as sshd's AuthorizedKeysCommand would ask, by the user of the door
	set -- "$SHELL_PROGRAM" keys "$STATE" "$(cut -d ' ' -f 1 "$TMP/keys/$1.pub")" "$(cut -d ' ' -f 2 "$TMP/keys/$1.pub")"
	if [ "$(id -u)" -eq 0 ]; then runuser -u "$DOOR" -- "$@"; else "$@"; fi
}
for name in admin reader; do
	key_line "$name" >>"$KEYS"
done
ok 'keys that the node knows have a line'    equal "$(grep -c '^restrict,pty,command="/.*/silver-shell login /' "$KEYS")" 2
ok '  and no other key'                      equal "$(key_line stranger)" ''
ok '  nor what is none'                      exits 2 "$SHELL_PROGRAM" keys "$STATE" ssh-ed25519 'AAAA" evil'

# --- the machine's sshd ----------------------------------------------------------------------------
ssh-keygen -q -t ed25519 -N '' -f "$TMP/host_key"
DOOR_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$TMP/sshd_config" <<END
ListenAddress 127.0.0.1
Port $DOOR_PORT
HostKey $TMP/host_key
PidFile none
AuthorizedKeysFile $KEYS
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AcceptEnv GIT_PROTOCOL
END
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f "$TMP/sshd_config" 2>"$TMP/sshd.err" &
SSHD=$!
listens() {
	ssh-keyscan -T 5 -p "$DOOR_PORT" 127.0.0.1 2>/dev/null | grep -q .
}
wait_until 60 listens || bail "sshd does not listen: $(cat "$TMP/sshd.err")"
SSH="ssh -F $TMP/ssh_config -i $TMP/keys/"
door() { # by sshd, as $KEY
	# shellcheck disable=SC2086
	timeout 100 $SSH$KEY -p "$DOOR_PORT" "$DOOR@127.0.0.1" "$@"
}
push_by_door() { # [REF]
	GIT_SSH_COMMAND="$SSH$KEY" timeout 100 git -C "$REPO" push "ssh://$DOOR@127.0.0.1:$DOOR_PORT/blog" "${1:-HEAD:master}" >"$TMP/push.err" 2>&1 || {
		pd_status=$?
		cat "$TMP/push.err" "$TMP/sshd.err"
		return $pd_status
	}
}

PLATFORM=python
new_app blog
commit_app 1
ok 'a push by sshd goes live'                push_by_door
ok '  and says so'                           said 'blog release 1 is live at http://'
ok '  by the user whose key it is'           said 'by admin' "$(door status blog >"$TMP/out"; echo "$TMP/out")"
ok '  it serves'                             serves 1
head -c 3000000 /dev/urandom >"$REPO/big"
git -C "$REPO" add big
commit_app 2
ok 'a large push, too'                       push_by_door
ok '  arrives whole'                         equal "$(door run blog cat big | cksum)" "$(cksum <"$REPO/big")"
ok 'input and output of any size pass'       equal "$(head -c 5000000 "$REPO/big" | door run blog cat | cksum)" "$(head -c 5000000 "$REPO/big" | cksum)"
ok 'a fetch'                                 env GIT_SSH_COMMAND="$SSH$KEY" git -C "$REPO" fetch -q "ssh://$DOOR@127.0.0.1:$DOOR_PORT/blog" refs/releases/1
ok 'stderr stays apart, the status is kept'  equal "$(door run blog sh -c "'echo no >&2; exit 7'" 2>/dev/null || echo "status $?")" 'status 7'
tty_says() {
	script -qec "timeout --foreground 60 $SSH$KEY -tt -p $DOOR_PORT $DOOR@127.0.0.1 run blog sh -c \"'test -t 0 && stty size && exit 5'\"" /dev/null </dev/null
}
if [ "$(id -u)" -eq 0 ]; then
	ok 'with a terminal there is one'        exits 5 tty_says
else
	skip 'with a terminal there is one' 'an sshd that is not root can give none away'
fi
ok 'input that must be whole is taken'       equal "$(printf 'two\nlines' | door config set blog TEXT >/dev/null 2>&1; door config show blog TEXT)" "$(printf 'two\nlines')"
ok 'no command: what may be done'            said "You are admin, with the role 'admin'" "$(door >"$TMP/out"; echo "$TMP/out")"
ok 'another command is refused'              exits 2 door ls /
ok '  as the node refuses it'                said "unknown verb 'ls'" "$(door ls 2>"$TMP/err" || echo "$TMP/err")"
KEY=reader
ok 'a reader may look'                       door status blog
ok '  and not push'                          must_fail push_by_door HEAD:master
ok '  for the reason'                        said "may not|role|allow"
KEY=stranger
ok 'a stranger does not get in'              exits 255 door status blog
KEY='admin'
ok 'a key that was taken away'               silver user remove reader
KEY=reader
ok '  opens nothing, though sshd knows it'   exits 5 door status blog
KEY='admin'

# --- who vanishes ------------------------------------------------------------------------------------
mkdir -p "$REPO/bin"
# shellcheck disable=SC2016 # the app's
printf '#!/bin/sh\ntouch "%s/held"\nwhile [ ! -e "%s/go" ]; do sleep 0.05; done\n' "$TMP/net" "$TMP/net" >"$REPO/bin/step"
chmod +x "$REPO/bin/step"
mkdir -p "$TMP/net"
chmod 777 "$TMP/net"
commit_app 3 'update_fetch = script:bin/step'
(push_by_door) &
pid=$!
is_held() {
	[ -e "$TMP/net/held" ]
}
ok 'a push is held in update_fetch'          wait_until 60 is_held
kill_tree KILL "$pid"
: >"$TMP/net/go"
ok 'its client was killed: it goes live'     wait_until 60 serves 3
live_is_ref() {
	[ "$(git --git-dir="$STATE/apps/blog/repo.git" rev-parse refs/heads/master)" = "$(git -C "$REPO" rev-parse HEAD)" ]
}
ok '  and the ref is there'                  live_is_ref
mkfifo "$TMP/half"
(door config set blog HALF <"$TMP/half") >/dev/null 2>&1 &
pid=$!
exec 4>"$TMP/half"
printf 'half of it' >&4
sets_half() {
	[ "$(grep -c 'config set blog$' "$TMP/silverd.log")" -eq 2 ]
}
wait_until 60 sets_half || bail 'the second config set did not begin'
kill_tree KILL "$pid"
exec 4>&-
ended_badly() {
	grep -c 'config set blog: status' "$TMP/silverd.log" | grep -q 2 && grep 'config set blog: status' "$TMP/silverd.log" | tail -n 1 | grep -qv 'status 0'
}
ok 'the client of a verb with input is killed: it is refused' wait_until 60 ended_badly
unset_still() {
	! door config show blog HALF >/dev/null 2>&1
}
ok 'half of an input changes nothing'        unset_still
commit_app 4
ok 'the next push works'                     push_by_door
ok '  and fsck finds nothing'                silver fsck

# --- who else comes ------------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ]; then
	refused_for() { # USER
		runuser -u "$1" -- "$SHELL_PROGRAM" login "$STATE" "$(cut -d ' ' -f 1 "$TMP/keys/admin.pub")" "$(cut -d ' ' -f 2 "$TMP/keys/admin.pub")"
	}
	ok 'another user of the machine gets nothing of it' must_fail refused_for nobody
	ok 'the user of the door is no admin on the node' must_fail runuser -u "$DOOR" -- "$USR/bin/silver" --dir "$STATE" apps
else
	skip 'another user of the machine gets nothing of it' 'there is one user'
	skip 'the user of the door is no admin on the node' 'there is one user'
fi
kill "$SSHD"
wait "$SSHD" 2>/dev/null || true
SSHD=
done_testing
