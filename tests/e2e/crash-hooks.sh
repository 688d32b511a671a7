# crash-hooks.sh - an installation whose hooks die or wait when they are told to. Sourced behind lib.sh, before start_silverd.
#
#	crash_hooks HOOK...	$USR is a copy of the installation from now on, in which these hooks can be told
#	crash_at HOOK K		HOOK is killed at its K-th call that changes the disk, and git receive-pack with it
#	crash_never HOOK	no longer
#	crashed			was one killed since crash_at?
#	crash_place		at which call, in strace's words
#	hold_at HOOK K APP	the next HOOK for APP stops at its K-th such call (0: before it begins)
#	held			has it?
#	hold_place		at which call
#	let_go			it goes on, and none is held from now on; may be said again
#
# K counts as strace does, each kind of call for itself: the first kind that is called a K-th time is where it ends or stops.
# shellcheck shell=sh
DISK_CALLS='rename,renameat,renameat2,linkat,symlinkat,unlinkat,mkdirat,fsync,fdatasync,syncfs'

crash_hooks() {
	cp -a "$USR" "$TMP/usr-crash"
	USR=$TMP/usr-crash
	chmod 755 "$TMP"
	mkdir "$USR/lib/silver/real" "$TMP/crash"
	chmod 777 "$TMP/crash"
	for ch_hook; do
		# what it leads to leads there from real/ too
		mv "$USR/lib/silver/hooks/$ch_hook" "$USR/lib/silver/real/$ch_hook"
		cat >"$USR/lib/silver/hooks/$ch_hook" <<-END
			#!/bin/bash
			real=$USR/lib/silver/real/$ch_hook
			hold=$TMP/crash/hold.$ch_hook.\$SILVER_APP
			if [ -s \$hold ]; then
				k=\$(<\$hold)
				if [ \$k -eq 0 ]; then
					echo \$\$ >$TMP/crash/held
					while [ -s \$hold ]; do sleep 0.05; done
					exec \$real
				fi
				export ASAN_OPTIONS=detect_leaks=0
				strace -f -qq -o $TMP/crash/hold.trace -e trace=$DISK_CALLS -e inject=$DISK_CALLS:signal=STOP:when=\$k \$real
				exit
			fi
			[ -s $TMP/crash/$ch_hook ] || exec \$real
			k=\$(<$TMP/crash/$ch_hook)
			export ASAN_OPTIONS=detect_leaks=0 # the leak checker does not work below strace
			strace -f -qq -o $TMP/crash/trace.\$\$ -e trace=$DISK_CALLS -e inject=$DISK_CALLS:signal=KILL:when=\$k \$real
			status=\$?
			[ \$status -ge 128 ] || exit \$status
			echo killed >$TMP/crash/killed
			kill -KILL \$PPID \$\$
		END
		chmod 755 "$USR/lib/silver/hooks/$ch_hook"
	done
}

crash_at() {
	rm -f "$TMP/crash/killed" "$TMP"/crash/trace.*
	echo "$2" >"$TMP/crash/$1"
}

crash_never() {
	: >"$TMP/crash/$1"
}

crashed() {
	[ -e "$TMP/crash/killed" ]
}

crash_place() {
	tail -qn 2 "$TMP"/crash/trace.* | head -n 1 | cut -c1-70
}

hold_at() {
	rm -f "$TMP/crash/held" "$TMP/crash/hold.trace"
	echo "$2" >"$TMP/crash/hold.$1.$3"
}

held() {
	[ -e "$TMP/crash/held" ] || grep -q 'stopped by SIGSTOP' "$TMP/crash/hold.trace" 2>/dev/null
}

hold_place() {
	[ ! -e "$TMP/crash/hold.trace" ] || grep '(' "$TMP/crash/hold.trace" | tail -n 1 | sed 's/^[0-9]* *//' | cut -c1-60
}

let_go() {
	rm -f "$TMP"/crash/hold.*.* # not the trace
	lg_pids=$(sed -n 's/^\([0-9]*\) .*stopped by SIGSTOP.*/\1/p' "$TMP/crash/hold.trace" 2>/dev/null || true)
	for lg_pid in $lg_pids; do
		kill -CONT "$lg_pid" 2>/dev/null || true
	done
}
