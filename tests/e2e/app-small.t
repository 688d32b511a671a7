#!/bin/sh
# Three applications of tests/apps: a program in C, Node.js with its modules checked in, 5 000 static files (40 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

start_silverd

# --- a program in C ------------------------------------------------------------------------------
app_repository counter
app_version v1
ok 'counter: a program in C goes live' push
ok '   and answers on the socket that it inherited' equal "$(fetch / | sed 's/answer.*/answer/')" 'version 1 of counter, release 1, answer'
app_version v2
ok '   its next version, too' push
counts() { # from here on each answer counts one more
	co_first=$(fetch / | sed 's/.*answer //')
	equal "$(fetch / | sed 's/.*answer //')" "$((co_first + 1))"
}
ok '   that keeps what it has in memory' counts
answers_as() {
	fetch / >"$TMP/answer" && said "^$1" "$TMP/answer"
}
starts_again() {
	fetch /crash >/dev/null 2>&1 || true
	wait_until 60 answers_as 'version 2 of counter'
}
ok '33 crashed, it is started again, on the same socket' starts_again
refuses_broken_forms
ok '   and it serves after all of them' answers_as 'version 2 of counter, release 2'

# --- Node.js -------------------------------------------------------------------------------------
if [ -x /usr/bin/node ]; then
	app_repository noticeboard
	app_version v1
	ok 'noticeboard: Node.js with node_modules checked in goes live' push
	ok '   on the port that it was given' equal "$(fetch / | head -n 1)" 'noticeboard 1.0.0 of release 1'
	ok '   its static files are not its business' equal "$(fetch /board.css)" 'body { font-family: sans-serif }'
	ok '   a request with a body arrives' equal "$(fetch /notices -d 'lost: one cat')" noted
	ok '   and what it keeps is there' equal "$(fetch / | tail -n 1)" 'lost: one cat'
	ok '   a program of node_modules/.bin runs in its environment' \
		equal "$(verb run noticeboard node_modules/.bin/tiny-template "'{{SILVER_APP_NAME}}'")" noticeboard
	app_version v2
	ok '   its next version, too' push
	ok '   is served' equal "$(fetch / | head -n 1)" 'noticeboard 2.0.0 of release 2'
	refuses_broken_forms
	ok '   the old version comes back by its commit' push -f HEAD~1:master
	ok '   and is served' equal "$(fetch / | head -n 1)" 'noticeboard 1.0.0 of release 1'
else
	skip 'noticeboard: Node.js' 'nodejs is not installed'
fi

# --- 5 000 static files --------------------------------------------------------------------------
app_repository leaflet
app_version v1
ok 'leaflet: 5 000 static files go live' push
ok '   all of them' equal "$(find "$STATE/apps/leaflet/current/app/static/" -type f | wc -l)" 5001
ok '   a directory shows its index' equal "$(fetch /area-31/)" '<!doctype html><title>area 31</title><p>page 0 of area 31</p>'
app_version v2
ok '   one changed page' push
ok '   costs one file' said '1 of 5 002 files changed'
ok '   and is served' equal "$(fetch /area-07/page-13.html)" '<p>changed</p>'
ok '   beside the others' equal "$(fetch /area-07/page-14.html)" '<!doctype html><title>area 7</title><p>page 14 of area 7</p>'
refuses_broken_forms
ok '   nothing of them is served' equal "$(fetch_status /passwords)" 404
ok 'the tree is that of the commit' tree_is_exact
done_testing
