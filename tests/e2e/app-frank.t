#!/bin/sh
# The frank of tests/apps: some 300 files, code below four roots, a path of the developer's machine, media from several places (30 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

start_silverd
app_repository frank
app_version v1
ok 'frank goes live' push
ok '   with what stood for another machine made relative' said 'relocated lib/python/easy-install.pth:2'
ok '   and so each line' said 'relocated lib/python/easy-install.pth:3'
ok '   is served, with code of each root' equal "$(fetch /)" 'frank 1: nothing is thrown away'
ok '   its 45 modules are imported' equal "$(fetch /parts)" '45 parts, sum 990'
ok '   from the tree' equal "$(fetch /roots)" '["lib/python", "src", "src/frank", "vendor/attic", "vendor/templates"]'
ok '   media from one place' equal "$(fetch /photos/123.txt)" 'photo 123'
ok '   and another' equal "$(fetch /css/site.css)" 'p { color: black }'
ok '   and its own' equal "$(fetch /robots.txt)" 'User-agent: *'
ok 'a command of bin/ runs with the same modules' equal "$(verb run frank bin/tidy --older-than 30)" 'tidy 1: --older-than 30 in frank, release 1'
app_version v2
ok 'its next version goes live' push
ok '   for one file' said '1 of 299 files changed'
ok '   and is served' equal "$(fetch /)" 'frank 2: nothing is thrown away'
refuses_broken_forms
ok 'back by the commit' push -f HEAD~1:master
ok '   it is the first again' equal "$(fetch /)" 'frank 1: nothing is thrown away'
ok '   for no file' said 'no file moved'
ok 'verify knows what was relocated' verb verify frank
done_testing
