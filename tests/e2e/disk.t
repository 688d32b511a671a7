#!/bin/sh
# A disk that is full, of bytes or of inodes, that turned read-only, a clock that went back (40 s).
. "$(dirname "$0")/disk.sh"
small_disk 100 3000
. "$(dirname "$0")/lib.sh"

[ "$DISK_KIND" != none ] || {
	skip '48 full disk, full inodes' 'needs root and a loop device, or user namespaces'
	done_testing
	exit
}
STATE=$DISK/node

blob() { # NAME KILOBYTES: a file that does not compress
	head -c "$(($2 * 1024))" /dev/urandom >"$REPO/static/$1"
}
free_kb() {
	stat -f -c '%a %S' "$DISK" | awk '{ print int($1 * $2 / 1024) }'
}
leave_kb() { # fills the disk but for so much
	rm -f "$DISK/filler"
	fk_kb=$(($(free_kb) - $1))
	head -c "$((fk_kb * 1024))" /dev/zero >"$DISK/filler" || true
}
fill() { # to the last byte, also what is root's
	rm -f "$DISK/filler"
	cat /dev/zero >"$DISK/filler" 2>/dev/null || true
}
fill_inodes() { # all but so many
	rm -f "$DISK/filler" # a tmpfs counts its pages too
	mkdir -p "$DISK/inodes"
	python3 -c 'import os, sys
try:
    for i in range(100000): os.close(os.open("%s/%d.%d" % (sys.argv[1], i, os.getpid()), os.O_CREAT))
except OSError: pass' "$DISK/inodes"
	find "$DISK/inodes" -type f | head -n "$1" | xargs -r rm
}
refused() { # PATTERN: the push is refused so, and nothing has changed
	must_fail push || return 1
	said "$1" && equal "$(live)" "$before" && ref_is_live && serves "$version"
}
lands() { # the very same commit, now that there is room
	push && serves "$next_version" && ref_is_live && tree_is_exact
}
settles() {
	wait_until 20 settled && nothing_half && verb verify blog
}
serves_live() {
	serves "$(git -C "$REPO" log -1 --format=%s "$(record commit)" | sed 's/version //')"
}
push_again() {
	commit_app "again$i"
	push && serves "again$i" && ref_is_live
}
newer() {
	[ "$(stat -c %Y "$1")" -gt "$(stat -c %Y "$2")" ]
}
no_negative() {
	verb releases blog >"$TMP/out" && verb status blog >>"$TMP/out" && ! grep -E -e '-[0-9]+ (s|min|hour|day)' "$TMP/out"
}
no_trash() {
	! ls -d "$STATE"/apps/blog/slots/.trash-* "$STATE"/apps/blog/repo.git/objects/tmp_objdir-incoming-* 2>/dev/null
}
read_only_rollback() {
	must_fail verb rollback blog >"$TMP/out" 2>&1 && said 'Read-only file system' "$TMP/out"
}
ends_anyhow() { # its left-overs it cannot remove, and says so
	stop_silverd
	wait_until 20 nothing_runs
}
starts_not() {
	must_fail timeout 30 "$USR/sbin/silverd" --dir "$STATE" --ssh 127.0.0.1:0 --http 127.0.0.1:0 >"$TMP/out" 2>&1 && said "$1" "$TMP/out"
}
next() { # VERSION
	before=$(live) version=$(fetch /version) next_version=$1
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
commit_app 2
push || bail 'the second push failed'
wait_until 20 settled

# what is needed is known before anything is touched
next 3
blob big 8192
commit_app 3
leave_kb 13000
ok '48 a release that does not fit is refused with numbers' refused 'this commit needs 8\.[45] MB, [0-9.]+ MB are free on '"$STATE"
ok '   and says what is live'                     said "nothing was changed; release $before is live"
must_fail push -o plan HEAD:master
ok '20   so does -o plan'                         said 'this commit needs 8\.[45] MB'
rm "$DISK/filler"
ok '21   with room again the same push lands'     lands
ok '     and is clean'                            settles

# a pack that is larger than what is free is refused while it comes
next 4
blob big2 12000
commit_app 4
leave_kb 6000
ok '21 a push larger than the disk is refused with the number' refused 'pack exceeds maximum allowed size \([0-9.]+ MiB\)'
ok '   and what had come is gone'                 test "$(free_kb)" -gt 4500
rm "$DISK/filler"
git -C "$REPO" rm -q --cached static/big && rm "$REPO/static/big" && git -C "$REPO" commit -q --amend --no-edit
ok '   with room again it lands'                  lands
ok '   and is clean'                              settles

# less than the reserve is free, then nothing at all
next 5
commit_app 5
leave_kb 500
ok '48 on a full disk a push is refused with numbers' refused "silver: the disk is full: [0-9]+ kB are free on $STATE, and 1\.0 MB are reserved"
ok '   and says what is live'                     said "silver: nothing was changed; release $before is live"
ok '   a rollback finds room in the reserve'      verb rollback blog
ok '   and back'                                  verb rollback blog
ok '   idle work there harms nothing'             settles
fill
ok '48 on a disk without a byte, too'             refused 'silver: the disk is full: 0 kB are free'
verb rollback blog >"$TMP/rollback.out" 2>&1 || true
ok '   a rollback there tells what came of it'    said "is live at|No space left" "$TMP/rollback.out"
ok '   and that is so'                            ref_is_live
ok '   idle work there harms nothing'             wait_until 20 settled
ok '   and what is live serves on'                serves_live
rm "$DISK/filler"
[ "$(live)" = "$before" ] || verb activate blog "$before" >/dev/null 2>&1
ok '   with room again the same push lands'       lands
ok '   and is clean'                              settles

# a disk that gets full while a push is at it, again and again: what was told is so

i=0
while [ $i -lt 4 ]; do
	i=$((i + 1)) before=$(live) version=$(fetch /version) next_version=during$i
	blob "during" 2048
	commit_app during$i
	leave_kb 5500
	{
		sleep "0.$((i * 2))"
		cat /dev/zero >"$DISK/filler2" 2>/dev/null || true
	} &
	push_status=0
	push 2>/dev/null || push_status=$?
	wait $!
	if [ $push_status -eq 0 ] && grep -q 'is live at' "$TMP/push.err"; then want=$next_version; else want=$version; fi
	ok "21 full during a push ($push_status): what it told is so" serves "$want"
	rm -f "$DISK/filler" "$DISK/filler2"
	ok '     and with room again the next one lands'  push_again
done

# inodes
next 6
mkdir "$REPO/many"
i=0
while [ $i -lt 300 ]; do i=$((i + 1)) && echo $i >"$REPO/many/$i"; done
commit_app 6
fill_inodes 200
ok '48 more files than inodes: refused with numbers' refused 'this commit needs 30[0-9] new files and directories, [0-9]+ can be made'
fill_inodes 0
ok '   no inode at all: refused with numbers'     refused 'silver: the disk is full: no more than 0 files can be made'
rm -r "$DISK/inodes"
ok '   with inodes again the same push lands'     lands
ok '   and is clean'                              settles

# the clock went back: everything there is is of the future
stop_silverd
find "$STATE" -exec touch -h -d '+400 days' '{}' +
for ini in "$STATE"/apps/blog/slots/*.ini "$STATE"/apps/blog/releases/*/record.ini; do
	sed -i "s/^\(stamp\|when\) *= .*/\1 = $(($(date +%s) + 34560000))/" "$ini"
done
mkdir "$STATE/apps/blog/slots/.trash-0-9999999999999" "$STATE/apps/blog/repo.git/objects/tmp_objdir-incoming-old"
chown -R --reference="$STATE/apps/blog/repo.git" "$STATE/apps/blog"
touch -d '+400 days' "$STATE/apps/blog/repo.git/objects/tmp_objdir-incoming-old"
start_silverd
next 7
commit_app 7
ok '48 after the clock went back a push lands'    lands
ok '   and is clean'                              settles
ok '   files are newer than any before them'      newer "$STATE/apps/blog/current/app/static/version" "$STATE/apps/blog/previous/app/static/version"
ok '   a rollback lands'                          verb rollback blog
ok '   a redeploy lands'                          verb redeploy blog
ok '   the list of releases has no wrong age'     no_negative
ok '   what was left over is removed'             wait_until 20 no_trash

# a file system that the kernel made read-only
if [ "$DISK_KIND" = ext4 ]; then
	next 8
	commit_app 8
	before=$(live) version=$(fetch /version)
	mount -o remount,abort "$DISK" 2>/dev/null || true
	touch "$DISK/x" 2>/dev/null && bail 'the disk is not read-only'
	ok '48 a push to a read-only disk is refused with the reason' refused 'Read-only file system'
	ok '   a rollback, too'                       read_only_rollback
	ok '   what is live serves on'                serves "$version"
	ok '   silverd ends, and all it started'      ends_anyhow
	ok '   and does not start there, with the reason' starts_not 'Read-only file system'
	umount "$DISK"
	e2fsck -fy "$DISK_IMAGE" >/dev/null 2>&1 || true # 1: it mended something
	mount -o loop "$DISK_IMAGE" "$DISK"
	start_silverd
	ok '   writable again the node starts and serves' wait_until 20 serves "$version"
	ok '   and the same push lands'               lands
	ok '   and is clean'                          settles
else
	skip '48 a file system that the kernel made read-only' 'needs root'
fi
done_testing
