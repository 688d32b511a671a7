#!/bin/sh
# The geodns of tests/apps: WebOb and PostGIS, a set-up page for the node alone, a bulk import, known answers (60 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

[ -n "$(find /usr/share/postgresql -name 'postgis.control' 2>/dev/null)" ] || {
	skip 'geodns' 'PostGIS is not installed'
	done_testing
	exit
}
start_silverd
app_repository geodns
app_version v1
ok '44 geodns goes live, with a database of its own' push
ok '   its tables are made by the node, through its own page' said '\| the tables are there'
ok '   and it checked itself: SRID 26986 is known' said '\| the origin is at 200000.0 750000.0'
ok '   nobody else may ask for that page' equal "$(fetch_status /.setup)" 403
ok '   not by a forged header either' equal "$(fetch_status /.setup -H 'X-Silver-Internal: update')" 403
ok 'its bulk import runs on the node' equal "$(verb run geodns bin/import <"$APPS/geodns/places.txt")" '3 places'
ok '   a point in two polygons' equal "$(fetch '/at?lon=-71.0655&lat=42.3550')" 'Common, Boston'
ok '   a point in one' equal "$(fetch '/at?lon=-71.1000&lat=42.3000')" 'Boston'
ok '   another' equal "$(fetch '/at?lon=-71.8000&lat=42.2600')" 'Worcester'
ok '   a point in none' equal "$(fetch '/at?lon=-71.5000&lat=42.3000')" 'nowhere'
ok '   a transformed point' equal "$(fetch '/metres?lon=-71.5&lat=41')" '200000.0 750000.0'
ok '   static is one link' equal "$(fetch /about.txt)" 'the places of the state, by name'
app_version v2
ok '45 its next version keeps the data' push
ok '   is served' equal "$(fetch /)" 'geodns 2'
ok '   and answers' equal "$(fetch '/at?lon=-71.0655&lat=42.3550')" 'Common, Boston'
refuses_broken_forms
ok '   and answers after all of them' equal "$(fetch '/at?lon=-71.8000&lat=42.2600')" 'Worcester'
ok 'back by the commit' push -f HEAD~1:master
ok '   the data are where they were' equal "$(fetch '/at?lon=-71.0655&lat=42.3550')" 'Common, Boston'
done_testing
