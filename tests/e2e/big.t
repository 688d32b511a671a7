#!/bin/sh
# 21: what is large: a tree of many files, one huge blob, a long history, more than a push may send, thousands of refs.
# 40 s; BIG=1, as `make sweep` has it, is all of it: 100 000 files, 1 GB, 10 000 commits, 5 000 refs (5 minutes).
. "$(dirname "$0")/lib.sh"

FILES=20000 MB=200 COMMITS=2000 REFS=500
[ -z "${BIG:-}" ] || FILES=100000 MB=1024 COMMITS=10000 REFS=5000
[ -z "${SAN:-}" ] || FILES=1000 MB=20 COMMITS=200 REFS=50
PUSH_SECONDS=900

# What git fast-import makes a history of: WHAT files N, or WHAT history N.
cat >"$TMP/stream.py" <<'END'
import sys
what, n, out = sys.argv[1], int(sys.argv[2]), sys.stdout.buffer
ini = b"[production]\nplatform = static\n"
def put(text):
    out.write(text)
def data(content):
    put(b"data %d\n%s\n" % (len(content), content))
def commit(i, message):
    put(b"commit refs/heads/master\nmark :%d\ncommitter T <t@example.com> %d +0000\n" % (i, 1700000000 + i))
    data(message)
def file(name, content):
    put(b"M 100644 inline %s\n" % name)
    data(content)
if what == "files":
    commit(1, b"version %d" % n)
    file(b"app.ini", ini)
    file(b"static/version", b"%d\n" % n)
    for i in range(n):
        # as a vendored tree is: some 12 files a directory, nested
        file(b"lib/python/p%d/m%d/s%d/f%d.py" % (i % 23, i // 300, i // 12 % 25, i), b"def f%d():\n    return %d\n" % (i, i) * (i % 9))
else:
    for i in range(1, n + 1):
        commit(i, b"version %d" % i)
        if i > 1:
            put(b"from :%d\n" % (i - 1))
        else:
            file(b"app.ini", ini)
        file(b"static/version", b"%d\n" % i)
        file(b"src/%d" % (i % 50), b"%d\n" % i)
END
imported() { # files|history N: $REPO has it, and no working tree
	python3 "$TMP/stream.py" "$1" "$2" | git -C "$REPO" fast-import --quiet
}
commit_version() { # VERSION: upon master, as commit_app, where there is no working tree
	git -C "$REPO" read-tree master
	git -C "$REPO" update-index --cacheinfo "100644,$(echo "$1" | git -C "$REPO" hash-object -w --stdin),static/version"
	git -C "$REPO" commit -q -m "version $1"
}

# The largest resident sizes, in kB, of what runs below silverd: "NAME KB" lines, until $TMP/watched is there.
cat >"$TMP/watch.py" <<'END'
import os, sys, time
silverd, stop, most = sys.argv[1], sys.argv[2], {}
def read(pid, name):
    try:
        with open("/proc/%s/%s" % (pid, name), "rb") as f:
            return f.read()
    except OSError:
        return b""
def parent(pid):
    return read(pid, "stat").rpartition(b")")[2].split()[1:2]
while not os.path.exists(stop):
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    parents = {p: b"".join(parent(p)).decode() for p in pids}
    for p in pids:
        up = p
        while up in parents and up != silverd:
            up = parents[up]
        if up != silverd:
            continue
        words = read(p, "cmdline").decode(errors="replace").split("\0")
        name = os.path.basename(words[0])
        if name == "git":
            name = next((w for w in words[1:] if not w.startswith("-")), name)
        for line in read(p, "status").splitlines():
            if line.startswith(b"VmHWM"):
                most[name] = max(most.get(name, 0), int(line.split()[1]))
    time.sleep(0.02)
print("\n".join("%s %d" % i for i in sorted(most.items())))
END
watch() {
	rm -f "$TMP/watched"
	python3 "$TMP/watch.py" "$SILVERD" "$TMP/watched" >"$TMP/memory" &
	WATCH=$!
}
unwatch() {
	: >"$TMP/watched"
	wait $WATCH
	sed 's/^/# kB: /' "$TMP/memory"
}
seen() {
	grep -q "^$1 " "$TMP/memory" || {
		echo "no $1 was seen in:"
		cat "$TMP/memory"
		return 1
	}
}
none_above() { # KB: of all that ran
	awk -v most="$1" '$NF > most { print; bad = 1 } END { exit bad }' "$TMP/memory"
}
memory_is_bounded() { # KB
	[ -z "${SAN:-}" ] || return 0 # shadow memory
	seen silver-session && seen receive-pack && seen index-pack && seen pre-receive && none_above "$1"
}
said_so() {
	sed -n 's/^remote: silver: received/# &/p; s/^remote: silver: .* is live/# &/p' "$TMP/push.err"
}

start_silverd

# files
new_app files
imported files $FILES
watch
ok "21 $FILES files: the first push"           push master:master
unwatch
said_so
ok '  it serves'                               serves $FILES
ok '21 no process took more than 200 MB'       memory_is_bounded 200000
ok '  verify is clean'                         verb verify files
wait_until 120 settled
commit_version next
ok '21 and the second, of one file'            push master:master
said_so
ok '  it serves'                               serves next
ok "  as one file of $FILES"                   said "[, ]1 of [0-9 ]+ files"
wait_until 120 settled
ok '22 its tree is exact'                      tree_is_exact master
ok '21 rolled back, it serves'                 verb rollback files
ok '  what it did'                             serves $FILES

# one blob, stored and not deflated, so that the push is as large
new_app blob
git -C "$REPO" config core.compression 0
git -C "$REPO" config core.bigFileThreshold 1m
mkdir -p "$REPO/static"
python3 - "$MB" >"$REPO/static/blob" <<'END'
import os, sys
block = os.urandom(1 << 20)
for i in range(int(sys.argv[1])):
    sys.stdout.buffer.write(i.to_bytes(8, "big") + block[8:])
END
commit_app 1
watch
ok "21 a blob of $MB MB: the push"             push
unwatch
said_so
ok '  it serves'                               serves 1
ok '  the blob is what it was'                 cmp "$REPO/static/blob" "$STATE/apps/blob/current/app/static/blob"
ok '  no process took more than 64 MB'         memory_is_bounded 64000
wait_until 120 settled
cp "$REPO/static/blob" "$TMP/blob"
git -C "$REPO" rm -q static/blob
commit_app 2
ok '21 without it: the push'                   push
ok '  it serves'                               serves 2
ok '21 and back to it'                         push -f HEAD~1:master
ok '  the blob is what it was'                 cmp "$TMP/blob" "$STATE/apps/blob/current/app/static/blob"
wait_until 120 settled
rm -rf "$REPO" "$TMP/blob"

# a history
new_app old
imported history $COMMITS
watch
ok "21 a history of $COMMITS commits: the push" push master:master
unwatch
said_so
ok '  it serves'                               serves $COMMITS
ok '  all of it is there'                      equal "$(app_git rev-list --count master)" $COMMITS
ok '  its tree is exact'                       tree_is_exact master
ok '  no process took more than 64 MB'         memory_is_bounded 64000
ok '21 back to the first commit'               push -f "master~$((COMMITS - 1)):master"
ok '  it serves'                               serves 1
ok '  its tree is exact'                       tree_is_exact "master~$((COMMITS - 1))"
ok '21 and forward'                            push master:master
ok '  it serves'                               serves $COMMITS

# more than a push may send
stop_silverd
sed -i 's/^\[node\]/[node]\nmax_push_bytes = 1048576/' "$STATE/node.ini"
start_silverd
APP=small REPO=$TMP/work/small
new_app small
commit_app 1
push || bail 'a small push failed'
head -c 3000000 /dev/urandom >"$REPO/static/noise"
commit_app 2
ok '21 a push above max_push_bytes is refused' must_fail push
sed 's/^/# git: /' "$TMP/push.err"
ok '  with the number'                         said 'pack exceeds maximum allowed size \(1024\.00 KiB\)'
ok '  live unchanged'                          serves 1
ok '  ref and live agree'                      ref_is_live
no_quarantine() { test -z "$(find "$STATE/apps/small/repo.git/objects" -name 'tmp_objdir*')"; }
ok '  what had come is gone'                   wait_until 20 no_quarantine
ok '  fsck agrees'                             wait_until 20 silver fsck small
stop_silverd
sed -i '/^max_push_bytes/d' "$STATE/node.ini"
start_silverd
ok '21 with the limit raised the same lands'   push
ok '  it serves'                               serves 2

# refs
APP=old REPO=$TMP/work/old
git -C "$REPO" log --format=%H "-$REFS" master | awk '{ print "create refs/heads/many/" NR " " $1; print "create refs/tags/t" NR " " $1 }' |
	head -n "$REFS" | git -C "$REPO" update-ref --stdin
commit_version next
watch
ok "21 $REFS refs and the branch in one push"  push master:master 'refs/heads/many/*' 'refs/tags/*'
unwatch
said_so
ok '  it is live'                              serves next
ok '  all are there'                           equal "$(app_git for-each-ref refs/heads/many refs/tags | wc -l)" "$REFS"
[ -n "${SAN:-}" ] || ok '  no process took more than 64 MB' none_above 64000
commit_version behind
wait_until 120 settled
ok '21 the push behind it'                     push master:master
said_so
ok '  ref and live agree'                      ref_is_live
ok '21 and their end, in one push'             push --prune 'refs/tags/none/*:refs/tags/*' 'refs/heads/none/*:refs/heads/many/*'
ok '  none is there'                           equal "$(app_git for-each-ref refs/heads/many refs/tags | wc -l)" 0
ok '  live unchanged'                          ref_is_live
ok '21 fsck of all agrees'                     wait_until 30 silver fsck
done_testing
