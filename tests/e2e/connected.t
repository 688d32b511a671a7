#!/bin/sh
# A push whose pack lacks an object that it needs. index-pack sees what no object leads to; that an object which was there
# before is itself complete is for the connectivity check, which git leaves to pre-receive. About 10 s.
. "$(dirname "$0")/lib.sh"

# send-pack by hand: git itself would not send such a pack. FROM TO REF, the pack on stdin.
cat >"$TMP/send-pack" <<'END'
import subprocess
import sys

old, new, ref = sys.argv[1:4]
server = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def read_packet():
    size = int(server.stdout.read(4) or b"0", 16)
    return server.stdout.read(size - 4) if size else None


while read_packet() is not None:
    pass
line = ("%s %s %s\0report-status side-band-64k" % (old, new, ref)).encode()
server.stdin.write(b"%04x%s0000" % (len(line) + 4, line) + sys.stdin.buffer.read())
server.stdin.close()
while True:
    packet = read_packet()
    if packet is None:
        break
    sys.stdout.buffer.write(packet[1:])
sys.stdout.flush()
server.wait()
END
start_silverd
new_app blog
commit_app 1
ok 'a whole push goes live' push
old=$(git -C "$REPO" rev-parse HEAD)

send() { # the objects named on stdin, as the new master
	git -C "$REPO" pack-objects --stdout -q >"$TMP/pack"
	/usr/bin/python3 "$TMP/send-pack" "$old" "$new" "${1:-refs/heads/master}" \
		ssh -F "$TMP/ssh_config" -i "$TMP/keys/admin" -p "$SSH_PORT" silver@127.0.0.1 "git-receive-pack 'blog'" \
		<"$TMP/pack" >"$TMP/push.err" 2>&1
}
mkdir -p "$REPO/static/deep"
echo new >"$REPO/static/deep/file"
commit_app 2
new=$(git -C "$REPO" rev-parse HEAD)
git -C "$REPO" rev-list --objects "$new" "^$old" | cut -d' ' -f1 >"$TMP/objects"
ok '   the commit brings objects of its own' test "$(wc -l <"$TMP/objects")" -ge 5
cp "$TMP/objects" "$TMP/each"
while read -r lost; do
	type=$(git -C "$REPO" cat-file -t "$lost")
	[ "$lost" != "$new" ] || continue
	grep -v "$lost" "$TMP/objects" | send
	ok "a push that lacks a $type is refused" said "ng refs/heads/master"
	ok '   and says which' said "did not receive expected object $lost"
	ok '   live unchanged' serves 1
	grep -v "$lost" "$TMP/objects" | send refs/heads/other
	ok '   also where it is only stored' said 'ng refs/heads/other'
done <"$TMP/each"
# A tree that is there, left by whatever, but not the file in it: the pack may leave out both.
tree=$(git -C "$REPO" rev-parse "$new:static/deep")
file=$(git -C "$REPO" rev-parse "$new:static/deep/file")
place=objects/$(echo "$tree" | cut -c1-2)
mkdir -p "$STATE/apps/blog/repo.git/$place"
cp "$REPO/.git/$place/$(echo "$tree" | cut -c3-)" "$STATE/apps/blog/repo.git/$place/"
chown -R --reference="$STATE/apps/blog/repo.git" "$STATE/apps/blog/repo.git/$place"
grep -v -e "$tree" -e "$file" "$TMP/objects" | send
ok 'a push that needs a tree which is there without its file is refused' said 'ng refs/heads/master pre-receive hook declined'
ok '   and says which file' said "refs/heads/master: the push is not complete: object $file is missing, of static/deep/file"
ok '   live unchanged' serves 1
grep -v -e "$tree" -e "$file" "$TMP/objects" | send refs/heads/other
ok '   also where it is only stored' said 'ng refs/heads/other pre-receive hook declined'

# without the commit itself git has nothing to ask about
grep -v "$new" "$TMP/objects" | send
ok 'a push that lacks its commit is refused' said 'ng refs/heads/master'
ok '   the branch is where it was' equal "$(app_git rev-parse master)" "$old"
ok '   nothing half' nothing_half
send <"$TMP/objects"
ok 'with all objects it is taken' said 'ok refs/heads/master'
ok '   and live' serves 2
ok '   fsck is clean' silver fsck blog
done_testing
