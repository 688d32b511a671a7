#!/bin/sh
# The command line where one develops: `silver init`, `silver remote`, and verbs inside a checkout, whose git remote says
# which node and which app is meant.
. "$(dirname "$0")/lib.sh"

unset SILVER_NODE SILVER_DIR GIT_SSH_COMMAND GIT_SSH 2>/dev/null || true

here() { # DIR WORDS...: silver in DIR
	he_dir=$1
	shift
	(cd "$he_dir" && timeout 120 "$USR/bin/silver" "$@" </dev/null) >"$TMP/out" 2>&1
}
says() { # PATTERN: the last `here` said so
	said "$1" "$TMP/out"
}
untouched() { # a file of the home directory or /etc/hosts
	equal "$(cksum /etc/hosts)" "$hosts_before"
}
hosts_before=$(cksum /etc/hosts)

start_silverd
node=127.0.0.1:$SSH_PORT
mkdir "$TMP/work"
cd "$TMP/work"

ok 'init makes an app'                      here . init shop --node "$node"
ok '  app.ini, code, .gitignore'            test -s shop/app.ini -a -s shop/src/app.py -a -s shop/.gitignore
ok '  a repository with the remote'         equal "$(git -C shop remote get-url silver)" "$(url shop)"
ok '  on a branch that is deployed'         equal "$(git -C shop symbolic-ref --short HEAD)" master
ok '  and says what comes next'             says 'git push silver master'
echo mine >shop/app.ini
ok 'init again keeps what is there'         here . init shop
ok '  says so'                              says 'kept +app.ini'
ok '  and changes nothing'                  equal "$(cat shop/app.ini)" mine
ok 'a directory whose name is no app: asks' exits 2 here . init Big_Shop
ok '  with the option that says it'         says '\-\-app'
ok 'an unknown platform: the known ones'    exits 2 here . init x1 --platform pyhton
ok '  nothing was made'                     test ! -e x1
ok 'init wants a directory: usage'          exits 2 here . init

for platform in static exec php python; do
	ok "init --platform $platform"      here . init "new-$platform" --platform "$platform" --node "$node"
	git -C "new-$platform" add -A
	git -C "new-$platform" commit -qm Begin
	ok '  can be pushed as it is'       git_node -C "new-$platform" push -q silver master
	APP=new-$platform
	ok '  and is served'                equal "$(fetch_status /)" 200
done

ok 'remote add takes app and name by itself' here new-static remote add other.example.com
ok '  git pushes to both'                   equal "$(git -C new-static remote get-url --push --all silver | wc -l)" 2
ok '  git fetches from the first'           equal "$(git -C new-static remote get-url silver)" "$(url new-static)"
ok '  again: no harm'                       here new-static remote add other.example.com
ok '  and no third'                         equal "$(git -C new-static remote get-url --push --all silver | wc -l)" 2
ok 'remote lists them'                      here new-static remote
ok '  with app and node'                    says "^new-static +other\.example\.com +ssh://silver@other\.example\.com/new-static"
ok 'remote add NAME HOST...'                here new-static remote add both "$node" '[::1]:2222' --app shop
ok '  is another remote'                    equal "$(git -C new-static remote get-url --push --all both | tail -n 1)" 'ssh://silver@[::1]:2222/shop'
ok 'a bad host is refused before any'       exits 2 here new-static remote add third good.example.com -- -oProxyCommand=x
ok '  nothing was made'                     must_fail git -C new-static remote get-url third
ok 'remote outside of a checkout'           exits 4 here /tmp remote add "$node"

# verbs in a checkout, by the ssh that git is told to use there
git -C new-python config core.sshCommand "ssh -F '$TMP/ssh_config' -i '$TMP/keys/admin'"
APP=new-python
ok 'status without a word'                  here new-python status
ok '  is of the app of the checkout'        says 'new-python'
ok 'also below its top'                     here new-python/src status
ok 'releases'                               here new-python releases
echo x >new-python/static/x
git -C new-python add -A
git -C new-python commit -qm second
git_node -C new-python push -q silver master
ok 'rollback'                               here new-python rollback
ok '  it is live'                           equal "$(live)" 1
ok 'activate N'                             here new-python activate 2
ok '  it is live'                           equal "$(live)" 2
ok 'rollback N'                             here new-python rollback 1
ok 'why: nothing was refused'               exits 4 here new-python why
ok 'logs'                                   here new-python logs -n 5
ok 'run .'                                  here new-python run . cat src/app.py
ok 'the status of run is the command'"'"'s' exits 7 here new-python run . sh -c 'exit 7'
ok '  and nothing is added to what it said' must_fail says silver
ok 'JSON'                                   here new-python status --json
ok '  nothing but JSON'                     python3 -m json.tool "$TMP/out"
ok 'what was said counts'                   here new-python status new-static
ok '  it is that one'                       says new-static
ok 'what fails names node and app'          exits 4 here new-python activate 77
ok '  and where they come from'             says "asked $node about new-python, as the git remote 'silver' here says"
ok 'config set'                             here new-python config set GREETING=hello
ok '  of the app of the checkout'           here new-python config show
ok '  is shown'                             says GREETING
ok 'a group of verbs'                       exits 2 here new-python config
ok '  lists them'                           says 'config set APP'
ok '  help too'                             here . help config
ok 'destroy wants its name said'            exits 2 here new-python destroy --yes
ok '  it is there'                          here new-python status
ok '--remote names another'                 exits 4 here new-python --remote nothere status
git -C new-python remote add third "$(url new-exec)"
ok '  which counts'                         here new-python --remote third status
ok '  it is that app'                       says new-exec
ok '--node counts over the remote'          exits 255 here new-python --node 127.0.0.1:1 status
ok '--dir too'                              here new-python --dir "$STATE" rollback 2
ok '  with the app of the checkout'         equal "$(live)" 2
ok 'outside of a checkout: which node?'     exits 2 here /tmp status
ok '  and what helps'                       says 'silver remote add'
ok 'which app?'                             exits 2 here /tmp --dir "$STATE" rollback
ok 'a slip is named'                        exits 2 here new-python stauts
ok '  with the verb'                        says "did you mean 'status'"
ok '  of our own ones too'                  exits 2 here new-python int
ok '  with the command'                     says "did you mean 'init'"
ok 'help of both kinds'                     here . help init
ok '  usage'                                says 'usage: silver init DIR'

# what is wrong here
ok 'doctor has nothing to mend'             here new-python doctor
ok '  the node answers'                     says "^ok +node +$node: it answers"
ok '  JSON'                                 here new-python doctor --json
ok '  nothing but JSON'                     python3 -m json.tool "$TMP/out"
ok 'doctor of a node that does not listen'  exits 1 here new-python --node 127.0.0.1:1 doctor
ok '  says what mends it'                   says '-> nothing listens there'
new_key stranger
ok 'doctor of a key that nobody knows'      exits 1 env GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/stranger" "$USR/bin/silver" --node "$node" doctor
GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/stranger" "$USR/bin/silver" --node "$node" doctor >"$TMP/out" 2>&1 || true
ok '  says so'                              says '-> the node knows no key that you offer'

# completion
completes() { # DIR WORD WORDS...: among what may stand behind WORDS
	co_dir=$1 co_wanted=$2
	shift 2
	(cd "$co_dir" && "$USR/bin/silver" completion words -- "$@" </dev/null) >"$TMP/out" 2>&1
	grep -qx -e "$co_wanted" "$TMP/out" || { cat "$TMP/out"; return 1; }
}
ok 'completion: a command'                  completes new-python deploy
ok '  a verb'                               completes new-python rollback
ok '  the first word of two'                completes new-python config
ok '  and the second'                       completes new-python set config
ok '  no verb of git'                       must_fail completes new-python git-receive-pack
ok '  options of a command'                 completes new-python --check deploy
ok '  and of a verb'                        completes new-python --release logs
ok '  an app of the node'                   completes new-python new-static rollback
ok '  a release of the app'                 completes new-python 1 rollback new-python
ok '  of a node that is named'              completes new-python new-exec --node "$node" status
for shell in bash zsh fish; do
	ok "completion $shell"              here . completion $shell
done
ok '  any other: usage'                     exits 2 here . completion tcsh
cat >"$TMP/complete.bash" <<-END
	source <("$USR/bin/silver" completion bash)
	PATH=$USR/bin:\$PATH COMP_WORDS=(silver rollb) COMP_CWORD=1
	_silver
	echo "\${COMPREPLY[@]}"
END
ok '  bash completes with it'               equal "$(bash "$TMP/complete.bash")" rollback

# libraries, and what is not live yet
cat >"$TMP/wheel.py" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/vendored-1.0-py3-none-any.whl", "w") as z:
    z.writestr("vendored.py", "x = 1\n")
    z.writestr("vendored-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: vendored\nVersion: 1.0\n")
    z.writestr("vendored-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("vendored-1.0.dist-info/RECORD", "")
END
python3 "$TMP/wheel.py" "$TMP"
echo "$TMP/vendored-1.0-py3-none-any.whl" >new-python/requirements.txt
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ok 'vendor puts libraries into lib/python'  here new-python vendor requirements.txt
ok '  they are there'                       test -s new-python/lib/python/vendored.py
ok '  what pip cannot find'                 exits 1 here new-python vendor nothere.txt
git -C new-python add -A
ok 'diff shows what is not live'            here new-python diff
ok '  a new file'                           says '\+x = 1'
ok '  nothing of what is'                   must_fail says 'def application'
ok '  of a commit'                          here new-python diff HEAD
ok '  that is live: nothing'                equal "$(cat "$TMP/out")" ''

# two nodes
git -C new-python config --add remote.silver.pushurl "$(url new-python)"
git -C new-python config --add remote.silver.pushurl "ssh://silver@localhost:$SSH_PORT/new-python"
ok 'several hosts: each is asked what it has' here new-python status
ok '  with its name above'                  says "^== localhost:$SSH_PORT"
ok '  but a change wants one named'         exits 2 here new-python rollback
ok '  they are listed'                      says "has 2: $node, localhost:$SSH_PORT"
ok '/etc/hosts is as it was'                untouched
cd /
done_testing
