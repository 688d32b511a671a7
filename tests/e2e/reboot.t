#!/bin/sh
# The machine reboots in the middle of pushes: copies of the state directory, taken at random moments of a loop of pushes,
# start as nodes of their own. COPIES of them (6; 60 s).
#
# As root the node is on an ext4 image that is frozen and copied, so a copy is what the disk held at that moment; and
# always plain copies, taken while every process that writes there is stopped.
. "$(dirname "$0")/disk.sh"
small_disk 96 8000
. "$(dirname "$0")/lib.sh"
[ "$DISK_KIND" = none ] || STATE=$DISK/node

COPIES=${COPIES:-6}
origin=$STATE
start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
PLATFORM='exec' # it has processes, so there is more of a push to be in the middle of
new_app prog
commit_app 1
push || bail 'the first push of prog failed'

# pushes to both apps, one after the other, each with its outcome on record, until $TMP/enough is there
push_loop() {
	pl_n=1
	while [ ! -e "$TMP/enough" ]; do
		pl_n=$((pl_n + 1))
		for pl_app in blog prog; do
			APP=$pl_app REPO=$TMP/work/$pl_app PLATFORM='exec'
			[ "$APP" = prog ] || PLATFORM=static
			commit_app "$pl_n"
			push || echo "$pl_app $pl_n" >>"$TMP/failed"
			if grep -q 'is live at' "$TMP/push.err"; then echo "$pl_n" >"$TMP/told.new" && mv "$TMP/told.new" "$TMP/told.$pl_app"; fi
		done
	done
}

# What was told before a copy was taken: `told.APP` of the copy.
remember() {
	for rm_app in blog prog; do cp "$TMP/told.$rm_app" "$TMP/copy.$1.$rm_app"; done
}

frozen_copy() { # N: what the disk holds
	remember "$1"
	fsfreeze -f "$DISK"
	cp --sparse=always "$DISK_IMAGE" "$TMP/copy.$1.img"
	fsfreeze -u "$DISK"
}

# Every process of the node that may write, until no new one appears.
stop_writers() {
	sw_last=
	while sw_now=$(our_processes | sort | tr '\n' ' '); [ "$sw_now" != "$sw_last" ]; do
		for sw_pid in $sw_now; do kill -STOP "$sw_pid" 2>/dev/null || true; done
		sw_last=$sw_now
	done
}
plain_copy() { # N: what was written, as a clean reboot finds it
	remember "$1"
	stop_writers
	cp -a "$origin" "$TMP/copy.$1"
	for pc_pid in $sw_last; do kill -CONT "$pc_pid" 2>/dev/null || true; done
}

echo 1 >"$TMP/told.blog"
echo 1 >"$TMP/told.prog"
push_loop 2>/dev/null &
loop=$!
i=0
while [ $i -lt "$COPIES" ]; do
	i=$((i + 1))
	sleep "0.$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')"
	if [ "$DISK_KIND" = ext4 ] && [ $((i % 2)) -eq 0 ]; then frozen_copy $i; else plain_copy $i; fi
done
: >"$TMP/enough"
ok "the loop of pushes ends" wait "$loop"
ok '  and none of them failed' test ! -e "$TMP/failed"
ok '  nor the node' stop_silverd
[ "$DISK_KIND" != ext4 ] || umount "$DISK"

# The copy's releases are those of work trees that went on: what a version is is in the commit's subject.
goes_on() { # TOLD: live is what the ref says, and no older than what was told
	ref_is_live || return 1
	go_version=$(app_git log -1 --format=%s "$(record commit)" | sed 's/version //')
	serves "$go_version" || return 1
	[ "$go_version" -ge "$1" ] || {
		echo "version $go_version is live, but $1 was told"
		return 1
	}
	silver fsck "$APP" # names, records, refs, slots, links: as it starts
}
next_push() {
	commit_app "$((1000 + i))"
	push && serves "$((1000 + i))" && ref_is_live && tree_is_exact
}

i=0
while [ $i -lt "$COPIES" ]; do
	i=$((i + 1))
	if [ -e "$TMP/copy.$i.img" ]; then
		kind='the frozen disk'
		mount -o loop "$TMP/copy.$i.img" "$DISK"
		STATE=$DISK/node
	else
		kind='the directory'
		STATE=$TMP/node-copy
		mv "$TMP/copy.$i" "$STATE"
	fi
	start_silverd
	for APP in blog prog; do
		REPO=$TMP/work/$APP PLATFORM='exec'
		[ "$APP" = prog ] || PLATFORM=static
		ok "35 copy $i of $kind starts: $APP is live as the ref says" wait_until 20 goes_on "$(cat "$TMP/copy.$i.$APP")"
		ok '     and the next push works'           next_push
	done
	stop_silverd >/dev/null || bail 'silverd did not end'
	wait_until 10 nothing_runs >/dev/null
	if [ "$STATE" = "$DISK/node" ]; then
		umount "$DISK"
		rm "$TMP/copy.$i.img"
	else
		rm -rf "$STATE"
	fi
done
STATE=$origin
done_testing
