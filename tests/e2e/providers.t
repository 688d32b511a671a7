#!/bin/sh
# create-node, list-nodes, destroy-node: what a provider is asked and may answer. The command lines of the clouds are stand-ins, which
# answer as those are documented to. setup.t makes a real machine by nspawn.
. "$(dirname "$0")/lib.sh"

export XDG_CONFIG_HOME="$TMP/config"
NOTES=$TMP/config/silver/nodes
mkdir -p "$TMP/config/silver/providers" "$TMP/bin"
new_key admin
SILVER=$USR/bin/silver

silver_run() {
	PATH=$TMP/bin:/usr/bin:/bin "$SILVER" "$@" >"$TMP/out" 2>&1
}
create() { # NAME [ARGS...]
	silver_run create-node "$@" --key "$TMP/keys/admin.pub"
}

# --- a provider of one's own -------------------------------------------------------------------------
own=$TMP/config/silver/providers/shed
cat >"$own" <<'SHED'
#!/bin/sh
echo "$* key=${SILVER_KEY:+given} size=${SILVER_SIZE:-}" >>"$SHED/asked"
[ ! -s "$SHED/fail" ] || [ "$(cat "$SHED/fail")" != "$1" ] || { echo 'shed: the door is stuck' >&2; exit 6; }
case $1 in
create) echo '{"name":"'"$2"'","state":"starting"}' >"$SHED/m-$2"; cat "$SHED/m-$2" ;;
wait) echo '{"name":"'"$2"'","host":"192.0.2.7","port":2200,"user":"ann","state":"running","ssh":"0.0.0.0:2022"}' >"$SHED/m-$2"; cat "$SHED/m-$2" ;;
list) printf '['; s=; for m in "$SHED"/m-*; do [ -e "$m" ] && printf '%s' "$s" && cat "$m" && s=,; done; echo ']' ;;
destroy) rm -f "$SHED/m-$2" ;;
esac
SHED
chmod +x "$own"
export SHED="$TMP/shed"
mkdir "$SHED"
asked() {
	equal "$(tail -n 1 "$SHED/asked")" "$1"
}

ok 'which provider: must be said'            exits 2 create box
ok '  and an unknown one is refused'         exits 4 create box --provider nowhere
ok '  with those that there are'             said 'nspawn, hcloud, doctl and aws' "$TMP/out"
ok '  and nothing is noted'                  must_fail test -e "$NOTES/box"
ok 'a name that is none'                     exits 2 create Box --provider shed
ok 'a setting that is none'                  exits 2 create box --provider shed --set 'SIZE;x'
ok 'create-node has a machine made'          create box --provider shed --set size=large
ok '  waits for it'                          asked 'wait box key=given size=large'
ok '  and says what comes next'              said 'silver setup-node box' "$TMP/out"
ok '  it notes where'                        grep -q '^login = ann@192.0.2.7:2200$' "$NOTES/box"
ok 'again: the same one'                     create box
ok 'by another provider: refused'            exits 1 create box --provider nspawn
ok 'list-nodes shows it'                     silver_run list-nodes
ok '  in a table'                            said '^box +shed +running +192.0.2.7$' "$TMP/out"
ok '  and as JSON'                           silver_run list-nodes --json
ok '  for a program'                         python3 -c 'import json, sys; assert json.load(open(sys.argv[1])) == [{"name": "box", "provider": "shed", "state": "running", "host": "192.0.2.7"}]' "$TMP/out"

# --- what goes wrong -----------------------------------------------------------------------------------
echo wait >"$SHED/fail"
ok 'a provider that fails'                   exits 6 create hut --provider shed
ok '  is heard'                              said 'the door is stuck' "$TMP/out"
ok '  and what helps is said'                said 'silver destroy-node hut --yes' "$TMP/out"
ok '  the machine made half is noted'        grep -q '^provider = shed$' "$NOTES/hut"
ok '  and listed'                            silver_run list-nodes
ok '  with what the provider says'           said '^hut +shed +starting +-$' "$TMP/out"
: >"$SHED/fail"
ok 'it can be gone on with'                  create hut
echo list >"$SHED/fail"
ok 'a provider that cannot list'             exits 6 silver_run list-nodes
: >"$SHED/fail"
printf '#!/bin/sh\necho machine is ready\n' >"$TMP/config/silver/providers/chatty"
cat >"$TMP/config/silver/providers/evil" <<'EVIL'
#!/bin/sh
echo '{"name":"'"$2"'","state":"up","host":"-oProxyCommand=x"}'
EVIL
chmod +x "$TMP/config/silver/providers"/*
ok 'an answer that is no JSON is refused'    exits 6 create bad --provider chatty
ok '  with the line'                         said 'line 1' "$TMP/out"
ok 'one with a host that is an option'       exits 6 create worse --provider evil
ok '  with the key and the form'             said "'host' is '-oProxyCommand=x', and not a host name" "$TMP/out"
ok 'destroy-node without --yes does nothing' exits 1 silver_run destroy-node box
ok '  and says what would be lost'           said 'ann@192.0.2.7:2200' "$TMP/out"
ok 'destroy-node ends it'                    silver_run destroy-node box --yes
ok '  the provider was asked'                asked 'destroy box key= size='
ok '  and nothing is noted any more'         must_fail test -e "$NOTES/box"
rm -f "$SHED/m-hut"
ok 'a machine that its provider lost'        silver_run list-nodes --provider shed
ok '  is shown as gone'                      said '^hut +shed +gone +-$' "$TMP/out"

# --- the clouds ------------------------------------------------------------------------------------------
# A stand-in keeps its machines in a file and logs its words; ssh-keyscan says that any host answers.
# shellcheck disable=SC2016 # another shell's
printf '#!/bin/sh\necho "$2 ssh-ed25519 AAAA"\n' >"$TMP/bin/ssh-keyscan"
cat >"$TMP/bin/stand-in" <<'CLOUD'
#!/bin/sh
tool=${0##*/}
echo "$*" >>"$CLOUD/$tool.said"
at=$CLOUD/$tool.machines
touch "$at" "$CLOUD/$tool.keys"
value_of() { # OPTION WORDS...
	wanted=$1
	shift
	while [ $# -gt 0 ]; do
		[ "$1" != "$wanted" ] || { echo "$2"; return; }
		shift
	done
}
case "$tool $*" in
'hcloud server list '*) awk '{print $1 "   " $2 "   " $3}' "$at" ;;
'hcloud ssh-key list '* | 'doctl compute ssh-key list --no-header --format FingerPrint,Name') cat "$CLOUD/$tool.keys" ;;
'hcloud ssh-key create '*)
	echo "$(value_of --public-key "$@" | ssh-keygen -E md5 -lf - | sed 's/.*MD5:\([^ ]*\).*/\1/') $(value_of --name "$@")" >>"$CLOUD/$tool.keys" ;;
'hcloud server create '*) echo "$(value_of --name "$@") 192.0.2.8 running" >>"$at" ;;
'hcloud server delete '*) sed -i "/^$3 /d" "$at" ;;
'doctl compute droplet list '*) awk '{print $1 "    " $3 "    " $2}' "$at" ;;
'doctl compute ssh-key list --no-header --format Name,ID') awk '{print $2 "    4711"}' "$CLOUD/$tool.keys" ;;
'doctl compute ssh-key create '*)
	echo "$(value_of --public-key "$@" | ssh-keygen -E md5 -lf - | sed 's/.*MD5:\([^ ]*\).*/\1/') $4" >>"$CLOUD/$tool.keys" ;;
'doctl compute droplet create '*) echo "$4 192.0.2.9 active" >>"$at" ;;
'doctl compute droplet delete '*) sed -i "/^$4 /d" "$at" ;;
'aws --output text ec2 describe-instances '*) awk '{print $1 "\t" $2 "\t" $3 "\ti-0" $1}' "$at" ;;
'aws --output text ec2 describe-key-pairs --query '*) cat "$CLOUD/$tool.keys" ;;
'aws --output text ec2 describe-key-pairs '*) grep -q " $6\$" "$CLOUD/$tool.keys" ;;
'aws --output text ec2 import-key-pair '*) echo "SHA256 $(value_of --key-name "$@")" >>"$CLOUD/$tool.keys" ;;
'aws --output text ec2 run-instances '*)
	echo "$(value_of --tag-specifications "$@" | sed 's/.*Key=Name,Value=\([^}]*\)}.*/\1/') 192.0.2.10 running" >>"$at" ;;
'aws --output text ec2 terminate-instances '*) sed -i "/^${6#i-0} /d" "$at" ;;
*) echo "$tool: unknown: $*" >&2; exit 1 ;;
esac
CLOUD
chmod +x "$TMP/bin"/*
export CLOUD="$TMP/cloud"
mkdir "$CLOUD"
one_key() {
	equal "$(wc -l <"$CLOUD/$1.keys")" 1
}
cloud() { # TOOL ADDRESS USER PATTERN-OF-CREATE
	rm -f "$TMP/bin/$1"
	ok "$1: without its program"         exits 6 create "$1-a" --provider "$1"
	ok '  that is said'                      said "the program '$1' is not in PATH" "$TMP/out"
	ln "$TMP/bin/stand-in" "$TMP/bin/$1"
	ok "$1: makes a machine"             create "$1-a" --set size=big
	ok '  of that size, with our key'        grep -Eq -- "$4" "$CLOUD/$1.said"
	ok '  tells where it is'                 grep -q "^login = $3@$2:22\$" "$NOTES/$1-a"
	ok '  and a second one'                  create "$1-b" --provider "$1"
	ok '  with the same key'                 one_key "$1"
	ok "$1: lists both"                  silver_run list-nodes --provider "$1"
	ok '  in their state'                    said "^$1-b +$1 +(running|active) +$2\$" "$TMP/out"
	ok "$1: ends one"                    silver_run destroy-node "$1-a" --yes
	ok '  and not the other'                 equal "$(cut -d ' ' -f 1 "$CLOUD/$1.machines")" "$1-b"
	ok '  again: no error'                   silver_run destroy-node "$1-a" --provider "$1" --yes
}
cloud hcloud 192.0.2.8 root  'server create --name hcloud-a --label silver=node --type big --image debian-12 --ssh-key silver-[0-9a-f]{32}$'
cloud doctl  192.0.2.9 root  'droplet create doctl-a .*--size big .*--ssh-keys 4711$'
cloud aws    192.0.2.10 admin 'run-instances .*--instance-type big --key-name silver-[0-9a-f]{32} '
done_testing
