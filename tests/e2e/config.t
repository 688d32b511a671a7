#!/bin/sh
# The configuration of an app: every value to the byte, each change a release that is proven, flipped to and rolled back
# like a push, and no file moves. About 30 s.
. "$(dirname "$0")/lib.sh"

PLATFORM=python
start_silverd
new_app blog

# A release that says what its environment holds, and what its configuration directory does.
write_config_app() { # VERSION LINE...
	write_app "$@"
	cat >>"$REPO/src/app.py" <<-'END'


	_plain = application


	def application(environ, start_response):
	    import os
	    path = environ["PATH_INFO"]
	    if path.startswith("/var/"):
	        value = os.environb.get(path[5:].encode())
	        start_response("404 Not Found" if value is None else "200 OK", [("Content-Type", "application/octet-stream")])
	        return [value or b""]
	    if path.startswith("/conf/"):
	        with open(os.path.join(os.environ["SILVER_APP_CONFIG"], path[6:]), "rb") as file:
	            start_response("200 OK", [("Content-Type", "application/octet-stream")])
	            return [file.read()]
	    return _plain(environ, start_response)
	END
	git -C "$REPO" add -A
	git -C "$REPO" commit -q --allow-empty -m "version $1"
}
write_config_app 1

releases() {
	find "$STATE/apps/$APP/releases" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*.new' | wc -l
}
config() { # VERB ARGS...: what it says in $TMP/config.err
	cf_verb=$1
	shift
	verb config "$cf_verb" "$APP" "$@" 2>"$TMP/config.err"
}
told() {
	said "$1" "$TMP/config.err"
}
# The value that the app has is $TMP/want, to the byte.
has() { # NAME
	fetch "/var/$1" >"$TMP/have" && cmp "$TMP/want" "$TMP/have"
}

# --- before the first release -------------------------------------------------------------------

verb create blog >/dev/null 2>&1 || bail 'no app'
ok 'what is set before the first push is kept' config set GREETING=hello LATER=soon
ok '   and said so' told 'the first release will have it'
printf 'a file\n' | config put settings.ini || bail 'no file could be put'
ok '   shown' equal "$(config show GREETING)" hello
ok '   unset again' config unset LATER
push || bail 'the first push failed'
printf hello >"$TMP/want"
ok '   the first release has it' has GREETING
ok '   and its file' equal "$(fetch /conf/settings.ini)" 'a file'
nothing_waits() {
	test -z "$(ls "$STATE/apps/blog/config")"
}
ok '   nothing waits any more' wait_until 60 nothing_waits
ok '   and no more than that' equal "$(fetch_status /var/LATER)" 404

# --- a change is a release ------------------------------------------------------------------------

slot=$(record slot)
inode=$(stat -c %i "$STATE/apps/blog/current/app/src/app.py")
ok '30 a change is a release' config set GREETING=bonjour
ok '   of its own' equal "$(live)" 2
ok '   that shares the slot' equal "$(record slot)" "$slot"
ok '   and moves no file' told 'release 2 is live .*no file moved'
ok '   (the very same)' equal "$(stat -c %i "$STATE/apps/blog/current/app/src/app.py")" "$inode"
printf bonjour >"$TMP/want"
ok '   the app has it' has GREETING
ok '   its file too' equal "$(fetch /conf/settings.ini)" 'a file'
verb releases blog >"$TMP/releases"
ok '   the list of releases says what it was' said 'config: set GREETING' "$TMP/releases"
ok '   the ref is the live commit' ref_is_live
ok 'what is so already makes no release' config set GREETING=bonjour
ok '   and says so' told 'nothing changed'
ok '   live as before' equal "$(live)" 2

write_config_app 2
push || bail 'the second push failed'
ok 'a push carries the configuration over' has GREETING
ok '   with the new code' serves 2
ok '   and the files' equal "$(fetch /conf/settings.ini)" 'a file'
config set GREETING=hola || bail 'not set'
ok '30 rollback takes the configuration back' verb rollback blog
ok '   ' has GREETING
ok '30 rollback by release: code and configuration together' verb activate blog 1
printf hello >"$TMP/want"
ok '   ' has GREETING
ok '   ' serves 1
ok '   the ref goes with it' ref_is_live
ok 'an older configuration with the newest code' push -f HEAD:master
ok '   a push keeps what is live' has GREETING
ok '   ' config revert 2
printf bonjour >"$TMP/want"
ok '   revert sets what that release had' has GREETING
ok '   and no more: the code stays' serves 2

# --- to the byte ------------------------------------------------------------------------------------

number=0
round() { # WHAT: $TMP/want comes by standard input, and as a word
	number=$((number + 1))
	config set "V$number" <"$TMP/want" || return 1
	has "V$number" || return 1
	config show "V$number" >"$TMP/have" && cmp "$TMP/want" "$TMP/have"
}
printf '%s' "it's \"q\" \$HOME \$(id) \`id\` \\n \\ * ; | & < > # !  ends in blanks  " >"$TMP/want"
ok '43 quotes, dollars, blanks arrive to the byte' round
ok '   as a word of ssh, quoted' config set "WORD='it'\\''s \"q\" \$HOME \$(id) \`id\` \\n \\ * ; | & < > # !  ends in blanks  '"
ok '   ' has WORD
printf 'one\n\ntwo\n' >"$TMP/want"
ok '43 line breaks' round
config set LAST <"$TMP/want" || bail 'not set'
ok '   of which the last is told' told 'ends in a line break'
printf '\001\033\177\200\377\303(' >"$TMP/want"
ok '43 control characters and what is no UTF-8' round
printf 'Gr\303\274\303\237e' >"$TMP/want"
ok '43 UTF-8' round
: >"$TMP/want"
ok '43 nothing at all' config set EMPTY=
ok '   ' has EMPTY
head -c 60000 /dev/zero | tr '\0' x >"$TMP/want"
ok 'a large value' round
head -c 100000 /dev/urandom >"$TMP/want"
ok 'a file of any bytes' config put big.bin <"$TMP/want"
fetch /conf/big.bin >"$TMP/have"
ok '   ' cmp "$TMP/want" "$TMP/have"
config show big.bin >"$TMP/have"
ok '   shown to the byte' cmp "$TMP/want" "$TMP/have"
ok '   removed again' config remove big.bin

config show >"$TMP/all" || bail 'show failed'
before=$(live)
ok 'what show prints, load takes: nothing changes' config load <"$TMP/all"
ok '   ' told 'nothing changed'
grep -v ^V3 "$TMP/all" >"$TMP/fewer"
ok '   a line less is one variable less' config load <"$TMP/fewer"
ok '   ' told 'config: unset V3$'
ok '   what was edited meanwhile is not overwritten' exits 1 config load --was "$before" <"$TMP/all"
ok '   ' told 'somebody has changed the configuration since'
verb config show blog --json >"$TMP/json"
ok 'JSON has them' python3 -c '
import json, sys
c = json.load(open(sys.argv[1]))
assert c["set"]["EMPTY"] == "" and c["files"] == ["settings.ini"], c
assert c["set"]["V4"] == "Gr\u00fc\u00dfe" and c["release"] > 5' "$TMP/json"

# --- what is refused changes nothing ----------------------------------------------------------------------

before=$(live)
refused() { # STATUS WHAT PATTERN ARGS...
	rf_status=$1 rf_what=$2 rf_pattern=$3
	shift 3
	ok "43 $rf_what is refused" exits "$rf_status" config "$@"
	ok '   with the reason' told "$rf_pattern"
}
refused 2 'a name that is none' "'1A' is no name" set GOOD=1 1A=2
refused 2 'a name of the node' 'SILVER_X.*cannot be set' set SILVER_X=1
refused 2 'PATH' "'PATH' cannot be set: the programs" set PATH=/tmp
refused 2 'LD_PRELOAD' 'which libraries' set LD_PRELOAD=x
refused 2 'a name twice' 'A is set twice' set A=1 A=2
refused 2 'a name without a value' 'nothing came on standard input' set GOOD </dev/null
refused 2 'a bad line of many' 'standard input:2: single quotes' set <<'END'
GOOD=1
BAD='x'
END
refused 2 'an unclosed quote' 'standard input:1: the double quotes' set <<'END'
GOOD="x
END
printf 'a\000b' >"$TMP/nul"
refused 1 'a NUL' 'holds a NUL' set GOOD <"$TMP/nul"
head -c 70000 /dev/zero | tr '\0' x >"$TMP/large"
refused 1 'a value that is too large' 'more than 6553. bytes' set GOOD <"$TMP/large"
refused 2 'a file name with a slash' 'no name of a file' put a/b </dev/null
refused 4 'a release that is not kept' 'no release 999' revert 999
ok '   live as before' equal "$(live)" "$before"
ok '   nothing of it is set' exits 4 config show GOOD
ok 'an unknown verb of config lists those there are' exits 2 verb config frobnicate blog

# A client that is cut off in the middle of a value.
mkfifo "$TMP/slow"
(exec 3>"$TMP/slow" && printf half >&3 && sleep 1000) &
writer=$!
ssh_node config set blog HALF <"$TMP/slow" 2>/dev/null &
client=$!
ok 'the verb waits for its input' wait_until 20 ours 'silver-deploy config set blog$'
ok '   and holds nobody up meanwhile' config set MEANWHILE=1
pkill -KILL -f "[-]p $SSH_PORT .*config set blog HALF"
kill -9 "$writer"
wait "$client" 2>/dev/null || true
ok '   what came in half is refused' wait_until 20 must_fail ours 'silver-deploy config set blog$'
ok '   and not set' exits 4 config show HALF

# A word of a command is seen by nobody else on the node, however long the command lasts.
flock "$STATE/apps/blog/lock" sleep 1000 &
holder=$!
config set "TOKEN=geheim" &
client=$!
ok 'the command waits for its turn' wait_until 20 ours 'silver-deploy config set blog$'
ok '   and no process of the node shows its value' sh -c '! pgrep -f "^[^ ]*(silver-|git).*geheim"'
kill_tree TERM "$holder"
wait "$holder" 2>/dev/null || true
ok '   it lands' wait "$client"
ok 'no value is in a log' must_fail grep -arqE 'bonjour|geheim' "$TMP/silverd.log" "$STATE/log"

# --- app.ini --------------------------------------------------------------------------------------------------

write_config_app 3 'config.required = NEEDED CONFIG_SQLITE_PATH CONFIG_REDIS_PREFIX' '  needed.ini' 'service.sqlite ='
before=$(live)
ok 'config.required: a push that lacks it is refused' must_fail push
ok '   with the line and the way' said 'app.ini:4: .config.required.: NEEDED is not set; .silver config set blog NEEDED=VALUE.'
ok '   not for what a service will give' must_fail said 'CONFIG_SQLITE_PATH is not set'
ok '   and for what none does' said 'CONFIG_REDIS_PREFIX is not set'
sed -i 's/ CONFIG_REDIS_PREFIX$//' "$REPO/app.ini"
git -C "$REPO" commit -qam 3 --amend
ok '   all at once' said 'there is no file needed.ini'
ok '   live unchanged' equal "$(live)" "$before"
config set NEEDED=1 || bail 'not set'
config put needed.ini </dev/null || bail 'not put'
ok '   the same commit lands when it is there' push
ok '   what is required is not unset' exits 1 config unset NEEDED
ok '   with the reason' told 'NEEDED is not set'
ok '   nor is the file removed' exits 1 config remove needed.ini
printf 1 >"$TMP/want"
ok '   it is still there' has NEEDED

write_config_app 4 'config.default = COLOUR=blue sky' '  etc/' 'config.checker = checks:look'
mkdir -p "$REPO/etc"
echo default >"$REPO/etc/settings.ini"
cat >"$REPO/src/checks.py" <<'END'
import os


def look(directory):
    print("looking at", sorted(os.listdir(directory)))
    if os.environ["COLOUR"] == "black":
        raise ValueError("black is no colour")
END
git -C "$REPO" add -A
git -C "$REPO" commit -q -m 'with a checker'
ok 'config.default and config.checker' push
ok '   the checker saw the directory' said "\\| looking at \\['needed.ini', 'settings.ini'\\]"
printf 'blue sky' >"$TMP/want"
ok '   a default is in the environment' has COLOUR
before=$(live)
ok '   what the checker raises refuses a change' exits 1 config set COLOUR=black
ok '   with its words' told 'ValueError: black is no colour'
ok '   live unchanged' equal "$(live)" "$before"
ok '   what it likes passes' config set COLOUR=red
printf red >"$TMP/want"
ok '   and counts over the default' has COLOUR
config remove needed.ini settings.ini || bail 'not removed'
ok '   the default directory is there without files' equal "$(fetch /conf/settings.ini)" default

# The same set everywhere.
verb "run blog python3 -c 'import os, sys; sys.stdout.buffer.write(os.environb[b\"V1\"])'" >"$TMP/have"
config show V1 >"$TMP/want"
ok '43 silver run has the same bytes' cmp "$TMP/want" "$TMP/have"

# --- `silver` itself ------------------------------------------------------------------------------------------------

here() {
	timeout 120 "$USR/bin/silver" --dir "$STATE" "$@" 2>"$TMP/config.err"
}
printf '%s' "it's \$HOME  \"q\"" >"$TMP/want"
ok 'by the socket of the node: a word' here config set blog "LOCAL=$(cat "$TMP/want")"
ok '   ' has LOCAL
printf 'a\377\nb' >"$TMP/want"
ok '   standard input' here config set blog LOCAL <"$TMP/want"
ok '   ' has LOCAL
cat >"$TMP/editor" <<'END'
#!/bin/sh
sed -i 's/^GREETING=.*/GREETING="edited\\n"/; /^LOCAL=/d' "$2"
END
chmod 755 "$TMP/editor"
EDITOR="$TMP/editor argument"
export EDITOR
unset VISUAL || true
ok 'config edit' here config edit blog
printf 'edited\n' >"$TMP/want"
ok '   what came out of the editor is set' has GREETING
ok '   what is not there any more is not' exits 4 config show LOCAL
ok '   nothing changed in it: nothing done' here config edit blog
ok '   ' told 'nothing changed'
cat >"$TMP/editor" <<'END'
#!/bin/sh
echo BAD LINE >>"$1"
END
EDITOR=$TMP/editor
ok '   what is wrong is refused' exits 2 here config edit blog
ok '   with its line' told 'standard input:[0-9]+: a line is NAME=VALUE'
kept=$(sed -n 's/.*what you wrote is in \([^;]*\);.*/\1/p' "$TMP/config.err")
ok '   and is not lost' grep -q '^BAD LINE' "$kept"
rm -f "$kept"
ok 'help lists the verbs of config' sh -c "'$USR/bin/silver' help config | grep -q 'config revert APP N'"

# --- keys of the node --------------------------------------------------------------------------------------------

key() {
	verb key "$@" >"$TMP/key.out" 2>&1
}
get_key() { # what the app reads
	verb "run blog python3 -c 'from silversupport import secret; print(secret.get_key(\"maps\"))'" 2>"$TMP/key.err"
}
printf 'key-one\n' >"$TMP/maps"
ok 'a key of the node is kept' key set maps <"$TMP/maps"
ok '   an app does not have it' must_fail get_key
ok '   and is told so' said 'no key .maps. was granted' "$TMP/key.err"
ok '   until it is granted' key grant maps blog
ok '   ' equal "$(get_key)" key-one
printf 'key-two\n' >"$TMP/maps"
ok '   a new value reaches it at once' key set maps <"$TMP/maps"
ok '   ' equal "$(get_key)" key-two
ok '   in no environment' must_fail grep -aq key-two "$STATE/apps/blog/current/env"
verb key list --json >"$TMP/key.out"
ok '   listed, without its value' said '^\[\{"key":"maps","apps":\["blog"\]\}\]$' "$TMP/key.out"
ok '   revoked' key revoke maps blog
ok '   it is gone' must_fail get_key
ok '   granted again, and removed for all' key grant maps blog
ok '   ' key remove maps
ok '   ' must_fail get_key
ok 'a key that is not there' exits 4 verb key grant maps blog
ok 'a name that leads elsewhere' exits 2 verb key set ../x </dev/null
key set other <"$TMP/maps" || bail 'no key'
key grant other blog || bail 'not granted'

ok 'fsck is clean' wait_until 20 "$USR/bin/silver" --dir "$STATE" fsck
ok 'verify too' verb verify blog --all
ok 'no more releases are kept than the node keeps' wait_until 20 sh -c "test \$(ls '$STATE/apps/blog/releases' | wc -l) -le 7"
ok 'an app that is destroyed' verb destroy blog --yes
verb key list >"$TMP/key.out"
ok '   leaves no grant to the next of its name' said '^other  -$' "$TMP/key.out"
done_testing
