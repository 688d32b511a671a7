#!/bin/sh
# silver fsck: a sound node has no finding; each thing that is damaged is named, by where it is and by the rule it
# breaks; what an interrupted push leaves is told apart, and gone after the next recovery. About 25 s.
# shellcheck disable=SC2016,SC2034 # what is broken is a string that broken_in_copy evaluates, with its $A and $D
. "$(dirname "$0")/lib.sh"

fsck() {
	silver fsck "$@" >"$TMP/fsck.out" 2>&1
}
sound() {
	fsck_status=0
	fsck || fsck_status=$?
	[ "$fsck_status" -eq 0 ] || cat "$TMP/fsck.out"
	return "$fsck_status"
}
# finds STATUS PATTERN: fsck ends so, and one line matches
finds() {
	exits "$1" fsck && said "$2" "$TMP/fsck.out"
}
# broken 'what' STATUS PATTERN 'BREAK' ['MEND']: in a copy of the stopped node; only this is found there
broken() {
	rm -rf "$TMP/node2"
	cp -a "$STATE" "$TMP/node2"
	A=$TMP/node2/apps/blog
	D=$TMP/node2
	ok "$1" broken_in_copy "$2" "$3" "$4"
	FINDINGS=1
}
broken_in_copy() {
	eval "$3" || return 1
	bc_status=0
	"$USR/bin/silver" --dir "$TMP/node2" fsck >"$TMP/fsck.out" 2>&1 || bc_status=$?
	equal "$(grep -cE '^(damage|pending) ' "$TMP/fsck.out")" "$FINDINGS" || {
		cat "$TMP/fsck.out"
		return 1
	}
	equal "$bc_status" "$1" || return 1
	said "$2" "$TMP/fsck.out"
}
FINDINGS=1 # how many the next one has
own() { # FILE...: as the app's owner would have made it
	[ "$(id -u)" -ne 0 ] || chown -h --reference="$A/repo.git" "$@"
}

start_silverd
ok 'a node without an app is sound' sound
new_app blog
for version in 1 2 3; do
	commit_app "$version"
	push || bail "push $version failed"
done
new_app empty
verb create empty >/dev/null
APP=blog REPO=$TMP/work/blog
ok 'after three pushes and a create it is sound' wait_until 20 sound
ok 'of one app, too, over ssh' verb fsck blog
ok '  and on the node' silver fsck blog
ok 'status 4: no such app' exits 4 silver fsck nothere
ok 'JSON' equal "$(silver fsck --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ok"], d["findings"], [(a["app"], a["findings"]) for a in d["apps"]])')" \
	"True [] [('blog', []), ('empty', [])]"
new_key reader
add_user reader --role deploy
KEY='reader'
ok 'it is an admin'\''s: it names what everybody has' exits 5 verb fsck
KEY='admin'
echo secret | silver key set maps >/dev/null || bail 'there is no key'
silver key grant maps blog >/dev/null || bail 'it is not granted'
"$USR/lib/silver/silver-root" --dir "$STATE" provision blog files '' || bail 'there is no service'
silver backup blog kept.tar.zst >/dev/null || bail 'there is no backup'
ok 'with a key, a service and a backup it is sound' sound
ok 'rolled back it is sound' silver rollback blog
ok '  it is' wait_until 20 sound
wait_until 20 settled || bail 'it does not settle'
stop_silverd || bail 'silverd does not stop'
ok 'a node that does not run is looked at, too' sound

broken 'names: one that is not ours, in the node' 1 'damage +stray: nothing of this name' 'touch "$D/stray"'
broken 'names: one in the app' 1 'damage +apps/blog/stray: ' 'touch "$A/stray"'
broken 'names: one among the releases' 1 'damage +apps/blog/releases/07: ' 'mkdir "$A/releases/07"'
broken 'names: one in a release' 1 'damage +apps/blog/releases/2/stray: ' 'touch "$A/releases/2/stray"'
broken 'names: one among the slots' 1 'damage +apps/blog/slots/old: ' 'mkdir "$A/slots/old"'
broken 'names: one in the repository' 1 'damage +apps/blog/repo.git/shallow: ' 'touch "$A/repo.git/shallow"'
FINDINGS=2
broken 'links: current leads nowhere' 1 'damage +apps/blog/current: release 9 is not there' 'ln -sfn releases/9 "$A/current"; own "$A/current"'
broken 'links: previous leads elsewhere' 1 "damage +apps/blog/previous: it leads to '/etc'" 'ln -sfn /etc "$A/previous"; own "$A/previous"'
FINDINGS=2
broken 'links: current is a directory' 1 'damage +apps/blog/current: it is not a symlink' 'rm "$A/current"; mkdir "$A/current"'
FINDINGS=2
broken 'links: no current' 1 'damage +apps/blog/current: it is not there' 'rm "$A/current"'
FINDINGS=2
broken 'records: the live one was not accepted' 1 'damage +apps/blog/current: release 2 has no' 'rm "$A/releases/2/live"'
broken 'records: gone' 1 'damage +apps/blog/releases/3/record.ini: it is not there' 'rm "$A/releases/3/record.ini"; git --git-dir="$A/repo.git" update-ref -d refs/releases/3; rm "$A/previous"'
broken 'records: cut' 1 'damage +apps/blog/releases/1/record.ini: ' ': >"$A/releases/1/record.ini"'
broken 'records: of another release' 1 'damage +apps/blog/releases/1/record.ini: it says 5' 'sed -i "s/^number = .*/number = 5/" "$A/releases/1/record.ini"; own "$A/releases/1/record.ini"'
broken 'records: another tree than the commit' 1 'damage +apps/blog/releases/1/record.ini: commit .* has tree' \
	't=$(sed -n "s/^tree = //p" "$A/releases/3/record.ini"); sed -i "s/^tree = .*/tree = $t/" "$A/releases/1/record.ini"; sed -i "s/^tree = .*/tree = $t/" "$A/slots/$(basename "$(readlink "$A/releases/1/app")").ini"; own "$A"/releases/1/record.ini "$A"/slots/*.ini'
broken 'records: env was changed' 1 'damage +apps/blog/releases/2/env: its digest' 'printf "X=1\0" >>"$A/releases/2/env"'
broken 'slots: the link leads to another one' 1 'damage +apps/blog/releases/1/app: it leads to slot 77' 'ln -sfn ../../slots/77 "$A/releases/1/app"; own "$A/releases/1/app"'
broken 'slots: one in use is offered' 1 'damage +apps/blog/releases/2/app: slot [0-9]* is named as free' 'ln -sfn "1 $(basename "$(readlink "$A/releases/2/app")")" "$A/slots/index"; own "$A/slots/index"'
broken 'slots: dirty under the live release' 1 'damage +apps/blog/releases/2/app: slot [0-9]*: ' 'rm "$A/slots/$(basename "$(readlink "$A/releases/2/app")").ini"'
broken 'slots: dirty under a kept one, which is laid out when it is activated' 3 'pending +apps/blog/releases/1/app: slot [0-9]*: ' 'rm "$A/slots/$(basename "$(readlink "$A/releases/1/app")").ini"'
broken 'slots: clean, and not what the release is' 1 'damage +apps/blog/releases/1/app: slot [0-9]* holds tree' \
	'i=$A/slots/$(basename "$(readlink "$A/releases/1/app")").ini; sed -i "s/^tree = .*/tree = $(sed -n "s/^tree = //p" "$A/releases/3/record.ini")/" "$i"; own "$i"'
FINDINGS=2
broken 'slots: the directory is gone' 1 'damage +apps/blog/slots/[0-9]*.ini: there is no slot' 'rm -rf "$A/slots/$(basename "$(readlink "$A/releases/1/app")")"'
broken 'refs: HEAD and the live release disagree' 1 'damage +apps/blog/current: release 2 is live, and HEAD' \
	'git --git-dir="$A/repo.git" update-ref HEAD refs/releases/3; own "$A/repo.git/refs/heads/master"'
broken 'refs: a release has none' 3 'pending +apps/blog/repo.git/refs/releases/1: ' 'git --git-dir="$A/repo.git" update-ref -d refs/releases/1'
broken 'refs: one of no release' 3 'pending +apps/blog/repo.git/refs/releases/8: ' 'git --git-dir="$A/repo.git" update-ref refs/releases/8 HEAD; own "$A/repo.git/refs/releases/8"'
broken 'refs: one names another commit' 1 'damage +apps/blog/repo.git/refs/releases/1: it names' 'git --git-dir="$A/repo.git" update-ref refs/releases/1 refs/releases/3; own "$A/repo.git/refs/releases/1"'
broken 'objects: a commit is gone' 1 'damage +apps/blog/releases/1/record.ini: ' \
	'c=$(sed -n "s/^commit = //p" "$A/releases/1/record.ini"); cd "$A/repo.git"; mkdir "$TMP/p"; for p in objects/pack/*.pack; do mv "$p" "$TMP/p/"; rm "${p%.pack}".*; done; for p in "$TMP"/p/*.pack; do git unpack-objects -q <"$p"; done; rm -rf "$TMP/p"; rm "objects/$(echo "$c" | sed "s,^..,&/,")"; cd "$TMP"; own -R "$A/repo.git"'
broken 'locations: one leads to no app' 1 'damage +hosts/x.localhost: there is no app' 'ln -s ../apps/gone/current "$D/hosts/x.localhost"'
broken 'locations: none' 3 'pending +apps/empty: no location' 'rm "$D/hosts/empty.localhost"'
broken 'users: one that is wrong' 1 'damage +users/admin: ' 'echo "[user" >"$D/users/admin"'
broken 'data of no app' 3 'pending +data/other: ' 'mkdir "$D/data/other"'
broken 'keys: one without a value' 1 'damage +keys/maps/value: it is not there' 'rm "$D/keys/maps/value"'
broken 'keys: what is none' 1 'damage +keys/maps/stray: ' 'touch "$D/keys/maps/stray"'
broken 'keys: readable' 1 'damage +keys/maps/value: its mode' 'chmod 644 "$D/keys/maps/value"'
broken 'keys: granted to no app' 3 'pending +keys/maps/apps/gone: there is no such app' '(umask 077; touch "$D/keys/maps/apps/gone")'
broken 'keys: a copy is missing' 3 'pending +data/blog/keys/maps: it is not there' 'rm "$D/data/blog/keys/maps"'
broken 'keys: a copy that was not granted' 1 'damage +data/blog/keys/other: it was not granted' 'cp -p "$D/data/blog/keys/maps" "$D/data/blog/keys/other"'
broken 'keys: one half removed' 3 'pending +keys/.maps.new: a key that' 'mkdir "$D/keys/.maps.new"'
broken 'services: a record is cut' 1 'damage +apps/blog/services/files: ' 'echo x >"$A/services/files"'
broken 'services: a record is readable' 1 'damage +apps/blog/services/files: its mode' 'chmod 644 "$A/services/files"'
broken 'services: one that there is not' 1 'damage +apps/blog/services/Couch: nothing of this name' 'touch "$A/services/Couch"'
broken 'services: a rotation of nothing' 3 'pending +apps/blog/services/redis.old: there is no record' 'touch "$A/services/redis.old"'
broken 'servers: one half made' 3 'pending +services/redis: it has no command' 'mkdir "$D/services/redis"'
broken 'servers: one without data' 1 'damage +services/redis/data: it is not there' 'mkdir "$D/services/redis"; touch "$D/services/redis/command"'
broken 'servers: what is none' 1 'damage +services/Stray: ' 'touch "$D/services/Stray"'
broken 'backups: one half written' 3 'pending +data/blog/backups/[.]x.tar.zst.new: ' 'touch "$D/data/blog/backups/.x.tar.zst.new"'
broken 'log of an app is gone' 1 'damage +log/blog: it is not there' 'rm -rf "$D/log/blog"'
broken 'modes: the repository is open' 1 'damage +apps/blog/repo.git: its mode is 0755' 'chmod 755 "$A/repo.git"'
broken 'modes: the host key is readable' 1 'damage +ssh/host_ed25519: its mode' 'chmod 644 "$D/ssh/host_ed25519"'
broken 'modes: run/ is shut' 1 'damage +apps/blog/releases/2/run: its mode' 'chmod 700 "$A/releases/2/run"'
if [ "$(id -u)" -eq 0 ]; then
	broken 'owners: a release that root made' 1 'damage +apps/blog/releases/2: it belongs to 0:0' 'chown 0:0 "$A/releases/2"'
	broken 'owners: a repository that is root'\''s' 1 'damage +apps/blog/repo.git: it belongs to user 0' 'chown 0:0 "$A/repo.git"'
	broken 'owners: data that the owner has' 1 'damage +data/blog: it belongs to' 'chown --reference="$A/repo.git" "$D/data/blog"'
	broken 'owners: nginx cannot pass' 1 'damage +apps/blog: it has no such entry' 'setfacl -b "$A"; chmod 750 "$A"'
else
	skip 'owners' 'only root can give files away'
fi

# What interrupted steps leave: pending, and gone after the next start.
broken 'pending: a half release, a half write, trash, a lock, a stray pack' 3 'pending +apps/blog/slots/.trash-3-1: ' '
	mkdir "$A/releases/4.new" "$A/slots/.trash-3-1"; touch "$A/.next.new" "$A/repo.git/refs/heads/master.lock" "$A/repo.git/HEAD.lock"
	own "$A/releases/4.new" "$A/slots/.trash-3-1" "$A/.next.new" "$A/repo.git/refs/heads/master.lock" "$A/repo.git/HEAD.lock"
	FINDINGS=5'
broken 'pending: next, and the branch names its commit' 3 'pending +apps/blog/next: release 3 was accepted' \
	'ln -s releases/3 "$A/next"; git --git-dir="$A/repo.git" update-ref HEAD refs/releases/3; own "$A/next" "$A/repo.git/refs/heads/master"'
broken 'pending: next, and it does not' 3 'pending +apps/blog/next: release 3 was not accepted' 'ln -s releases/3 "$A/next"; own "$A/next"'
A=$STATE/apps/blog
mkdir "$A/releases/4.new" "$A/slots/.trash-3-1"
touch "$A/.next.new" "$A/repo.git/refs/heads/master.lock"
ln -s releases/3 "$A/next"
own "$A/releases/4.new" "$A/slots/.trash-3-1" "$A/.next.new" "$A/repo.git/refs/heads/master.lock" "$A/next"
git --git-dir="$A/repo.git" update-ref -d refs/releases/1
ok 'all of that at once is pending' finds 3 'pending +apps/blog/next: '
start_silverd
ok '  and gone when silverd has started again' wait_until 20 sound
done_testing
