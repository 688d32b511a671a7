#!/bin/sh
# `git push -o stage`: proven and set aside, no branch moved; `silver activate` makes it live. Its processes are killed at
# each call that changes the disk. About 35 s.
. "$(dirname "$0")/lib.sh"

command -v strace >/dev/null || bail 'strace is missing'
. "$HERE/crash-hooks.sh"

staged_ref() { # N: refs/staged lists just that, "" for none
	equal "$(git_node ls-remote "$(url "$APP")" 'refs/staged/*' | sed 's|.*/||' | xargs)" "$1"
}
staged_in_json() {
	verb status "$APP" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["staged"])'
}
branch_is() {
	equal "$(app_git rev-parse "refs/heads/${2:-master}")" "$(git -C "$REPO" rev-parse "$1")"
}

# Files that a killed git leaves wait to be tidied; nothing else may be wrong.
undamaged() {
	silver fsck >"$TMP/fsck" 2>&1 || ! grep '^damage' "$TMP/fsck"
}

crash_hooks pre-receive proc-receive
start_silverd
PLATFORM=python
new_app blog
commit_app 1
push || bail 'the first push failed'

commit_app 2
ok '20 -o stage is taken'                           push -o stage
ok '  git says where it went'                       said 'new reference.*master -> refs/staged/2'
ok '  Silver says so too, and what to do'           said 'blog release 2 is staged .*silver activate blog 2'
ok '  and what is live'                             said 'release 1 is live'
ok '  live unchanged'                               serves 1
ok '  the branch has not moved'                     branch_is HEAD~1
ok '  ref and live agree'                           ref_is_live
ok '  git here knows of no moved branch'            equal "$(git -C "$REPO" for-each-ref refs/remotes)" ''
ok '20 it is listed as staged'                      equal "$(verb releases blog | grep -c '^++ *2 ')" 1
ok '  in JSON too'                                  equal "$(staged_in_json)" 2
ok '  git lists it'                                 staged_ref 2
no_staged_process() { ! grep -lqs "blog.2" /proc/[0-9]*/cmdline && test ! -e "$STATE/run/service/blog.2"; }
ok '20 nothing of it runs'                          wait_until 20 no_staged_process
wait_until 30 settled
ok '  fsck has nothing to say'                      silver fsck
ok '20 it is still there when all is tidied'        staged_ref 2
ok '20 rollback does not mean it'                   must_fail verb rollback blog
ok '20 activate makes it live'                      verb activate blog 2
ok '  it serves'                                    serves 2
ok '  the branch has moved'                         branch_is HEAD
ok '  it is a release as any other'                 tree_is_exact
wait_until 30 settled
ok '  and staged no more'                           staged_ref ''
ok '  git lists it as released'                     equal "$(app_git rev-parse refs/releases/2)" "$(git -C "$REPO" rev-parse HEAD)"
ok '26 rollback of it, and forward'                 verb rollback blog
ok '  it serves the old'                            serves 1
verb rollback blog >/dev/null 2>&1
ok '  and the new'                                  serves 2

# another push comes between
PLATFORM=static
commit_app 3
push || bail 'a plain push failed'
commit_app 4
push -o stage || bail 'staging failed'
ok '25 a staged one has the next number'            test -e "$STATE/apps/blog/releases/4/staged"
commit_app 5
ok '20 a push beside a staged release goes live'    push
ok '  it serves'                                    serves 5
ok '25 with a number of its own'                    equal "$(live)" 5
ok '20 activate is refused: the branch has moved'   exits 1 verb activate blog 4
verb activate blog 4 >"$TMP/out" 2>&1 || true
ok '  and says so'                                  said 'release 4 was staged when the deploy branch named [0-9a-f]{7}, and it names [0-9a-f]{7} now' "$TMP/out"
ok '  live unchanged'                               serves 5
commit_app 6
push -o stage || bail 'staging failed'
wait_until 30 settled
ok '20 the next -o stage replaces it'               staged_ref 6
ok '  wholly'                                       test ! -e "$STATE/apps/blog/releases/4"
ok '20 its number is unknown then'                  exits 4 verb activate blog 4
git -C "$REPO" commit -q --allow-empty -m 'refused' && printf 'nonsense = 1\n' >>"$REPO/app.ini" && git -C "$REPO" commit -qam bad
ok '20 what the gate refuses is not staged'         must_fail push -o stage
ok '  with the reason'                              said "app.ini:.*unknown key 'nonsense'"
ok '  and the one before stays'                     staged_ref 6
git -C "$REPO" reset -q --hard HEAD~2
ok '20 another branch cannot be staged'             must_fail push -o stage HEAD:other
ok '  and the reason is told'                       said 'o stage is for the deploy branch'
ok '  nor two refs'                                 must_fail push -o stage HEAD:master HEAD:other
ok '9 refs/staged is the server'"'"'s'              must_fail push HEAD:refs/staged/9
ok '  which says so'                                said 'git push -o stage'
ok '20 an unknown option is named'                  must_fail push -o stagge
ok '  with what was meant'                          said "unknown push option 'stagge'.*did you mean 'stage'"
ok '20 -o plan stages nothing'                      must_fail push -o plan -o stage
ok '  and the staged one stays'                     staged_ref 6
# long ago: the record says when
sed -i "s/^when = .*/when = $(($(date +%s) - 8 * 24 * 3600))/" "$STATE/apps/blog/releases/6/record.ini"
ok '20 after a week it is unknown'                  exits 4 verb activate blog 6
wait_until 30 settled
ok '  and gone'                                     test ! -e "$STATE/apps/blog/releases/6"
ok '  with its ref'                                 staged_ref ''

# the first push of an app
new_app fresh
commit_app 1
ok '20 the first push of an app can be staged'      push -o stage HEAD:main
ok '  nothing is live'                              said 'nothing is live yet'
ok '  nothing answers'                              equal "$(fetch_status /version)" 404
ok '  and there is no branch'                       equal "$(app_git for-each-ref refs/heads)" ''
wait_until 30 settled
ok '20 activate makes it live'                      verb activate fresh 1
ok '  it serves'                                    serves 1
ok '  main is the deploy branch'                    equal "$(verb branch fresh)" main
ok '  ref and live agree'                           ref_is_live
commit_app 2
ok '  the next push works'                          push HEAD:main
ok '  and serves'                                   serves 2

# killed anywhere: staged or not, never live
APP=blog
REPO=$TMP/work/blog
n=10
wait_until 30 settled
push || bail 'a plain push failed'
was=$(live)
sweep() { # HOOK
	k=0
	while [ $k -lt 60 ]; do
		k=$((k + 1)) n=$((n + 1))
		wait_until 20 settled
		commit_app $n
		crash_at "$1" $k
		if push -o stage; then
			crash_never "$1"
			break
		fi
		crash_never "$1"
		crashed || {
			ok "20 $1: a push that was not killed is staged" false
			break
		}
		wait_until 20 settled
		ok "20 $1 killed at call $k ($(crash_place)): live unchanged" equal "$(live)" "$was"
		ok '     ref and live agree'                ref_is_live
		aside=$(verb status blog --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["staged"] or "")')
		ok '     what is listed as staged is'       staged_ref "$aside"
		nothing_else() { equal "$(find "$STATE/apps/blog/releases" -mindepth 2 -maxdepth 2 -name record.ini -newer "$REPO/.git/index" | grep -cv "/${aside:-none}/")" 0; }
		ok '     and nothing else is left'          nothing_else
		ok '     fsck finds no damage'              undamaged
	done
	ok "20 $1 ran through after $((k - 1)) kills"   test $k -gt 2 -a $k -lt 60
}
sweep pre-receive
sweep proc-receive
wait_until 20 settled
aside=$(staged_in_json)
ok '20 what was staged in the end goes live'        verb activate blog "$aside"
ok '  and serves'                                   serves $n
ok '  wholly'                                       tree_is_exact
ok '  nothing is left half'                         nothing_half
ok '29 verify is clean'                             verb verify blog
done_testing
