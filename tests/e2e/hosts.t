#!/bin/sh
# `silver push` to several nodes: all of them or none; one that dies in the second phase finishes when it is back; back again
# on all of them. Scenario 50.
. "$(dirname "$0")/lib.sh"

unset SILVER_NODE SILVER_DIR GIT_SSH 2>/dev/null || true

# Nodes 2 and 3 beside the one of lib.sh; $TMP/nodeN, $TMP/nodeN.pid, port in $TMP/nodeN.port
start_node() { # N
	mkfifo "$TMP/ready"
	"$USR/sbin/silverd" --dir "$TMP/node$1" --ssh "127.0.0.1:$(cat "$TMP/node$1.port" 2>/dev/null || echo 0)" --http 127.0.0.1:0 \
		>"$TMP/ready" 2>>"$TMP/silverd$1.log" 3>&- &
	echo $! >"$TMP/node$1.pid"
	exec 3<"$TMP/ready"
	rm "$TMP/ready"
	sn_ready=$(timeout 60 head -n 1 <&3) || sn_ready=
	exec 3<&-
	expr "$sn_ready" : '.*ssh=127\.0\.0\.1:\([0-9]*\)' >"$TMP/node$1.port" || bail "node $1 said '$sn_ready'"
	"$USR/bin/silver" --dir "$TMP/node$1" user add admin --role admin <"$TMP/keys/admin.pub" >/dev/null 2>&1
}
stop_node() { # N
	kill -TERM "$(cat "$TMP/node$1.pid")"
	wait_until 60 gone "$(cat "$TMP/node$1.pid")"
}
stop_nodes() {
	for sn_pid in "$TMP"/node?.pid; do
		[ ! -f "$sn_pid" ] || kill -TERM "$(cat "$sn_pid")" 2>/dev/null || true
	done
	for sn_pid in "$TMP"/node?.pid; do
		[ ! -f "$sn_pid" ] || wait_until 60 gone "$(cat "$sn_pid")" || true
	done
}
CLEAN_UP=stop_nodes
others_gone() {
	! pgrep -f "$TMP/node[23]" >/dev/null
}

dev() {
	(cd "$REPO" && GIT_SSH_COMMAND="$TMP/ssh" timeout 180 "$USR/bin/silver" "$@" </dev/null) >"$TMP/out" 2>&1
}
says() {
	said "$1" "$TMP/out"
}
tip_of() { # DIR: the commit that is live there
	ti_release=$(readlink "$1/apps/blog/current" 2>/dev/null) || return 0
	sed -n 's/^commit *= *//p' "$1/apps/blog/$ti_release/record.ini"
}
live_are() { # REVISION of each node, in their order
	equal "$(tip_of "$STATE") $(tip_of "$TMP/node2") $(tip_of "$TMP/node3")" \
		"$(git -C "$REPO" rev-parse "$1") $(git -C "$REPO" rev-parse "$2") $(git -C "$REPO" rev-parse "$3")"
}

start_silverd
start_node 2
start_node 3
node2=127.0.0.1:$(cat "$TMP/node2.port") node3=127.0.0.1:$(cat "$TMP/node3.port")
# the real ssh; where it is told to, node 3 dies just before it is asked to activate
cat >"$TMP/ssh" <<-END
	#!/bin/sh
	case "\$*" in
	*" $(cat "$TMP/node3.port") "*"activate blog "*)
		if [ -e "$TMP/die" ]; then
			rm "$TMP/die"
			kill -KILL "\$(cat "$TMP/node3.pid")"
		fi
		;;
	esac
	exec ssh -F "$TMP/ssh_config" -i "$TMP/keys/admin" "\$@"
END
chmod 755 "$TMP/ssh"

new_app blog
ok 'remote add of two more'                       dev remote add "$node2" "$node3"
commit_app 1
first=$(git -C "$REPO" rev-parse HEAD)
ok '50 a first push to three nodes'               dev push
ok '  all are live'                               live_are HEAD HEAD HEAD
ok '  a table says so'                            says "^$node2 +1 +live"
ok '  and how far apart they flipped'             says '3 nodes flipped within [0-9]+ ms'
ok 'the same again: nothing to do'                dev push
ok '  and says so'                                says 'live already on all nodes'
commit_app 2
ok '50 a second one'                              dev push
ok '  all are live'                               live_are HEAD HEAD HEAD

# one of them refuses
commit_app 3
GIT_SSH_COMMAND="$TMP/ssh" git -C "$REPO" push -q "ssh://silver@$node2/blog" HEAD:master 2>/dev/null
git -C "$REPO" commit -q --amend -m 'another three'
ok '50 a node that has what is not pushed'        exits 1 dev push
ok '  is named'                                   says "'master' on $node2 is at"
ok '  nobody flipped'                             live_are HEAD~1 'HEAD@{1}' HEAD~1
ok '  --force goes there'                         dev push --force
ok '  on all'                                     live_are HEAD HEAD HEAD
commit_app 4 'default_location = x.example.com' 'test = /missing'
ok '50 a push that all refuse'                    exits 1 dev push
ok '  nobody flipped'                             live_are HEAD~1 HEAD~1 HEAD~1
ok '  the reason is told'                         says '/missing'
git -C "$REPO" reset -q --hard HEAD~1
sed -i 's/^\[node\]$/&\nmax_push_bytes = 2000000/' "$TMP/node3/node.ini"
stop_node 3
start_node 3
commit_app 5
head -c 3000000 /dev/urandom >"$REPO/static/big"
git -C "$REPO" add -A
git -C "$REPO" commit -q --amend --no-edit
ok '50 a push that one refuses'                   exits 1 dev push
ok '  it is named'                                says "^$node3 refused"
ok '  and how many'                               says '1 of 3 nodes did not take it: nobody has flipped'
ok '  nobody flipped'                             live_are HEAD~1 HEAD~1 HEAD~1
git -C "$REPO" rm -q --cached static/big
rm "$REPO/static/big"
git -C "$REPO" commit -q --amend --no-edit
stop_node 3
ok '50 a node that is away'                       exits 1 dev push
ok '  nobody flipped'                             live_are HEAD~1 HEAD~1 HEAD~1
start_node 3

# one dies between the phases
: >"$TMP/die"
ok '50 a node that dies in the second phase'      exits 6 dev push
ok '  is reported'                                says "^$node3 .*NOT LIVE"
ok '  with what finishes it'                      says '1 of 3 nodes did not flip.*silver push'
ok '  the others are live'                        live_are HEAD HEAD HEAD~1
start_node 3
ok '  back again, the same push finishes'         dev push
ok '  on all of them'                             live_are HEAD HEAD HEAD
ok '  the others are not asked again'             says "^$node2 .*live before"

# back
ok 'rollback wants one node, or all'              exits 2 dev rollback
ok 'rollback --all'                               dev rollback --all
ok '  all are there'                              live_are HEAD~1 HEAD~1 HEAD~1
ok '  again: forward'                             dev rollback --all
ok '  all are there'                              live_are HEAD HEAD HEAD
ok 'one of them elsewhere'                        dev --node "$node2" rollback blog 1
ok '  rollback --all refuses'                     exits 1 dev rollback --all
ok '  with the two commits'                       says 'the release before the live one is of .* nobody went back'
ok '  nobody went back'                           live_are HEAD "$first" HEAD
ok 'rollback --all COMMIT'                        dev rollback --all HEAD~1
ok '  all are there'                              live_are HEAD~1 HEAD~1 HEAD~1
ok '  and forward'                                dev rollback --all HEAD
ok 'a commit that no node has'                    exits 4 dev rollback --all "$(git -C "$REPO" commit-tree -m x 'HEAD^{tree}')"
ok '  nobody went back'                           live_are HEAD HEAD HEAD

# a working tree goes to all of them too
echo tree >"$REPO/static/version"
ok 'deploy, to three nodes'                       dev deploy
ok '  is one commit on all of them'               equal "$(tip_of "$STATE") $(tip_of "$STATE")" "$(tip_of "$TMP/node2") $(tip_of "$TMP/node3")"
ok '  it is served'                               serves tree
ok 'push --check of several'                      dev push --check
ok '  says what each would do'                    says "^== $node3"
ok 'push to a remote that is not there'           exits 4 dev push nothere
ok 'push of a commit that is not there'           exits 4 dev push silver nothere
ok 'a push that is no use'                        exits 2 dev push --chek

stop_nodes
ok 'the other nodes are gone'                     wait_until 60 others_gone
done_testing
