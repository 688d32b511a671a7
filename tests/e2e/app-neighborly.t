#!/bin/sh
# The neighborly of tests/apps: Django on PostgreSQL, the admin's media through a link, migrations of which one fails (60 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

if [ ! -d /usr/lib/postgresql ] || [ ! -d /usr/lib/python3/dist-packages/django ]; then
	skip 'neighborly' 'PostgreSQL or Django is not installed'
	done_testing
	exit
fi
start_silverd
app_repository neighborly
app_version v1
ok 'neighborly: a Django site goes live with a database of its own' push
ok '   its tables are made before it is' said 'Applying neighborly.0001_initial... OK'
ok '   it answers' equal "$(fetch /neighbors)" 'neighborly 1: '
ok '   and keeps what it is told' equal "$(fetch /neighbors -d name=Anna)" 'neighborly 1: Anna'
ok '   the media of its admin are found through a link' equal "$(fetch_status /media/admin/css/base.css)" 200
ok '   to which its admin leads' said 'media/admin/css/base.css' "$(fetch /admin/login/ -o "$TMP/login" && echo "$TMP/login")"
app_version v2
ok 'a version with a migration goes live' push
ok '   the migration was made' said 'Applying neighborly.0002_street... OK'
ok '45 and the data are there' equal "$(fetch /neighbors)" 'neighborly 2: Anna, around the corner'
ok '   with what it adds' equal "$(fetch /neighbors -d name=Bert -d street=Elm)" 'neighborly 2: Anna, around the corner; Bert, Elm'
refuses_broken_forms
ok '11 a migration that failed half-way left the data as they were' \
	equal "$(fetch /neighbors)" 'neighborly 2: Anna, around the corner; Bert, Elm'
verb run neighborly bin/manage showmigrations neighborly >"$TMP/migrations"
ok '   and is not among those that were made' equal "$(sed 's/ *$//' "$TMP/migrations")" 'neighborly
 [X] 0001_initial
 [X] 0002_street'
ok '26 back to the first version by its commit' push -f HEAD~1:master
ok '   which works with the data of the second' equal "$(fetch /neighbors -d name=Carl)" 'neighborly 1: Anna; Bert; Carl'
ok '   forward again' push -f HEAD:master
ok '   nothing is lost' equal "$(fetch /neighbors)" 'neighborly 2: Anna, around the corner; Bert, Elm; Carl, around the corner'
done_testing
