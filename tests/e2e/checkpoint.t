#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# checkpoint = true: the data of a refused push are those of before; and what was killed with the data half changed, a push
# or a restore, is put back. About 15 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
MARK=$STATE/apps/blog/services/.undo

# bin/data add WORD [FILE]: into both services, waiting while FILE is there | show
write_data() {
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/data" <<-'END'
		#!/usr/bin/python3
		import os, sqlite3, sys, time
		db = sqlite3.connect(os.environ["CONFIG_SQLITE_PATH"])
		notes = os.path.join(os.environ["CONFIG_FILES"], "notes")
		if sys.argv[1] == "add":
		    db.execute("CREATE TABLE IF NOT EXISTS note (text)")
		    db.execute("INSERT INTO note VALUES (?)", sys.argv[2:3])
		    db.commit()
		    open(notes, "a").write(sys.argv[2] + "\n")
		    if len(sys.argv) > 3:
		        open(os.path.join(os.environ["CONFIG_FILES"], "reached"), "w").close()
		        while os.path.exists(sys.argv[3]): time.sleep(0.05)
		    sys.exit(0 if sys.argv[2] != "bad" else 1)
		print(" ".join(row[0] for row in db.execute("SELECT text FROM note")), open(notes).read().split())
	END
	chmod 755 "$REPO/bin/data"
}

version() { # VERSION WORD: a release whose update_fetch adds WORD
	commit_app "$1" 'service.sqlite =' 'service.files =' 'checkpoint = true' "update_fetch = script:bin/data add $2"
}
shown() {
	silver run blog bin/data show
}
at_rest() {
	test ! -e "$MARK"
}
is_marked() {
	grep -q '^archive = .' "$MARK" 2>/dev/null
}

start_silverd
new_app blog
write_data
version 1 one
ok 'the first push' push
ok '   has migrated' equal "$(shown)" "one ['one']"
version 2 two
ok 'the second' push
ok '   has migrated' equal "$(shown)" "one two ['one', 'two']"
ok '   no mark is left' at_rest
ok '   what the data were is kept' test -f "$STATE/data/blog/backups/checkpoint.tar.zst"
before=$(shown)

version 3 bad
ok 'a migration that fails after it has changed data' must_fail push
ok '   is told' said 'the data of blog are again what they were before' "$TMP/push.err"
ok '   changed nothing' equal "$(shown)" "$before"
ok '   the old release serves' wait_until 60 serves 2
ok '   no mark is left' at_rest
version 3 three
sed -i 's|^service.files|health = /nothing-here\n&|' "$REPO/app.ini" && git -C "$REPO" commit -qam 'never healthy'
ok 'a migration that passes in a release that is not healthy' must_fail push
ok '   changed nothing' equal "$(shown)" "$before"
ok '   the old release serves' wait_until 60 serves 2
ok '   fsck is clean' silver fsck

# killed in the middle of update_fetch
GATE=$TMP/gate
chmod 755 "$TMP"
: >"$GATE"
reached() {
	test -e "$STATE/data/blog/files/reached"
}
begin_push() {
	version "$1" "half $GATE"
	push >"$TMP/half.out" 2>&1 &
	PUSH=$!
	wait_until 60 reached
}
push_processes() {
	pgrep -f "receive-pack $STATE/apps/blog/repo.git" || true
	ours "$USR/.*/pre-receive" || true
}
kill_push() {
	for pid in $(push_processes); do
		kill -9 "$pid" 2>/dev/null || true
	done
	wait "$PUSH" || true
}
was_put_back() {
	at_rest && equal "$(shown)" "$before"
}
ok 'a push that waits in update_fetch' begin_push 4
ok '   has a mark' is_marked
ok '   nobody gets a backup of what is half' exits 3 silver backup blog
kill_push
ok 'killed: the data are put back' wait_until 60 was_put_back
ok '   the old release serves' wait_until 60 serves 2
rm "$GATE"
ok '   the next push works' push
ok '   and has migrated' equal "$(shown)" "one two half ['one', 'two', 'half']"
before=$(shown)

: >"$GATE"
silver run blog sh -c 'rm "$CONFIG_FILES/reached"' || bail 'the files could not be changed'
before=$(shown)
ok 'a push that waits in update_fetch' begin_push 5
kill -9 "$SILVERD"
kill_push
wait "$SILVERD" || true
start_silverd
ok 'killed with silverd, which starts again: the data are put back' wait_until 60 was_put_back
ok '   the old release serves' wait_until 60 serves 4
rm "$GATE"

# a restore that is killed when one of two services is done
silver backup blog old.tar.zst >/dev/null 2>&1 || bail 'no backup'
silver run blog bin/data add later || bail 'the data could not be changed'
before=$(shown)
HOLDER=
end_holder() {
	[ -z "$HOLDER" ] || kill "$HOLDER" 2>/dev/null || true
}
CLEAN_UP=end_holder
sqlite_is_held() {
	python3 -c '
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
open(sys.argv[2], "w").close()
time.sleep(600)' "$STATE/data/blog/sqlite/db.sqlite3" "$TMP/held" &
	HOLDER=$!
	wait_until 20 test -e "$TMP/held"
}
files_are_old() {
	equal "$(cat "$STATE/data/blog/files/notes")" "$(printf '%s\n' one two half)"
}
begin_restore() {
	sqlite_is_held
	silver restore blog old.tar.zst --yes >"$TMP/restore.out" 2>&1 &
	RESTORE=$!
	wait_until 60 files_are_old && is_marked
}
kill_restore() {
	for pid in $(pgrep -f "silver-root --dir $STATE restore blog"); do
		kill -9 "$pid"
	done
	end_holder
	wait "$HOLDER" 2>/dev/null || true
	rm -f "$TMP/held"
	! wait "$RESTORE"
}
ok 'a restore that has done one of two services' begin_restore
ok '   is killed' kill_restore
ok '   all of it is put back' wait_until 60 was_put_back
ok '   the app serves' wait_until 60 serves 4
ok 'once more, and silverd with it' begin_restore
kill -9 "$SILVERD"
ok '   is killed' kill_restore
wait "$SILVERD" || true
start_silverd
ok '   all of it is put back' wait_until 60 was_put_back
ok '   the app serves' wait_until 60 serves 4
ok '   fsck is clean' silver fsck
ok 'the same restore, left alone' silver restore blog old.tar.zst --yes
ok '   is whole' equal "$(shown)" "one two half ['one', 'two', 'half']"
before=$(shown)

sed -i '/^\[node\]/a checkpoint_max_bytes = 1000' "$STATE/node.ini"
version 6 six
ok 'data above the limit of the node: refused' must_fail push
ok '   with the line, the numbers and what to do' \
	said 'app\.ini:[0-9]+: checkpoint: its data take [0-9]+ bytes, and a checkpoint at most 1000 .*checkpoint_max_bytes' "$TMP/push.err"
ok '   nothing was run' equal "$(shown)" "$before"
ok '   the old release serves' serves 4
sed -i '/^checkpoint = /d' "$REPO/app.ini" && git -C "$REPO" commit -qam 'without'
ok 'without it the push lands' push
done_testing
