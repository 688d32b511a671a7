#!/bin/sh
# shellcheck disable=SC2016 # expanded in the app's environment
# Services that need no server: sqlite, files, writable_root; the same environment everywhere. About 15 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd

new_app blog
write_app 1 'service.sqlite =' 'service.files = yes' 'service.writable_root ='
mkdir -p "$REPO/bin"
cat >"$REPO/bin/note" <<-'END'
	#!/usr/bin/python3
	import os, sqlite3, sys
	db = sqlite3.connect(os.environ["CONFIG_SQLITE_PATH"])
	db.execute("CREATE TABLE IF NOT EXISTS note (text)")
	if len(sys.argv) > 1:
	    db.execute("INSERT INTO note VALUES (?)", sys.argv[1:])
	db.commit()
	print(db.execute("PRAGMA journal_mode").fetchone()[0], [row[0] for row in db.execute("SELECT text FROM note")])
END
chmod 755 "$REPO/bin/note"
cat >>"$REPO/src/app.py" <<-'END'


	_plain = application


	def application(environ, start_response):
	    import os
	    if environ["PATH_INFO"] == "/config":
	        start_response("200 OK", [("Content-Type", "text/plain")])
	        return ["".join("%s=%s\n" % (k, v) for k, v in sorted(os.environ.items()) if k.startswith(("CONFIG_", "DATABASE_"))).encode()]
	    return _plain(environ, start_response)
END
printf 'update_fetch = script:bin/note made\n' >>"$REPO/app.ini"
git -C "$REPO" add -A && git -C "$REPO" commit -qm 1
ok '44 sqlite, files and writable_root at the first push' push
ok '   update_fetch has them' said "silver: \| wal \['made'\]"
data=$STATE/data/blog
ok '   the paths are in the environment' equal "$(fetch /config)" "CONFIG_FILES=$data/files
CONFIG_SQLITE_PATH=$data/sqlite/db.sqlite3
CONFIG_WRITABLE_ROOT=$data/writable_root
DATABASE_URL=sqlite:///$data/sqlite/db.sqlite3"
ok '43 the same in a request and in silver run' \
	equal "$(silver run blog sh -c 'env | grep -E "^(CONFIG_|DATABASE_)" | sort')" "$(fetch /config)"
ok '   the app may write there' silver run blog sh -c 'echo 1 >"$CONFIG_FILES/a" && echo 2 >"$CONFIG_WRITABLE_ROOT/b"'
ok '   and into its database' equal "$(silver run blog bin/note more)" "wal ['made', 'more']"
owners() {
	equal "$(stat -c %u "$data/files" "$data/writable_root" "$data/sqlite/db.sqlite3" | sort -u)" "$(stat -c %u "$data")"
}
ok '   all belongs to the runner' owners
ok '   fsck knows it' silver fsck

sed -i '/^service.files/d; /^update_fetch/d' "$REPO/app.ini"
git -C "$REPO" commit -qam 2
ok 'a service that app.ini asks for no more' push
ok '   is in the environment no more' must_fail said CONFIG_FILES= "$STATE/apps/blog/current/env"
ok '45 its data stay' equal "$(cat "$data/files/a")" 1
ok '   the others are as they were' equal "$(silver run blog bin/note)" "wal ['made', 'more']"
ok '45 a rollback keeps the data, and brings the environment back' silver rollback blog
ok '   both' equal "$(silver run blog sh -c 'cat "$CONFIG_FILES/a"; bin/note')" "1
wal ['made', 'more']"

# Whatever is lost of what it was given is made again by a push, and what is there stays.
rm -rf "$STATE/apps/blog/services" "$data/files"
sed -i '1a service.files =' "$REPO/app.ini"
git -C "$REPO" commit -qam 3
ok 'a push repairs what is missing' push
ok '   the directory is there again' silver run blog sh -c 'test -d "$CONFIG_FILES"'
ok '   the database was not touched' equal "$(silver run blog bin/note)" "wal ['made', 'more']"

other_app() {
	new_app other
	write_app 1 'service.sqlite =' 'service.files ='
	git -C "$REPO" add -A && git -C "$REPO" commit -qm 1
	push
}
ok 'another app has its own' other_app
if [ "$(id -u)" -eq 0 ]; then
	ok '44 which the first cannot read' must_fail silver run blog cat "$STATE/data/other/sqlite/db.sqlite3"
	ok '   nor list' must_fail silver run blog ls "$STATE/data/other/files"
else
	skip '44 which the first cannot read' 'all apps are one user without root'
	skip '   nor list' 'all apps are one user without root'
fi
silver destroy other --yes >/dev/null
ok '45 destroy leaves nothing' test ! -e "$STATE/data/other"

printf '\n[service.postgresql]\nadmin = postgresql://joe:secret@db.example.com/\n' >>"$STATE/node.ini"
new_app third
commit_app 1 'service.postgresql ='
ok 'a password in node.ini, which everybody may read, is refused' must_fail push
ok '   with the line and what to do' said 'node\.ini:[0-9]+: \[service\.postgresql\]: everybody may read this file.*password_file'
ok '   and not repeated' must_fail said secret
done_testing
