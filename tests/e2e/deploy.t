#!/bin/sh
# `silver deploy`: the working tree goes live as it is, what is not committed and checkouts in it included, and nothing that
# git keeps for the developer is changed.
. "$(dirname "$0")/lib.sh"

unset SILVER_NODE SILVER_DIR GIT_SSH 2>/dev/null || true

dev() { # WORDS...: silver in the checkout, as its developer
	(cd "$REPO" && GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/admin" timeout 120 "$USR/bin/silver" "$@" </dev/null) >"$TMP/out" 2>&1
}
says() {
	said "$1" "$TMP/out"
}
# All that is the developer's: HEAD, refs, index, files with their times; not the objects.
theirs() {
	(cd "$REPO" && cat .git/HEAD && git for-each-ref && cksum .git/index 2>/dev/null
	find . -path ./.git -prune -o -path '*/.git' -prune -o -printf '%p %y %m %s %T@\n' | LC_ALL=C sort)
}
unchanged() {
	equal "$(theirs)" "$before"
}
served_tree_is() { # DIR: the live files are those of DIR, without what belongs to git
	diff -r -x .git "$1" "$STATE/apps/$APP/current/app/"
}
live_commit() {
	app_git rev-parse "$(app_git symbolic-ref HEAD)"
}

start_silverd
new_app blog
ok 'why of an app that nobody made'               exits 4 dev why
commit_app 1
printf '*.tmp\n/cache/\n' >"$REPO/.gitignore"
before=$(theirs)
ok 'deploy of an app that nobody has pushed yet'  dev deploy
ok '  it is served, though not all is committed'  serves 1
ok '  .gitignore too'                             test -e "$STATE/apps/blog/current/app/.gitignore"
ok '  HEAD, index and files are untouched'        unchanged
ok '  the commit has HEAD as its parent'          equal "$(live_commit)" "$(git -C "$REPO" rev-parse "$(live_commit)")"
ok '  which is so'                                equal "$(app_git rev-parse "$(live_commit)^")" "$(git -C "$REPO" rev-parse HEAD)"
ok '  releases tell what it is'                   dev releases
ok '  with what it was made on'                   says '1 file not committed, on: version 1'
ok 'the same again: nothing to do'                dev deploy
ok '  and says so'                                says 'this is live already'
ok '  no release'                                 equal "$(live)" 1

# everything that a working tree may hold
git -C "$REPO" add -A
git -C "$REPO" commit -qm ignore
echo 2 >"$REPO/static/version"                  # changed
echo staged >"$REPO/static/staged"
git -C "$REPO" add static/staged
echo later >"$REPO/static/staged"               # and changed behind the index
echo new >"$REPO/static/with blank
and newline"
mkdir "$REPO/cache" && echo no >"$REPO/cache/x" && echo no >"$REPO/x.tmp"
ln -s version "$REPO/static/link"
printf '#!/bin/sh\n' >"$REPO/static/run.sh" && chmod 755 "$REPO/static/run.sh"
git -C "$REPO" config core.untrackedCache true
git init -q "$REPO/lib"                          # a checkout in the tree, one commit and one change
mkdir "$REPO/lib/pkg" && echo lib >"$REPO/lib/pkg/a" && echo '*.o' >"$REPO/lib/.gitignore" && echo no >"$REPO/lib/b.o"
git -C "$REPO/lib" add -A && git -C "$REPO/lib" commit -qm lib && echo changed >"$REPO/lib/pkg/a"
git init -q "$REPO/lib/deep" && echo deep >"$REPO/lib/deep/d" # one in that, without any commit
before=$(theirs)
ok 'deploy --check'                               dev deploy --check
ok '  says what would change'                     says 'plan only'
ok '  and changes nothing'                        serves 1
ok '  here neither'                               unchanged
ok 'deploy of it all'                             dev deploy
ok '  HEAD, index and files are untouched'        unchanged
cp -a "$REPO" "$TMP/expected"
rm -rf "$TMP/expected/cache" "$TMP/expected/x.tmp" "$TMP/expected/lib/b.o"
rmdir "$TMP/expected/src" # git knows of no empty directory
ok '  every file is there, ignored ones are not'  served_tree_is "$TMP/expected"
ok '  it is served'                               serves 2
ok '  ref and live agree'                         ref_is_live
mkdir "$REPO/sub" && echo 1 >"$REPO/sub/f"
before=$(theirs)
ok 'from a directory below the top: all of it'    sh -c "cd '$REPO/sub' && GIT_SSH_COMMAND='ssh -F $TMP/ssh_config -i $TMP/keys/admin' '$USR/bin/silver' deploy"
ok '  it is there'                                test -e "$STATE/apps/blog/current/app/sub/f"
ok 'a removed file is gone'                       rm "$REPO/static/run.sh"
ok '  after update, the old name'                 dev update
ok '  there'                                      test ! -e "$STATE/apps/blog/current/app/static/run.sh"

# the way back to commits
git -C "$REPO" rm -q --cached -r lib 2>/dev/null || true
rm -rf "$REPO/lib/.git" "$REPO/lib/deep/.git"
git -C "$REPO" add -A
git -C "$REPO" commit -qm 'all of it'
ok 'what was sent may be followed by its commit'  dev push
ok '  which is the live one'                      equal "$(live_commit)" "$(git -C "$REPO" rev-parse HEAD)"
ok 'a clean tree: deploy is a push'               dev deploy
ok '  of HEAD itself'                             says 'as committed'
ok '  ref and live agree'                         ref_is_live
ok 'plain git goes on'                            push HEAD:master

# what must not be lost
git clone -q "$REPO" "$TMP/other"
echo theirs >"$TMP/other/static/theirs"
git -C "$TMP/other" add -A
git -C "$TMP/other" commit -qm "a colleague's"
git_node -C "$TMP/other" push -q "$(url blog)" HEAD:master
was=$(live_commit)
echo 3 >"$REPO/static/version"
ok 'what a colleague pushed is not replaced'      exits 1 dev deploy
ok '  it is named'                                says "'master' on 127.0.0.1:$SSH_PORT is at $(echo "$was" | cut -c1-7)"
ok '  with what helps'                            says 'git fetch silver.*--force'
ok '  live unchanged'                             equal "$(live_commit)" "$was"
ok 'deploy --force does'                          dev deploy --force
ok '  it serves'                                  serves 3

# what is refused before anything is sent
git -C "$REPO" commit -qam three
git -C "$REPO" checkout -qb side HEAD~1 && echo 4 >"$REPO/static/version" && git -C "$REPO" commit -qam side
git -C "$REPO" checkout -q master
git -C "$REPO" merge -q side >/dev/null 2>&1 || true
before=$(theirs)
ok 'a merge that is not finished'                 exits 1 dev deploy
ok '  names the file'                             says "a merge is not finished: 'static/version'"
ok '  nothing here is changed'                    unchanged
git -C "$REPO" merge --abort
git -C "$REPO" update-index --add --cacheinfo "160000,$(git -C "$REPO" rev-parse HEAD),vendor"
mkdir "$REPO/vendor"
ok 'a submodule that is not checked out'          exits 1 dev deploy
ok '  names it and what helps'                    says "submodule 'vendor' is not checked out; .git submodule update"
git -C "$REPO" rm -q --cached vendor
rmdir "$REPO/vendor"
printf 'nonsense = 1\n' >>"$REPO/app.ini"
was=$(live)
ok 'what the node refuses'                        exits 1 dev deploy
ok '  with its reason'                            says "app.ini:.*unknown key 'nonsense'"
ok '  live unchanged'                             equal "$(live)" "$was"
ok 'why says it again'                            dev why
ok '  with what it was, and whose'                says "UTC: push of [0-9a-f]{7} to master, by admin"
ok '  every word'                                 says "app.ini:.*unknown key 'nonsense'"
ok '  to its end'                                 says 'nothing was changed; release [0-9]+ is live'
ok '  --check says it too'                        exits 1 dev deploy --check
dev why --json
ok '  which is no attempt'                        equal "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["what"].split()[0])' <"$TMP/out")" push
settled_and_sound() {
	silver fsck blog
}
ok '  fsck has nothing to say'                    wait_until 60 settled_and_sound
git -C "$REPO" checkout -q app.ini
ok 'what was mended goes live'                    dev deploy
ok '  and why says so'                            dev why
ok '  which release'                              says 'since then release [0-9]+ went live'
ok 'no checkout: what makes one'                  exits 4 dev deploy /
ok '  is said'                                    says 'silver init'
ok 'too many words: usage'                        exits 2 dev deploy a b
ok 'the node gone: neither done nor changed'      exits 1 dev --node 127.0.0.1:1 deploy
ok 'no temporary is left'                         equal "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'silver-??????' -user "$(id -un)" -newer "$TMP/expected")" ''
done_testing
