#!/bin/sh
# The verbs, over ssh, through `silver --node`, and on the node; text for people and JSON for programs.
. "$(dirname "$0")/lib.sh"

json() { # json EXPRESSION VERB...: the expression of `d`, what the verb printed
	js_expression=$1
	shift
	verb "$@" --json | python3 -c "import json, sys; d = json.load(sys.stdin); print($js_expression)"
}
anywhere() { # PATTERN VERB...: all three ways print it
	an_pattern=$1
	shift
	verb "$@" 2>&1 | grep -Eq "$an_pattern" || { echo over ssh; verb "$@"; return 1; }
	by_node "$@" 2>&1 | grep -Eq "$an_pattern" || { echo by --node; by_node "$@"; return 1; }
	silver "$@" 2>&1 | grep -Eq "$an_pattern" || { echo on the node; silver "$@"; return 1; }
}
by_node() { # silver runs the user's own ssh, with the user's own configuration: HOME is ours
	"$USR/bin/silver" --node "127.0.0.1:$SSH_PORT" "$@"
}

start_silverd
mkdir -p "$HOME/.ssh"
chmod 700 "$HOME/.ssh"
# ssh reads its configuration from the home directory of the password file; a wrapper says which one is meant
mkdir "$TMP/bin"
cat >"$TMP/bin/ssh" <<-END
	#!/bin/sh
	exec $(command -v ssh) -F "$TMP/ssh_config" -i "$TMP/keys/admin" "\$@"
END
chmod 755 "$TMP/bin/ssh"
PATH=$TMP/bin:$PATH

new_app blog
ok 'create makes an app without a push'  verb create blog
ok '  again: no harm'                    verb create blog
ok '  status says that nothing is live'  anywhere 'nothing|no release|not deployed|never' status blog
commit_app 1
push || bail 'the first push failed'
commit_app 2
push || bail 'the second push failed'

ok 'apps'                                anywhere 'blog' apps
ok 'status of an app'                    anywhere 'release 2|2' status blog
ok 'status of all'                       anywhere 'blog' status
ok 'releases'                            anywhere '2' releases blog
ok 'verify'                              anywhere '.' verify blog
ok 'help'                                anywhere 'rollback' help
ok 'help of one verb'                    anywhere 'usage' help rollback
ok 'help lists every verb' \
	equal "$(for v in apps status releases rollback activate redeploy logs run verify fsck destroy create user help; do verb help | grep -Eq "^ *$v( |\$)" || echo $v; done)" ''
ok 'JSON: apps'                          equal "$(json '[a["app"] for a in (d["apps"] if isinstance(d, dict) else d)]' apps)" "['blog']"
ok 'JSON: status names the release'      equal "$(json 'd["live"]["release"]' status blog)" 2
ok 'JSON: and the commit'                equal "$(json 'd["live"]["commit"]' status blog)" "$(git -C "$REPO" rev-parse HEAD)"
ok 'JSON: releases'                      equal "$(json 'sorted(r["release"] for r in d["releases"])' releases blog)" '[1, 2]'
ok 'JSON: verify'                        equal "$(json 'd["ok"], d["findings"]' verify blog)" 'True []'
ok 'rollback on the node'                silver rollback blog
ok '  it serves'                         serves 1
ok 'activate by --node'                  by_node activate blog 2
ok '  it serves'                         serves 2
ok 'redeploy over ssh'                   verb redeploy blog
ok '  it serves'                         serves 2

ok 'status 2: usage'                     exits 2 verb status --no-such-option
ok 'status 2: too many words'            exits 2 verb verify blog blog
ok 'status 2: by --node too'             exits 2 by_node frobnicate
ok 'status 2: on the node too'           exits 2 silver frobnicate
ok 'status 4: no such app'               exits 4 verb status nothere
ok 'status 4: on the node too'           exits 4 silver status nothere
ok 'status 4: no such node'              must_fail "$USR/bin/silver" --dir "$TMP/nowhere" apps
ok 'silver without arguments: usage'     exits 2 "$USR/bin/silver"
ok 'silver --help'                       "$USR/bin/silver" --help
ok 'silver --version'                    "$USR/bin/silver" --version
ok 'silverd --help'                      "$USR/sbin/silverd" --help
ok 'silverd without --dir and with nonsense: usage' exits 2 "$USR/sbin/silverd" --nonsense

ok 'destroy asks'                        must_fail verb destroy blog
ok '  nothing is gone'                   serves 2
ok 'destroy --yes'                       verb destroy blog --yes
ok '  repository, releases, host are gone' test ! -e "$STATE/apps/blog" -a ! -e "$STATE/hosts/blog.localhost"
ok '  it answers no more'                equal "$(fetch_status /version)" 404
ok '  apps is empty'                     equal "$(json 'len(d["apps"] if isinstance(d, dict) else d)' apps)" 0
ok 'the name can be used again'          push
ok '  from release 1'                    equal "$(live)" 1
ok '  it serves'                         serves 2
done_testing
