#!/bin/sh
# silver verify: what differs from a commit is named, in every slot that a damaged file is shared by, and mended while
# the live release serves. About 20 s.
. "$(dirname "$0")/lib.sh"

kinds() { # ARGS...: "KIND PATH" lines of what verify finds
	silver verify "$APP" "$@" >"$TMP/verify.out" 2>"$TMP/verify.err" || true
	cat "$TMP/verify.out"
}
slots_that_differ() { # by JSON: how many
	silver verify "$APP" --all --json 2>/dev/null | python3 -c 'import json, sys; print(sum(not s["ok"] for s in json.load(sys.stdin)["slots"]))'
}
# The bytes of a file change, its size and times do not; every slot that links it has it.
flip_bits() {
	touch -r "$1" "$TMP/stamp"
	printf '\377' | dd of="$1" bs=1 count=1 conv=notrunc 2>/dev/null
	touch -r "$TMP/stamp" "$1"
}
live_slot() {
	echo "$STATE/apps/$APP/current/app"
}
every_slot_is_exact() {
	for es_release in "$STATE/apps/$APP/releases"/*; do
		es_tree=$(sed -n 's/^tree *= *//p' "$es_release/record.ini")
		equal "$(python3 "$HERE/tree-hash.py" "$es_release/app/")" "$es_tree" || return 1
	done
}
# fetches FILE all the time, one line an answer that is not 200, until $TMP/stop is there
watch_answers() {
	: >"$TMP/answers"
	while [ ! -e "$TMP/stop" ]; do
		wa_code=$(fetch_status "$1" 2>/dev/null) || wa_code=failed
		[ "$wa_code" = 200 ] && echo ok >>"$TMP/answers" || echo "$wa_code" >>"$TMP/answers.bad"
	done
}

start_silverd
new_app blog
mkdir -p "$REPO/static/deep/er" "$REPO/bin"
for i in 1 2 3 4 5; do echo "shared $i" >"$REPO/static/deep/er/$i"; done
echo tool >"$REPO/bin/tool"
chmod 755 "$REPO/bin/tool"
ln -s deep/er/1 "$REPO/static/link"
for version in 1 2 3; do
	commit_app "$version"
	push || bail "push $version failed"
	wait_until 20 settled || bail 'it does not settle'
done

ok 'verify of what is whole' silver verify blog
ok '  of one release' silver verify blog --release 1
ok '  of all slots' silver verify blog --all
ok 'status 2: one, and all' exits 2 silver verify blog --all --release 1
ok 'status 4: a release that is not there' exits 4 silver verify blog --release 9

S=$(live_slot)
rm "$S/static/version" "$S/static/link"
ln -s deep "$S/static/link"
echo more >"$S/static/deep/more"
chmod 644 "$S/bin/tool"
ok 'what differs is named' equal "$(kinds)" "$(printf '%s\n' 'mode     bin/tool' 'extra    static/deep/more' 'link     static/link' 'missing  static/version')"
ok '  status 1' exits 1 silver verify blog
ok '  and what mends it' said 'verify blog --repair' "$TMP/verify.err"
ok '  JSON' equal "$(silver verify blog --json 2>/dev/null | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ok"], len(d["findings"]))')" 'False 4'

flip_bits "$S/static/deep/er/3"
ok 'a file with another bit, shared by links, is named in each slot' test "$(slots_that_differ)" -ge 3
kinds --all >/dev/null
ok '  with the releases that lead there' said '^slot [0-9]+ of release [0-9]' "$TMP/verify.out"
ok '  in a kept release, too' exits 1 silver verify blog --release 1
watch_answers /deep/er/1 &
WATCH=$!
wait_until 20 test -s "$TMP/answers" || bail 'it does not answer'
ok '--repair mends them' silver verify blog --repair
touch "$TMP/stop"
wait "$WATCH"
ok '  and it served all the while' test ! -e "$TMP/answers.bad"
ok '  by a new release of the same commit' equal "$(live) $(record commit)" "4 $(git -C "$REPO" rev-parse HEAD)"
ok '  all slots are whole' silver verify blog --all
ok '  as git hashes them' every_slot_is_exact
ok '  it serves' serves 3
ok '  fsck agrees' wait_until 20 silver fsck
ok '--repair of what is whole changes nothing' silver verify blog --repair
ok '  no release more' equal "$(live)" 4
ok 'rolled back it serves what was mended' silver rollback blog 1
ok '  it does' equal "$(fetch /deep/er/3)" 'shared 3'
wait_until 20 settled || bail 'it does not settle'
commit_app 5
ok 'a push after that is whole' push
ok '  in all slots' wait_until 20 silver verify blog --all

# A spare slot that is damaged is what the next push would build on.
wait_until 20 settled || bail 'it does not settle'
flip_bits "$(live_slot)/static/deep/er/4"
ok 'redeploy mends what the live slot shares' silver redeploy blog
ok '  all slots are whole' wait_until 20 silver verify blog --all
commit_app 6
ok '  a push after that, too' push
ok '  all of it' silver verify blog --all

# A slot that is gone, of a release that is not live
wait_until 20 settled || bail 'it does not settle'
rm -rf "$(readlink -f "$STATE/apps/blog/previous/app")"
ok 'a slot that is gone is named' exits 1 silver verify blog --all
ok '  and laid out again' silver verify blog --repair
ok '  fsck agrees' wait_until 20 silver fsck

PLATFORM='exec'
new_app shop
commit_app 1
push || bail 'the push of a program failed'
flip_bits "$(live_slot)/static/file"
ok 'a program is mended by a release beside it' silver verify shop --repair
ok '  it is another one' equal "$(live)" 2
ok '  it serves' serves 1
ok '  all slots are whole' silver verify shop --all
ok '  fsck agrees' wait_until 20 silver fsck shop
done_testing
