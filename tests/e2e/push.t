#!/bin/sh
# First pushes, what the pusher sees, older commits, the same commit again.
. "$(dirname "$0")/lib.sh"

start_silverd
new_app blog
commit_app 1
first=$(git -C "$REPO" rev-parse HEAD)
ok '1 the first push to an unknown app succeeds'         push
ok '1 it answers over HTTP when the push has returned'   serves 1
ok '1 the last word says what is live and where'         said "silver: blog release 1 is live at http://blog\.localhost:$HTTP_PORT"
ok '1 ls-remote lists the release' \
	equal "$(git_node ls-remote "$(url blog)" 'refs/releases/*')" "$(printf '%s\trefs/releases/1' "$first")"
ok '1 the branch and HEAD are there' \
	equal "$(git_node ls-remote "$(url blog)" HEAD refs/heads/master | sort -k2)" "$(printf '%s\tHEAD\n%s\trefs/heads/master' "$first" "$first")"
ok '24 no .git in the slot'                              test ! -e "$STATE/apps/blog/current/app/.git"
ok 'ref and live agree'                                  ref_is_live

commit_app 2
ok 'a second push goes live'                             push
ok '  it serves the new version'                         serves 2
ok '  it says how many files changed'                    said 'release 2 is live at .*\([0-9 ]+ ms; 1 of 2 files changed\)'

# the account of that push: on the line before the last word, and in the record
account=$(sed -n 's/^remote: silver: \(received .*[ms]\) *$/\1/p' "$TMP/push.err")
sum_ms() { # of all the times in a text
	echo "$1" | tr ',' '\n' | awk '{ s += $(NF - 1) * ($NF == "s" ? 1000 : 1) } END { printf "%d", s }'
}
adds_up() {
	au_whole=$(sed -n 's/.*(\([0-9.]*\) ms; .*/\1/p' "$TMP/push.err")
	au_sum=$(sum_ms "$account")
	au_off=$((au_sum - ${au_whole%.*}))
	echo "$au_sum of $au_whole: $account"
	[ "${au_off#-}" -le 5 ]
}
ok 'it gives an account of itself' equal "$(echo "$account" | sed 's/[0-9.]* ms/T/g')" \
	'received T, checked T, 1 of 2 files T, synced T, accepted T, live T'
ok '  the parts are the whole'                           adds_up
ok '  the record keeps it'                               grep -Eq '^received_us *= *[0-9]{4,}$' "$STATE/apps/blog/releases/2/times.ini"
verb status blog >"$TMP/status"
ok '  status shows it'                                   said '^  took +[0-9.]+ ms: received .* ms, checked .*, live .* ms$' "$TMP/status"
verb releases blog --json >"$TMP/releases"
ok '  releases --json too'                               said '"live_us": *[1-9]' "$TMP/releases"

ok '13 the same commit again: git says so'               push
ok '  up to date'                                        said 'Everything up-to-date'
ok '  and nothing new is live'                           equal "$(live)" 2
ok '13 redeploy deploys it again'                        verb redeploy blog
ok '  as release 3'                                      equal "$(live)" 3
ok '  with the same commit'                              equal "$(record commit)" "$(git -C "$REPO" rev-parse HEAD)"
ok '  and it serves'                                     serves 2

ok '4 an older commit without force: git refuses, or it is refused' must_fail push "$first:master"
ok '4 an older commit with force goes live'              push -f "$first:master"
ok '  its content is served'                             serves 1
ok '  ref and live agree'                                ref_is_live
ok '  it is that commit'                                 equal "$(record commit)" "$first"
ok '  the account of a kept release: no file moved'     said 'silver: received .*, no file moved .*, live .* ms'
ok '4 the branch again: forward'                         push HEAD:master
ok '  its content is served'                             serves 2
ok '  ref and live agree'                                ref_is_live

printf '[production]\r\nplatform = static\r\n' >"$REPO/app.ini"
git -C "$REPO" commit -qam 'CRLF'
ok '24 an app.ini with CRLF works'                       push
ok '  and goes live'                                     ref_is_live

# 3: which branch deploys
new_app second
commit_app 1
ok '3 the first of master and main that is pushed wins: main' push HEAD:main
ok '  it is live'                                        serves 1
ok '  HEAD names it'                                     equal "$(app_git symbolic-ref HEAD)" refs/heads/main
commit_app 2
ok '3 then master is only stored'                        push HEAD:master
ok '  and the output says so'                            said 'not deployed'
ok '  live is unchanged'                                 serves 1
ok '3 the deploy branch can be set'                      verb branch second master
ok '3 and says what it is'                               equal "$(verb branch second | grep -o 'master')" master

new_app third
commit_app 1
ok '3 an unknown app and a branch that does not deploy: told so' push HEAD:feature
ok '  not deployed'                                      said 'not deployed'
ok '  nothing is live'                                   test ! -e "$STATE/apps/third/current"
ok '  the page of an app without release is no 200'      must_fail equal "$(fetch_status /version)" 200
ok '  then the deploy branch'                            push HEAD:master
ok '  is live'                                           serves 1
ok 'nothing is left half'                                nothing_half
done_testing
