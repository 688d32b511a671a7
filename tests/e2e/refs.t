#!/bin/sh
# What each kind of ref means: deployed, stored, or refused with what was meant; live is never touched by a mistake.
. "$(dirname "$0")/lib.sh"

unchanged() {
	equal "$(live)" "$was" && serves "$shown" && ref_is_live && nothing_half
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
was=1 shown=1
git -C "$REPO" checkout -q -b feature
commit_app feature

ok '2 another branch is stored'                      push feature
ok '  the output says that it is not deployed'       said 'not deployed'
ok '  it is in the repository'                       equal "$(app_git rev-parse refs/heads/feature)" "$(git -C "$REPO" rev-parse feature)"
ok '  live unchanged'                                unchanged
git -C "$REPO" tag v1 feature
git -C "$REPO" tag -a -m annotated v2 feature
ok '2 tags are stored'                               push v1 v2
ok '  the output says that they are not deployed'    said 'not deployed'
ok '  live unchanged'                                unchanged

ok '5 an annotated tag onto the branch is refused'   must_fail push 'refs/tags/v2:refs/heads/master'
ok '  names what would work'                         said 'v2\^\{commit\}|\^\{commit\}'
ok '  before anything is prepared'                   test ! -e "$STATE/apps/blog/releases/2"
ok '  live unchanged'                                unchanged
ok '5 a lightweight tag onto the branch works'       push -f 'v1:refs/heads/master'
ok '  and is live'                                   serves feature
was=$(live) shown=feature

ok '8 deletion of the deploy branch is refused'      must_fail push :master
ok '  with what to do instead'                       said 'destroy'
ok '  live unchanged'                                unchanged
ok '8 deletion of another branch is accepted'        push :feature
ok '  it is gone'                                    must_fail app_git rev-parse -q --verify refs/heads/feature
ok '  live unchanged'                                unchanged

git -C "$REPO" checkout -q -B master
commit_app 3
ok '9 refs/head/main is refused'                     must_fail push HEAD:refs/head/main
ok '  with what was meant'                           said 'refs/heads/main'
ok '9 refs/releases/9 is refused'                    must_fail push HEAD:refs/releases/9
ok '  with the reason'                               said 'refs/releases'
ok '9 deleting refs/releases/1 is refused'           must_fail push :refs/releases/1
ok '9 refs/nonsense/x is refused'                    must_fail push HEAD:refs/nonsense/x
ok '  live unchanged'                                unchanged

ok '7 --atomic with one bad ref changes nothing'     must_fail push --atomic HEAD:master HEAD:refs/releases/7
ok '  live unchanged'                                unchanged
ok '7 a bad ref beside a good one'                   must_fail push HEAD:master HEAD:refs/releases/7
ok '  live and ref agree all the same'               ref_is_live
shown=$(fetch /version) was=$(live)
commit_app 4
ok '7 several refs: the branch deploys once'         push HEAD:master HEAD:refs/heads/other HEAD:refs/tags/v4
ok '  one release more'                              equal "$(live)" $((was + 1))
ok '  it serves'                                     serves 4
ok '  the others are stored'                         app_git rev-parse -q --verify refs/heads/other
was=$(live) shown=4

# 7: a directory/file clash of names, which git itself would find only after pre-receive
ok '7 refs/heads/master/x clashes with the branch'   must_fail push HEAD:refs/heads/master/x
ok '  live unchanged'                                unchanged

commit_app 5
ok '20 -o plan refuses as plan only'                 must_fail push -o plan HEAD:master
ok '  says so'                                       said '[Pp]lan'
ok '  live unchanged'                                unchanged
ok '20 an unknown option is named'                   must_fail push -o plam HEAD:master
ok '  by its name'                                   said "plam"
ok '  live unchanged'                                unchanged

# what is stored was seen by no gate; to deploy it is another thing
git -C "$REPO" checkout -q -b hostile
ln -s ../../../../../../etc/passwd "$REPO/static/secret"
git -C "$REPO" add -A
git -C "$REPO" update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,vendor
git -C "$REPO" commit -qm 'what leads out of the tree'
ok '2 a hostile tree on another branch is stored'    push hostile
status=0
verb branch blog hostile >"$TMP/branch.out" 2>"$TMP/branch.err" || status=$?
ok '  it cannot become the deploy branch'            equal $status 1
ok '  with the link named'                           said 'static/secret: a link that leaves the tree' "$TMP/branch.err"
ok '  and the submodule'                             said 'vendor: a submodule' "$TMP/branch.err"
ok '  and how many there are'                        said 'cannot be deployed: 2 problems' "$TMP/branch.err"
ok '  the last line says what is live'               grep -q '^silver: nothing was changed; release [0-9]* is live$' "$TMP/branch.err"
ok '  the branch is what it was'                     equal "$(verb branch blog)" master
ok '  live unchanged'                                unchanged
app_git update-ref refs/heads/master "$(git -C "$REPO" rev-parse hostile)"
ok '2 put below the deploy branch by hand, it is not deployed' must_fail verb activate blog 99
ok '  the branch goes back, live unchanged'          unchanged
rm -f "$REPO/static/secret"
git -C "$REPO" checkout -q -f master

# 6: shallow
git clone -q --depth 1 "file://$REPO" "$TMP/work/shallow"
git -C "$TMP/work/shallow" commit -q --allow-empty -m 'from a shallow clone'
full=$REPO
REPO=$TMP/work/shallow
if push -f HEAD:master; then
	ok '6 a push from a shallow clone works'     ref_is_live
	ok '  wholly'                                app_git fsck --connectivity-only
else
	ok '6 a push from a shallow clone is refused early' said '--unshallow'
	ok '  live unchanged'                        unchanged
fi
# a shallow boundary that the server does not know
new_app fresh
git clone -q --depth 1 "file://$full" "$TMP/work/shallow2"
REPO=$TMP/work/shallow2
if push HEAD:master; then
	ok '6 a first push from a shallow clone works'          ref_is_live
	ok '  wholly'                                           app_git fsck --connectivity-only
else
	ok '6 a first push from a shallow clone is refused early' said '--unshallow'
	ok '  and nothing is live'                              test ! -e "$STATE/apps/fresh/current"
fi
ok 'everything that is stored is whole'              app_git fsck --connectivity-only
done_testing
