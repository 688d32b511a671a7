#!/bin/sh
# The way back, and large things: clone, fetch, archive, a 200 MB blob, keys renewed in the middle of it.
. "$(dirname "$0")/lib.sh"

MB=${BLOB_MB:-200}
slow_archive() {
	git_node archive --remote="$(url blog)" master static/blob 2>"$TMP/push.err" | python3 -c '
import sys, time
while sys.stdin.buffer.read1(300000):
    time.sleep(0.001)' &&
		equal "$(git_node archive --remote="$(url blog)" master static/blob 2>"$TMP/push.err" | tar -xOf - static/blob | sha256sum)" "$sum"
}
start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
commit_app 2
push || bail 'the second push failed'

ok 'git clone'                            git_node clone -q "$(url blog)" "$TMP/work/clone"
ok '  brings the branch'                  equal "$(git -C "$TMP/work/clone" rev-parse HEAD)" "$(git -C "$REPO" rev-parse HEAD)"
ok 'git fetch of the releases'            git_node -C "$TMP/work/clone" fetch -q origin 'refs/releases/*:refs/releases/*'
ok '  brings the old one'                 equal "$(git -C "$TMP/work/clone" rev-parse refs/releases/1)" "$(git -C "$REPO" rev-parse HEAD~1)"
ok 'a shallow clone'                      git_node clone -q --depth 1 "$(url blog)" "$TMP/work/shallow"
ok 'protocol version 0 too'               git_node -c protocol.version=0 ls-remote "$(url blog)"
git_node archive --remote="$(url blog)" master static/version >"$TMP/archive.tar" 2>"$TMP/push.err" || true
ok 'git archive --remote'                 equal "$(tar -xOf "$TMP/archive.tar" static/version)" 2
ok 'a clone of nothing'                   must_fail git_node clone -q "$(url nothere)" "$TMP/work/none"
git_node ls-remote "$(url nothere)" >"$TMP/out" 2>&1 || true
ok '  says so, with status'               said "no app 'nothere'|nothere" "$TMP/out"
ok '  and did not make it'                test ! -e "$STATE/apps/nothere"

# a blob that nothing can compress
python3 - "$MB" >"$REPO/static/blob" <<'END'
import random, sys
r = random.Random(7)
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(r.randbytes(1 << 20))
END
sum=$(sha256sum <"$REPO/static/blob")
git -C "$REPO" config core.compression 0
git -C "$REPO" config core.bigFileThreshold 1m
commit_app 3
ok "22 a blob of $MB MB arrives"          push
ok '  exactly'                            equal "$(sha256sum <"$STATE/apps/blog/current/app/static/blob")" "$sum"
ok '  and over HTTP'                      equal "$(fetch /blob | sha256sum)" "$sum"
ok 'and back, into a clone'               git_node clone -q "$(url blog)" "$TMP/work/large"
ok '  exactly'                            equal "$(sha256sum <"$TMP/work/large/static/blob")" "$sum"
rm -rf "$TMP/work/large"
sed -i '1i RekeyLimit 16M' "$TMP/ssh_config"
ok 'a clone with keys renewed every 16 MB' git_node clone -q "$(url blog)" "$TMP/work/rekeyed"
ok '  exactly'                            equal "$(sha256sum <"$TMP/work/rekeyed/static/blob")" "$sum"
rm -rf "$TMP/work/rekeyed"
ok 'an archive with a slow reader and renewed keys' slow_archive
rm "$REPO/static/blob"
printf 'after' >"$REPO/static/small"
python3 - 40 >"$REPO/static/blob2" <<'END'
import random, sys
r = random.Random(8)
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(r.randbytes(1 << 20))
END
commit_app 4
ok 'a push with keys renewed every 16 MB' push
ok '  exactly'                            tree_is_exact
ok '  git says so too'                    app_git fsck --connectivity-only
done_testing
