#!/bin/sh
# Locations: paths, suffixes, '*', aliases; who may have what; nginx is touched when they change and never at a deploy.
# 34, 36. Which of many counts is tests/unit/test_front.c's. About 30 s.
# shellcheck disable=SC2016 # '*' is a location, and dollars are the inner shell's
. "$(dirname "$0")/lib.sh"

# at HOST PATH [CURL ARGS]: what is answered there
at() {
	at_host=$1 at_path=$2
	shift 2
	curl -sS --max-time 60 --path-as-is -H "Host: $at_host" "$@" "http://127.0.0.1:$HTTP_PORT$at_path"
}
status_at() {
	at "$@" -o /dev/null -w '%{http_code}'
}
# leads HOST PATH [CURL ARGS]: where a redirect goes
leads() {
	at "$@" -o /dev/null -D - | tr -d '\r' | sed -n 's/^[Ll]ocation: //p'
}
environ() { # HOST PATH NAME
	at "$1" "$2" | python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$3"
}
config() {
	sha256sum <"$STATE/run/nginx.conf"
}

PLATFORM=python
start_silverd
new_app blog
commit_app 1
mkdir "$REPO/static/docs"
echo 'docs page' >"$REPO/static/docs/index.html"
git -C "$REPO" add -A
git -C "$REPO" commit -qm 'version 1: docs'
push || bail 'the first push failed'
PLATFORM=static
new_app shop
commit_app shop
before=$(config)
push || bail 'the push of shop failed'
ok 'DESIGN a deploy and a new app touch no configuration' equal "$(config)" "$before"

ok '34 a path of a host'                  verb location add blog example.com/blog
ok '  the app is there'                   equal "$(at example.com /blog/version)" 1
ok '  and is told where'                  equal "$(environ example.com /blog/environ SCRIPT_NAME)" /blog
ok '  the rest is its own'                equal "$(environ example.com '/blog/environ?a=%2f' PATH_INFO)" /environ
ok '  the other address has none'         equal "$(environ blog.localhost /environ SCRIPT_NAME)" ''
ok '  files, too'                         equal "$(at example.com /blog/file)" 1
ok '  a directory gets its slash'         equal "$(leads example.com '/blog/docs?q')" '/blog/docs/?q'
ok '  its index is the directory'         equal "$(leads example.com /blog/docs/index.html)" /blog/docs/
ok '  /blog is /blog/'                    equal "$(leads example.com '/blog?q=1')" '/blog/?q=1'
ok '34 /blogger is not'                   equal "$(status_at example.com /blogger)" 404
ok '  nor is what merely leads there'     equal "$(status_at example.com /x/../blog/version) $(status_at example.com /%62log/version)" '404 404'
ok '  what is encoded arrives so'         equal "$(at example.com /blog/x%2fy%20z)" 'no /x/y z'
ok 'beside it a host'                     verb location add shop example.com
ok '  has the rest'                       equal "$(at example.com /version) $(at example.com /blog/version)" 'shop 1'
ok '34 a suffix'                          verb location add shop .example.org
ok '  with the bare domain'               equal "$(at example.org /version) $(at a.b.example.org /version)" 'shop shop'
ok '  and no other'                       equal "$(status_at badexample.org /version)" 404
ok '34 everything else'                   verb location add blog "'*'"
ok '  the most specific counts'           equal "$(at www.example.net /version) $(at www.example.org /version)" '1 shop'
ok '  also by a number'                   equal "$(at 127.0.0.1 /version)" 1
ok '34 an alias'                          verb location add blog old.example.com --redirect example.com/blog
ok '  redirects, all of it'               equal "$(leads "old.example.com:$HTTP_PORT" '/a%20b?c=d')" "http://example.com:$HTTP_PORT/blog/a%20b?c=d"

ok '36 a location has one app'            exits 1 verb location add shop example.com/blog
ok '  what is none is refused'            exits 2 verb location add shop "'example.com/; return 200'"
ok '  of no app neither'                  exits 4 verb location add nothere x.example.com
ok '  an alias leads to its own app'      exits 1 verb location add shop older.example.com --redirect example.com/blog
ok '  what an alias leads to stays'       exits 1 verb location remove blog example.com/blog
ok '36 all others serve'                  equal "$(at example.com /version) $(at example.com /blog/version) $(at x.example.org /version)" 'shop 1 shop'
new_key dev
add_user dev --role deploy >/dev/null 2>&1
KEY='dev'
ok 'locations are an admin'\''s'          exits 5 verb location add blog dev.example.com
ok '  everybody may read them'            equal "$(verb location list blog | tr '\n' ';')" 'example.com/blog;old.example.com -> example.com/blog;blog.localhost;*;'
KEY='admin'
ok '  JSON'                               equal "$(verb location list blog --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(len(d), d[0]["url"], d[0]["canonical"])')" \
	"4 http://example.com:$HTTP_PORT/blog True"

APP=blog REPO=$TMP/work/blog
ok 'a new release knows'                  verb redeploy blog
ok '  its host and path'                  equal "$(at example.com /blog/env | python3 -c 'import json, sys; e = json.load(sys.stdin); print(e["SILVER_CANONICAL_HOSTNAME"], e["SILVER_MATCH_PATH"], e["STATIC_URL"])')" \
	"example.com /blog /blog/static-$(git -C "$REPO" rev-parse HEAD)/"
ok '  and STATIC_URL serves'              equal "$(at example.com "/blog/static-$(git -C "$REPO" rev-parse HEAD)/file")" 1

# the release before, only where an admin shows it
verb location remove blog "'*'" >/dev/null
ok 'prev.HOST leads nowhere'              equal "$(status_at prev.example.net /env)" 404
ok '  until an admin adds it'             verb location add blog prev.example.net --previous
ok '  which is listed so'                 said '^prev.example.net -> the previous release$' "$(verb location list blog >"$TMP/list" && echo "$TMP/list")"
prev_is() { equal "$(environ prev.example.net /env SILVER_RELEASE)" "$1"; }
ok '  its processes are started again'    wait_until 60 prev_is 1
git -C "$REPO" commit -q --allow-empty -m 'nothing new'
ok '  a push'                             push
ok '  makes it the one before'            prev_is 2
behind_it() { settled && [ ! -e "$STATE/run/service/blog.1" ]; }
ok '  the one before that is ended'       wait_until 60 behind_it
ok '  it still serves'                    prev_is 2
ok '  and is no address of the app'       equal "$(environ example.com /blog/env SILVER_CANONICAL_HOSTNAME)" example.com
ok '  another use of it is refused'       exits 1 verb location add blog prev.example.net
ok '  a rollback changes the two'         verb rollback blog
ok '  it shows what was live'             wait_until 60 prev_is 3
ok '  and no alias leads to it'           exits 1 verb location add blog alias.example.net --redirect prev.example.net
stop_silverd || bail 'silverd does not stop'
start_silverd
ok '35 the node starts both'              wait_until 60 prev_is 3
ok '  removed'                            verb location remove blog prev.example.net
ok '  it leads nowhere'                   equal "$(status_at prev.example.net /env)" 404
prev_ended() { [ ! -e "$STATE/run/service/blog.3" ] && [ -e "$STATE/run/service/blog.2" ]; }
ok '  its processes end, without a deploy' wait_until 60 prev_ended
verb activate blog 3 >/dev/null
verb location add blog "'*'" >/dev/null

ok 'remove'                               verb location remove blog old.example.com
ok '  it leads elsewhere then'            equal "$(leads old.example.com /x)$(at old.example.com /version)" 1
ok '  what is not there'                  exits 4 verb location remove blog old.example.com

PLATFORM=static
new_app wiki
commit_app wiki 'default_location = example.com/wiki'
ok 'a push may not have a path of another app'\''s host' must_fail push
ok '  and says who gives it'              said 'silver location add wiki example.com/wiki'
ok '  nothing is live'                    equal "$(live)" ''
commit_app wiki 'default_location = wiki.example/the'
ok 'it may have one of nobody'\''s'       push
ok '  which is told'                      said "is live at http://wiki\.example:$HTTP_PORT/the"
ok '  and answers'                        equal "$(at wiki.example /the/version)" wiki
ok 'the last location stays'              exits 1 sh -c '"$1" --dir "$2" location remove wiki wiki.localhost && "$1" --dir "$2" location remove wiki wiki.example/the' - "$USR/bin/silver" "$STATE"

# what a crash may leave: a link that nothing knows of yet
stop_silverd || bail 'silverd does not stop'
ln -s ../apps/wiki/current "$STATE/hosts/late.example,wiki"
rm "$STATE/locations/blog" "$STATE/run/nginx.conf"
pending() {
	fs_status=0
	silver fsck >"$TMP/fsck.out" 2>&1 || fs_status=$?
	equal "$fs_status $(grep -c '^pending ' "$TMP/fsck.out") $(grep -c '^damage ' "$TMP/fsck.out")" '3 2 0' || {
		cat "$TMP/fsck.out"
		return 1
	}
}
ok 'fsck: it is pending'                  pending
start_silverd
ok 'the next start knows'                 equal "$(at late.example /wiki/version) $(at example.com /blog/version)" 'wiki 1'
sound() {
	silver fsck >"$TMP/fsck.out" 2>&1 || {
		cat "$TMP/fsck.out"
		return 1
	}
}
ok '  all is sound'                       wait_until 60 sound
ok 'destroy'                              verb destroy wiki --yes
ok '  takes its locations with it'        equal "$(find "$STATE/hosts" "$STATE/locations" -name '*wiki*' | wc -l) $(at late.example /wiki/version)" '0 no /wiki/version'
ok '  all is sound'                       wait_until 60 sound
done_testing
