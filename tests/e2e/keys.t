#!/bin/sh
# Keys and roles: who may do what, seen from outside; what a refused key is told.
. "$(dirname "$0")/lib.sh"

add_user_as() { # NAME KEY
	silver user add "$1" <"$TMP/keys/$2.pub"
}
verb_add() {
	verb user add ivan --role read <"$TMP/keys/ivan.pub"
}

start_silverd
new_app blog
commit_app 1
push || bail 'the first push failed'
new_app shop
commit_app 2
push || bail 'the first push of shop failed'

for name in dora rita ivan mallory; do new_key $name; done
ok '37 a key is added by standard input'        add_user dora --role deploy --app blog
ok '37 a reader'                                add_user rita --role read --app blog
ok '37 the list shows users, roles and fingerprints' silver user list
silver user list >"$TMP/list"
ok '  name'                                     said 'dora' "$TMP/list"
ok '  role'                                     said 'deploy' "$TMP/list"
ok '  fingerprint'                              said "$(ssh-keygen -lf "$TMP/keys/dora.pub" | cut -d' ' -f2 | sed 's/[+/]/./g')" "$TMP/list"
silver user list --json >"$TMP/list.json"
ok '37 as JSON'                                 python3 -c 'import json, sys; assert any("dora" in str(u) for u in json.load(open(sys.argv[1])))' "$TMP/list.json"
ok '37 the same key for another user is refused' must_fail add_user_as ivan dora
echo 'this is no key' >"$TMP/keys/bad.pub"
ok '37 what is no key is refused'               must_fail add_user bad
ok '  and makes no user'                        must_fail grep -q bad "$TMP/list"
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIQQ== short' >"$TMP/keys/bad.pub"
ok '37 a broken key is refused'                 must_fail add_user bad
: >"$TMP/keys/bad.pub"
ok '37 an empty one is refused'                 must_fail add_user bad
ok '37 a name that is no name is refused'       must_fail silver user add '../../x' <"$TMP/keys/ivan.pub"

KEY=dora
commit_app 3
APP=blog
ok '42 a deployer pushes to the app of the role' push -f HEAD:master
ok '  it is live'                               serves 3
APP=shop
ok '42 and not to another'                      must_fail push
ok '  nothing changes there'                    serves 2
ok '42 cannot read it either'                   must_fail git_node ls-remote "$(url shop)"
git_node ls-remote "$(url shop)" >"$TMP/shop" 2>&1 || true
git_node ls-remote "$(url none)" >"$TMP/none" 2>&1 || true
ok '42 cannot even see that it is there'        equal "$(sed 's/shop/X/g' "$TMP/shop")" "$(sed 's/none/X/g' "$TMP/none")"
ok '42 the list of apps shows only the own'     equal "$(verb apps --json | grep -c shop)" 0
ok '  and shows that'                           test "$(verb apps --json | grep -c blog)" -gt 0
# shellcheck disable=SC2088 # the tilde is meant
for path in shop.git /shop '~/shop' blog/../shop; do
	ok "42 not as '$path' either"           must_fail ssh_node "git-receive-pack '$path'" </dev/null
done
ok '42 no verb reaches it'                      must_fail verb status shop
ok '42 nor run'                                 must_fail verb run shop true
ok '42 a deployer makes no app outside the role' must_fail verb create other
ok '42 a deployer cannot reach admin verbs'     exits 5 verb user list
ok '42 nor destroy'                             must_fail verb destroy blog --yes
ok '  the app is there'                         test -d "$STATE/apps/blog"

KEY=rita APP=blog
ok '42 a reader can fetch'                      git_node ls-remote "$(url blog)"
ok '42 and read the status'                     verb status blog
commit_app 4
ok '42 but not push'                            must_fail push -f HEAD:master
ok '  is told why'                              said 'read|role|may not|deploy'
ok '42 nor roll back'                           exits 5 verb rollback blog
ok '42 nor run'                                 must_fail verb run blog true
ok '42 nor destroy'                             must_fail verb destroy blog --yes
ok '  live unchanged'                           serves 3

KEY=mallory
# The reason is told by keyboard-interactive (a text, no question), which BatchMode leaves out. Each key is offered before it.
ssh -F "$TMP/ssh_config" -o BatchMode=no -o LogLevel=INFO -o IdentityFile="$TMP/keys/ivan" -i "$TMP/keys/mallory" -p "$SSH_PORT" silver@127.0.0.1 help >"$TMP/refused" 2>&1 </dev/null || true
ok '37 an unknown key is refused'               must_fail verb help
ok '37 and the refusal lists what was offered'  said "$(ssh-keygen -lf "$TMP/keys/mallory.pub" | cut -d' ' -f2 | sed 's/[+/]/./g')" "$TMP/refused"
ok '  all of it'                                said "$(ssh-keygen -lf "$TMP/keys/ivan.pub" | cut -d' ' -f2 | sed 's/[+/]/./g')" "$TMP/refused"

# 38: another's public key, without its private half
cp "$TMP/keys/dora.pub" "$TMP/keys/mallory.pub"
ok "38 offering another's public key gives none of its rights" must_fail verb help
KEY=dora
ok '38 the owner of the key can still use it'   verb help
ok '37 a user can be removed'                   silver user remove dora
ok '  and is out at once'                       must_fail verb help
ok '37 removing nobody is an error'             exits 4 silver user remove nobody-at-all
KEY='admin'
ok '42 an admin sees all'                       test "$(verb apps | grep -cE 'blog|shop')" -eq 2
ok '42 an admin manages users over ssh'         verb user list
ok '37 and adds one over ssh'                   verb_add
KEY=ivan
ok '  who can log in'                           verb help
done_testing
