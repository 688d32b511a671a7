#!/bin/sh
# The guestbook of tests/apps: PHP on MariaDB, with migrations, a session, pictures that are uploaded (20 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

{ [ -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" ] && php -m 2>/dev/null | grep -qx pdo_mysql; } || {
	skip 'guestbook' 'php-fpm or php-mysql is not installed'
	done_testing
	exit
}
start_silverd
app_repository guestbook
app_version v1
push || bail 'the first push failed'
ok '44 guestbook goes live, with a database of its own' equal "$(fetch /)" 'guestbook 1'
ok '   its migration ran'                               said '\| 001-entries.sql is done'
ok '   it checked itself'                               said '\| utf8mb4, 0 entries'
ok '   which nobody else may ask for'                   equal "$(fetch_status /selfcheck -H 'X-Silver-Internal: test')" 403
fetch /img/logo.png >"$TMP/logo"
ok 'its images are files'                               cmp "$TMP/logo" "$REPO/web/img/logo.png"
ok '   its sources are not'                             equal "$(fetch_status /../src/database.php --path-as-is)" 400
ok '   nor below php_root'                              equal "$(fetch_status /sql/001-entries.sql)" 404
jar=$TMP/cookies
ok 'who has no name does not sign'                      equal "$(fetch_status /sign -d text=hello)" 403
ok '   who has one does'                                equal "$(fetch /sign -c "$jar" -d name=Zoë -d text=hello)" 'thank you, Zoë'
ok '   and is known from then on'                       equal "$(fetch /sign -b "$jar" -d 'text=again 🙂')" 'thank you, Zoë'
head -c 3000000 /dev/urandom >"$TMP/picture"
ok '   with a picture of 3 MB'                          equal "$(fetch /sign -b "$jar" -F 'text=look' -F "picture=@$TMP/picture")" 'thank you, Zoë'
fetch / >"$TMP/page"
ok '   all of it is there'                              equal "$(sed 's/ (.*//' "$TMP/page")" "$(printf '%s\n' 'guestbook 1' 'Zoë: hello' 'Zoë: again 🙂' 'Zoë: look')"
picture=$(sed -n 's/.*(\(.*\)).*/\1/p' "$TMP/page")
picture_is_whole() {
	fetch "/picture/$picture" >"$TMP/got" && cmp "$TMP/got" "$TMP/picture"
}
ok '   the picture whole'                               picture_is_whole
app_version v2
ok '45 its next version migrates the data'              push
ok '   only what is new'                                must_fail said '001-entries'
ok '   and has them'                                    equal "$(fetch / | sed -n '1,2p')" "$(printf '%s\n' 'guestbook 2' 'Zoë: hello, 0 likes')"
ok '   the session goes on'                             equal "$(fetch /sign -b "$jar" -d text=still)" 'thank you, Zoë'
ok '   and the picture is there'                        picture_is_whole
refuses_broken_forms
ok '   after all of them it serves'                     equal "$(fetch / | wc -l)" 5
ok 'back by the commit'                                 push -f HEAD~1:master
ok '   with the data'                                   equal "$(fetch / | head -n 1)$(fetch / | wc -l)" 'guestbook 15'
ok 'its command runs with php-cli'                      equal "$(verb run guestbook php -r "'echo getenv(\"SILVER_INSTANCE_NAME\");'")" guestbook.1
done_testing
