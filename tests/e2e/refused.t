#!/bin/sh
# A push that cannot go live is refused with all its reasons; the live release keeps serving and the same commit can
# be pushed again when the cause is gone.
. "$(dirname "$0")/lib.sh"

unchanged() {
	equal "$(live)" "$was" && serves "$shown" && ref_is_live && nothing_half &&
		equal "$(app_git for-each-ref --format='%(refname)' refs/releases | wc -l)" "$releases"
}
ini() { # the app.ini of the next commit, from standard input
	cat >"$REPO/app.ini"
	git -C "$REPO" add -A
	git -C "$REPO" commit -q -m 'an app.ini'
}
back() {
	git -C "$REPO" reset -q --hard "$good"
}

start_silverd
new_app blog
commit_app 1
good=$(git -C "$REPO" rev-parse HEAD)
push || bail 'the first push failed'
wait_until 20 settled || bail 'it does not settle'
was=1 shown=1 releases=1

ini <<-'END'
	[production]
	platform = statik
	runer = src/app.py
	platform = static
	health = no-slash
END
ok '10 a bad app.ini is refused'                must_fail push
ok '  the unknown key, with file and line'      said "remote: .*app\.ini:3: unknown key 'runer' \(did you mean 'runner'\?\)"
ok '  and all other findings at once: line 2'   said 'app\.ini:2: '
ok '  line 4'                                   said 'app\.ini:4: '
ok '  line 5'                                   said 'app\.ini:5: '
ok '  the last line says what is live'          said 'nothing was changed; release 1 is live'
ok '12 the ref has not moved, live unchanged'   unchanged
back
ini <<-'END'
	[production]
	platform = static
	app_name = other
END
ok '10 another app_name is refused'             must_fail push
ok '  by its line'                              said 'app\.ini:3: '
back
git -C "$REPO" rm -q app.ini
git -C "$REPO" commit -qm 'no app.ini'
ok '10 no app.ini is refused'                   must_fail push
ok '  by name'                                  said 'app\.ini'
back
ini <<-'END'
	[production]
	platform = python
	runner = src/none.py
END
ok '10 a runner that is not in the tree'        must_fail push
ok '  is named with its line'                   said "app\.ini:3: .*src/none\.py"
ok '  live unchanged'                           unchanged
back

# 11: it starts, but it is not healthy
PLATFORM=python
commit_app 2 'health = /fail'
bad=$(git -C "$REPO" rev-parse HEAD)
ok '11 a release whose health page fails is refused' must_fail push
ok '  with what it answered'                    said '500'
ok '  live unchanged'                           unchanged
ok '  no release was made of it'                wait_until 20 test ! -e "$STATE/apps/blog/releases/2"
ok '  no process is left'                       wait_until 20 must_fail pgrep -f "$STATE.*releases/2"
git -C "$REPO" reset -q --hard "$bad"
ok '10 the same commit can be pushed again'     must_fail push
ok '  and is judged again'                      said '500'
back
commit_app 2
sed -i '1i import no_such_module_anywhere' "$REPO/src/app.py"
git -C "$REPO" commit -qam 'does not start'
ok '11 a release that does not start is refused' must_fail push
ok '  with the end of its output'               said "No module named .no_such_module_anywhere"
ok '  live unchanged'                           unchanged
back
PLATFORM='exec'
commit_app 2
printf '#!/bin/sh\necho cannot go on >&2\nexit 3\n' >"$REPO/src/server.py"
git -C "$REPO" commit -qam 'exits'
ok '11 a program that exits is refused'         must_fail push
ok '  with its status'                          said '3'
ok '  and its words'                            said 'cannot go on'
ok '  live unchanged'                           unchanged
back

# 10: the same commit, when the cause is gone. The cause: a file that the app waits for, outside the tree.
PLATFORM=python
commit_app 3 "health = /needs"
sed -i "s|    if path == \"/version\":|    if path == \"/needs\":\n        status = \"200 OK\" if os.path.exists(\"$TMP/cause\") else \"503 Service Unavailable\"\n    elif path == \"/version\":|" "$REPO/src/app.py"
git -C "$REPO" commit -qam 'needs a file'
sed -i 's/^health_ms.*//; s/^\[node\]/[node]\nhealth_ms = 4000/' "$STATE/node.ini"
stop_silverd || bail 'silverd did not stop'
start_silverd
ok '11 never healthy: refused when the time is over' must_fail push
ok '  with the last answer'                     said '503'
ok '  live unchanged'                           unchanged
: >"$TMP/cause"
ok '10 after the cause is gone the same commit lands' push
ok '12 and the app sees the right commit' \
	equal "$(fetch /env | python3 -c 'import json, sys; print(json.load(sys.stdin)["SILVER_COMMIT"])')" "$(git -C "$REPO" rev-parse HEAD)"
ok '25 failed attempts took no number'          equal "$(live)" 2
wait_until 20 settled
was=2 shown=3 releases=2 good=$(git -C "$REPO" rev-parse HEAD)

# 18, 19: names and URL forms
PLATFORM=static
commit_app 4
for name in '../x' 'x/../../etc' "a'b" 'a;id' '-x' 'Upper' "$(printf 'a%.0s' $(seq 64))" 'a b' 'a_b' '.' ''; do
	ok "18 the name '$name' is refused" must_fail git_node -C "$REPO" push "ssh://silver@127.0.0.1:$SSH_PORT/$name" HEAD:master
done
ok '18 none of them made an app'                equal "$(ls "$STATE/apps")" blog
APP=prod
ok '18 prod and prod-admin live beside each other' push
APP=prod-admin
commit_app 5
ok '  each with its own'                        push
ok '  content'                                  serves 5
APP=prod
ok '  content'                                  serves 4
cat >>"$TMP/ssh_config" <<-END
	Host node
		HostName 127.0.0.1
		Port $SSH_PORT
END
n=10
for form in node:prod node:prod.git node:/prod silver@node:prod.git "ssh://silver@node/prod" "ssh://node:$SSH_PORT/prod.git" 'ssh://silver@node/~/prod'; do
	commit_app $n
	ok "19 pushed to $form" git_node -C "$REPO" push -q "$form" HEAD:master
	ok '  it is live' serves $n
	n=$((n + 1))
done
git_node -C "$REPO" push node:prod/extra HEAD:master >/dev/null 2>"$TMP/push.err" || true
ok '19 a bad path gets a reason'                said 'prod/extra|app name|usage'
done_testing
