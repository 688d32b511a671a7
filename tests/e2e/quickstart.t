#!/bin/sh
# docs/QUICKSTART.md does what it says: its commands are taken from the page and run as they stand there, but for the node's name.
. "$(dirname "$0")/lib.sh"

PAGE=$TOP/docs/QUICKSTART.md
commands_of() { # HEADING: what is indented below it, as one script
	awk -v heading="## $1" '
		$0 == heading { inside = 1; next }
		/^## / { inside = 0 }
		inside && /^    / { print substr($0, 5); next }
		inside && /^$/ { print }' "$PAGE" | sed "s/node\.example\.com:2222/127.0.0.1:$SSH_PORT/"
}

start_silverd
export HOME="$TMP/home" GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/admin" PATH="$USR/bin:$PATH"
mkdir -p "$HOME" "$TMP/desk"
git config --global user.name Ann
git config --global user.email ann@example.com
git config --global init.defaultBranch master

follow() { # HEADING [DIRECTORY]
	commands_of "$1" >"$TMP/page.sh"
	[ "$(grep -c 'git push silver master' "$TMP/page.sh")" -eq 1 ] || {
		echo "no push below '$1'"
		return 1
	}
	(cd "$TMP/desk/${2:-}" && timeout 300 sh -eu "$TMP/page.sh") >"$TMP/push.err" 2>&1 || {
		fo_status=$?
		cat "$TMP/push.err"
		return "$fo_status"
	}
}
answers() { # APP
	curl -sS -m 60 -H "Host: $1.localhost" "http://127.0.0.1:$HTTP_PORT/"
}
quick() { # HEADING APP WORDS-OF-ITS-PAGE
	ok "$1: the commands succeed"                follow "$1"
	ok '  and say that it is live'               said "silver: $2 release 1 is live at http://"
	ok '  and the page is served'                said "$3" "$(answers "$2" >"$TMP/out"; echo "$TMP/out")"
}
quick Static pages 'Hello, static'
quick Flask notes 'Hello, Flask'
quick Django shop 'Hello, Django, of 0 users'
quick Node.js board 'Hello, Node'
quick PHP guests 'Hello, PHP, at /'
ok 'And then: the commands succeed'          follow 'And then' notes
ok '  and release 1 is live again'           said 'release 1 is live'
done_testing
