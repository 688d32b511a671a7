#!/bin/sh
# The bbdocs of tests/apps: a request that starts a job of its own, its output below the host that asked for it, two hosts and a path (40 s).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apps.sh"

start_silverd
app_repository bbdocs
app_version v1
files=$STATE/data/bbdocs/files
ask() { # HOST PATH [CURL ARGS]
	as_host=$1 as_path=$2
	shift 2
	curl -sS --max-time 60 -H "Host: $as_host:$HTTP_PORT" "$@" "http://127.0.0.1:$HTTP_PORT$as_path"
}
is_made() { # HOST PATH TEXT
	equal "$(ask "$1" "$2")" "$3"
}
is_made_by() { # RELEASE
	made=$(ask bbdocs.localhost "$job")
	equal "${made##*(}" "made by release $1)"
}
builder_is_at_work() {
	find "$files/at-work" -type f | grep -q .
}
# The workers change behind the answer: until then it is the old one that takes a job.
builder_is_of() { # RELEASE
	equal "$(cat "$files/builder")" "release $1"
}
gate() { # open|shut: how long a job takes is said here
	case $1 in
	open) touch "$files/gate" ;;
	shut) rm -f "$files/gate" ;;
	esac
}

ok 'bbdocs: a site with a worker goes live' push
ok 'a second host, and a path of a third' silver location add bbdocs docs.example.com
ok '   it has many' silver location add bbdocs example.com/docs
ok '   each knows where it is' equal "$(ask docs.example.com /)" 'bbdocs 1 at docs.example.com/'
ok '34 and the path, too' equal "$(ask example.com /docs/)" 'bbdocs 1 at example.com/docs/'
ok '   no more than that' equal "$(ask example.com /docsier -o /dev/null -w '%{http_code}')" 404

job=$(ask bbdocs.localhost /jobs -d 'one long document')
ok 'a job is ordered, and answered for at once' expr "$job" : '/jobs/[0-9a-f]*\.txt$'
ok '   the worker is at it' wait_until 60 builder_is_at_work
ok '   other requests are answered meanwhile' equal "$(ask docs.example.com /)" 'bbdocs 1 at docs.example.com/'
ok '   and it is not made yet' equal "$(ask bbdocs.localhost "$job")" 'not made yet, or never ordered'
app_version v2
ok '45 a deploy in the middle of it' push
ok '   is served' equal "$(ask bbdocs.localhost /)" 'bbdocs 2 at bbdocs.localhost/'
ok '   the worker is replaced' wait_until 60 builder_is_of 2
ok '   and the new one is at the job' wait_until 60 builder_is_at_work
gate open
ok '   which makes it' wait_until 60 is_made bbdocs.localhost "$job" 'ONE LONG DOCUMENT (made by release 2)'
ok '   below the host that asked for it' equal "$(ask docs.example.com "$job")" 'not made yet, or never ordered'
other=$(ask example.com /docs/jobs -d 'of the path')
ok 'one ordered below the path' wait_until 60 is_made example.com "$other" 'OF THE PATH (made by release 2)'
ok '26 after a rollback' verb rollback bbdocs
ok '   the old version is served' equal "$(ask bbdocs.localhost /)" 'bbdocs 1 at bbdocs.localhost/'
ok '   what was made is there' equal "$(ask bbdocs.localhost "$job")" 'ONE LONG DOCUMENT (made by release 2)'
ok '   its worker, too, comes back' wait_until 60 builder_is_of 1
job=$(ask bbdocs.localhost /jobs -d 'after the rollback')
ok '   and makes what is ordered' wait_until 60 is_made_by 1
refuses_broken_forms
done_testing
