#!/bin/sh
# Release numbers, rollback, retention, verify: what went live has a number, and what is kept can come back.
. "$(dirname "$0")/lib.sh"

start_silverd
new_app blog
for i in 1 2 3; do
	commit_app $i
	push || bail "push $i failed"
done
inode() {
	stat -c %i "$STATE/apps/blog/slots/$(record slot "$1")/static/version"
}
in_1=$(inode 1)

ok '26 rollback makes the one before live'       verb rollback blog
ok '  it serves'                                 serves 2
ok '  release 2 itself, no new one'              equal "$(live)" 2
ok '  ref and live agree'                        ref_is_live
ok '26 rollback again returns'                   verb rollback blog
ok '  it serves'                                 serves 3
ok '26 rollback to a number'                     verb rollback blog 1
ok '  it serves'                                 serves 1
ok '  no file was moved'                         equal "$(inode 1)" "$in_1"
ok '  ref and live agree'                        ref_is_live
ok '26 activate takes a number'                  verb activate blog 3
ok '  it serves'                                 serves 3
ok '26 an unknown number gets a reason'          exits 4 verb activate blog 99
ok '  and nothing changes'                       serves 3
ok '26 a number that is none: usage'             exits 2 verb activate blog latest
ok '26 activate without a number: usage'         exits 2 verb activate blog
ok '26 rollback by push'                         push -f HEAD~1:master
ok '  it serves'                                 serves 2
ok '  the kept release, none is made'            equal "$(live)" 2
ok '  and forward'                               push HEAD:master
ok '  it serves'                                 serves 3

new_app one
commit_app 1
push || bail 'the first push of another app failed'
ok '26 none before: reason'                      must_fail verb rollback one
ok '  nothing changes'                           serves 1

new_app kept
sed -i 's/^keep.*//; s/^\[node\]/[node]\nkeep = 3/' "$STATE/node.ini"
stop_silverd
start_silverd
for i in 1 2 3; do
	commit_app $i
	push || bail "push $i failed"
done
mkdir "$STATE/apps/kept/releases/precious" "$STATE/apps/kept/releases/7x"
echo mine >"$STATE/apps/kept/releases/precious/file"
for i in 4 5 6 7 8; do
	commit_app $i
	push || bail "push $i failed"
done
numbers() {
	find "$STATE/apps/kept/releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*[!0-9]*' -printf '%f\n' | sort -n | xargs
}
three_are_kept() { equal "$(numbers)" '6 7 8'; }
ok '27 three are kept'                           wait_until 20 three_are_kept
ok '27 foreign directories are ignored'          test -e "$STATE/apps/kept/releases/precious/file"
listed() {
	equal "$(git_node ls-remote "$(url kept)" 'refs/releases/*' | sed 's|.*/||' | xargs)" '6 7 8'
}
ok '27 ls-remote lists the kept ones'            wait_until 20 listed
ok '27 not more slots than releases and one'     test "$(find "$STATE/apps/kept/slots" -mindepth 1 -maxdepth 1 -type d | wc -l)" -le 5
verb activate kept 6 >/dev/null
commit_app 9
push || bail 'push 9 failed'
wait_until 20 settled
ok '27 live and previous stay'                   test -e "$STATE/apps/kept/releases/6" -a -e "$STATE/apps/kept/releases/9"
ok '25 the number is one more than the highest that was live' equal "$(live)" 9
ok '27 rollback to the previous still works'     verb rollback kept
ok '  it serves'                                 serves 6

# 28: the slot of a kept release is gone
wait_until 20 settled
slot=$(record slot 8)
rm -rf "$STATE/apps/kept/slots/$slot" "$STATE/apps/kept/slots/$slot.ini"
ok '28 a kept release without its slot is laid out again' verb activate kept 8
ok '  it serves'                                 serves 8
ok '  its tree is exact'                         tree_is_exact HEAD~1

# 29: verify
wait_until 20 settled
ok '29 verify of what is right'                  verb verify kept
file=$STATE/apps/kept/current/app/static/version
printf 'X\n' >"$file"
ok '29 a changed byte fails'                     must_fail verb verify kept
verb verify kept >"$TMP/verify" 2>&1 || true
ok '  and is named'                              said 'static/version' "$TMP/verify"
printf '8\n' >"$file"
ok '  back again'                                verb verify kept
: >"$STATE/apps/kept/current/app/static/extra"
verb verify kept >"$TMP/verify" 2>&1 || true
ok '29 an extra file is named'                   said 'static/extra' "$TMP/verify"
rm "$STATE/apps/kept/current/app/static/extra"
chmod 755 "$file"
verb verify kept >"$TMP/verify" 2>&1 || true
ok '29 a changed mode is named'                  said 'static/version' "$TMP/verify"
chmod 644 "$file"
rm "$file"
verb verify kept >"$TMP/verify" 2>&1 || true
ok '29 a missing file is named'                  said 'static/version' "$TMP/verify"
ok '29 redeploy heals it'                        verb redeploy kept
ok '  verify agrees'                             verb verify kept
ok '  it serves'                                 serves 8

# 27: a release that still answers a request is not removed under it. 30: its code and its environment are one.
PLATFORM=python
new_app busy
commit_app 1
push || bail 'the first push of busy failed'
fetch "/wait?$TMP/go" --max-time 60 >"$TMP/waited" 2>&1 &
waiting=$!
ok '27 a request waits in release 1'             wait_until 20 sh -c "grep -rq 'waiting for $TMP/go' '$STATE/log/busy'"
for i in 2 3 4 5; do
	commit_app $i
	push || bail "push $i of busy failed"
done
wait_until 5 must_fail pgrep -f 'silver-deploy settle busy$' || true
ok '27 four releases later its files are there'  test -e "$STATE/apps/busy/releases/1/record.ini"
: >"$TMP/go"
wait $waiting || true
ok '   and its request is answered by it'        equal "$(cat "$TMP/waited")" 1
first_is_gone() { test ! -e "$STATE/apps/busy/releases/1"; }
commit_app 6
push || bail 'push 6 of busy failed'
ok '   then it goes'                             wait_until 40 first_is_gone
fetch /env >"$TMP/env.6"
told() { python3 -c 'import json, sys; e = json.load(open(sys.argv[1])); print(e["SILVER_RELEASE"], e["SILVER_COMMIT"])' "$1"; }
ok '30 the environment is that of the release'   equal "$(told "$TMP/env.6")" "6 $(record commit)"
ok '30 a rollback'                               verb rollback busy
fetch /env >"$TMP/env.5"
ok '30 brings back code'                         serves 5
ok '30 and environment together'                 equal "$(told "$TMP/env.5")" "5 $(record commit 5)"
done_testing
