#!/bin/sh
# Workers and commands by the clock: those of the live release run, and no others; they find what requests find.
. "$(dirname "$0")/lib.sh"

start_silverd

# One that strikes every minute, which the end of this file waits for.
new_app clock
mkdir -p "$REPO/bin"
cat >"$REPO/bin/strike" <<'END'
#!/bin/sh
echo "struck in release $SILVER_RELEASE"
END
chmod 755 "$REPO/bin/strike"
commit_app 1 '[cron:minute]' 'schedule = * * * * *' 'command = bin/strike'
push || bail 'the first push failed'
ok 'a static app may have a clock' said 'starting behind the flip: 1 command by the clock'

PLATFORM=python
new_app blog
events=$STATE/data/blog/events
write_worker() { # the others note when they begin and when they end, somewhere that no release has for itself
	mkdir -p "$REPO/bin"
	cat >"$REPO/bin/work" <<'END'
#!/usr/bin/python3
import json, os, signal, sys, time
name, release, tmp = sys.argv[1], os.environ["SILVER_RELEASE"], os.environ["TMPDIR"]
def note(what):
    with open(os.path.join(tmp, "../../events"), "a") as events:
        events.write("%s %s %s\n" % (what, release, name))
def end(*args):
    time.sleep(0.3) # who finishes what it has begun takes a while
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if name == "stubborn" else end)
note("begin")
new = os.path.join(tmp, "%s.%d" % (name, os.getpid())) # two of a name may begin at once
with open(new, "w") as file:
    json.dump(dict(os.environ), file)
os.rename(new, os.path.join(tmp, name + ".env"))
print("working as", name, flush=True)
while name in ("mail", "stubborn"):
    time.sleep(0.1)
END
	chmod 755 "$REPO/bin/work"
}
write_worker
commit_app 1 'update_fetch = script:bin/work fetched' \
	'[process:mail]' 'command = bin/work mail' 'count = 2' '[process:none]' 'command = bin/work none' 'count = 0' \
	'[cron:tidy]' 'schedule = 30 4 13 * fri' 'command = bin/work "tidy"'
ok 'a push with workers goes live' push
ok '   and says what starts with it' said 'starting behind the flip: 2 workers, 1 command by the clock'

begun() { # RELEASE N: so many workers have begun
	equal "$(grep -c "^begin $1 mail" "$events")" "$2"
}
ok 'they start' wait_until 60 begun 1 2
service() { # the directory of a service, where its pid is
	echo "$STATE/run/service/$APP.$1"
}
pid_of() {
	cat "$(service "$1")/session"
}
ok '   and nothing of a process of which there are none' test ! -e "$(service 1.none.1)"
waits() { # and is ready for SIGALRM, which would end it otherwise
	grep -qx snooze "/proc/$(pid_of "$1")/comm" &&
		grep -Eq '^SigCgt:[[:space:]]*[0-9a-f]*[2367abef][0-9a-f]{3}$' "/proc/$(pid_of "$1")/status"
}
ok 'the clock waits' wait_until 60 waits 1.cron-tidy
strike() { # snooze takes SIGALRM for its time
	wait_until 60 waits "$1" && kill -ALRM "$(pid_of "$1")"
}

# What requests, update_fetch, workers, the clock and `silver run` find: the same, each variable.
cat >"$TMP/same.py" <<'END'
import json, sys
own = {"LISTEN_FDS", "LISTEN_PID", "PORT", "SERVER_SOFTWARE"} # of the process, not of the release
each = {name: json.load(open(name)) for name in sys.argv[1:]}
names = set().union(*each.values()) - own
differ = {n: sorted({str(e.get(n)) for e in each.values()}) for n in names if len({e.get(n) for e in each.values()}) > 1}
print(len(names), "variables; different:", differ)
sys.exit(1 if differ or len(names) < 10 else 0)
END
# the schedule says the 13th or a Friday: at any other time its command does not run, so that asks for one that does
git -C "$REPO" commit -q --allow-empty -m 1b
sed -i 's/^schedule = .*/schedule = 30 4 1 1 */' "$REPO/app.ini"
git -C "$REPO" commit -qam 1b
ok 'the next release' push
ok '   has workers of its own' wait_until 60 begun 2 2
order() { # no worker of a release begins before all of the one before have ended
	cat "$events" "$STATE"/log/blog/*.mail.*/current
	python3 - "$events" <<'END'
import sys
up = []
for line in open(sys.argv[1]):
    what, release, name = line.split()
    if name not in ("mail", "stubborn"):
        continue
    if what == "begin":
        assert all(r == release for r in up), (line, up)
        up.append(release)
    else:
        up.remove(release)
END
}
ok '   which began when the others had ended' order
ok '   and of the others nothing is left' must_fail grep -qx "$(pid_of 2.mail.1)" "$(service 1.mail.1)/session"
ok 'the clock strikes' strike 2.cron-tidy
tmp=$STATE/data/blog/tmp/2
ok '   and its command runs' wait_until 60 test -s "$tmp/tidy.env"
verb run blog bin/work ran >/dev/null
fetch /env >"$TMP/request.env"
ok '43 the environment is the same in a request, update_fetch, a worker, by the clock and in run' \
	python3 "$TMP/same.py" "$TMP/request.env" "$tmp/fetched.env" "$tmp/mail.env" "$tmp/tidy.env" "$tmp/ran.env"

# What people see.
status_says() { verb status blog >"$TMP/status" && said "$1" "$TMP/status"; }
ok 'status: what serves requests' status_says '^  process +web +up since [0-9-]+ [0-9:]+ UTC$'
ok '   each worker' status_says '^  process +mail.2 +up since'
ok '   the clock, with its next time and what it did' wait_until 60 status_says \
	'^  process +cron-tidy +waits for [0-9]+-01-01 [0-9:]+ UTC, ran 1 time, last ended with status 0$'
json_says() {
	verb status blog --json | python3 -c '
import json, sys
p = {i["process"]: i for i in json.load(sys.stdin)["processes"]}
assert sorted(p) == ["cron-tidy", "mail.1", "mail.2", "web"], p
assert p["web"]["state"] == "up" and p["mail.1"]["pid"] > 0 and p["cron-tidy"]["next"] > 0 and p["cron-tidy"]["ended"] == 1, p'
}
ok '   the same as JSON' json_says
ok 'logs: of all, each line with its process' wait_until 60 sh -c \
	"ssh -F $TMP/ssh_config -i $TMP/keys/admin -p $SSH_PORT silver@127.0.0.1 logs blog | grep -Eq '^[0-9-]+ [0-9:.]+  \[2 mail.2\] working as mail\$'"
logs_of() { verb logs blog --process "$1" >"$TMP/logs" && said "$2" "$TMP/logs"; }
ok '   of one' logs_of cron-tidy '^[0-9-]+ [0-9:.]+  working as tidy$'
ok '   of all of a name' logs_of mail '  \[2 mail.1\] working as mail$'
ok '   of the release before' sh -c "ssh -F $TMP/ssh_config -i $TMP/keys/admin -p $SSH_PORT silver@127.0.0.1 logs blog --release 1 --process mail | grep -q '1 mail.1'"
ok '   of none' must_fail verb logs blog --process nosuch

# One that dies is begun again.
before=$(pid_of 2.mail.1)
kill -KILL "$before"
echo 'end 2 mail' >>"$events" # it could not
other() { [ -s "$(service "$1")/session" ] && [ "$(pid_of "$1")" != "$2" ]; }
ok '33 a worker that dies comes back' wait_until 60 other 2.mail.1 "$before"
ok '   which status tells' wait_until 60 status_says 'mail.1 +up since .*, started again 1 time, last ended by signal 9$'
ok '   and its log' wait_until 60 logs_of mail.1 'silver: mail.1 was ended by signal 9'

# What never goes live has no workers, and costs those that run nothing.
settled_now() { wait_until 60 settled; }
settled_now || true
before=$(pid_of 2.mail.1)
sed -i 's/^runner.*/&\nhealth = \/fail/' "$REPO/app.ini"
git -C "$REPO" commit -qam broken
ok 'a push that is not healthy is refused' must_fail push
ok '   and none of its workers ever ran' must_fail grep -q '^begin 3 mail' "$events"
ok '   while those of the live release go on' equal "$(pid_of 2.mail.1)" "$before"
git -C "$REPO" reset -q --hard HEAD~1
ok 'a release that is set aside' push -o stage "HEAD:master" || true
ok '   has none either' must_fail grep -q '^begin [3-9] mail' "$events"

# Back, and with other workers. From here on some will not end, which need not take the 30 s that they have.
ok 'a rollback' verb rollback blog
released() { [ ! -e "$(service 2.mail.1)" ] && [ -e "$(service 1.mail.1)" ]; }
ok '   brings back the workers of that release' wait_until 60 released
ok '   one after the other' order
sed -i 's/^\[node\]/[node]\ndrain_ms = 1000/' "$STATE/node.ini"
sed -i 's/^\[process:mail\]/[process:stubborn]/; s/^command = bin\/work mail/command = bin\/work stubborn/; s/^count = 2/count = 1/' "$REPO/app.ini"
git -C "$REPO" commit -qam 4
push || bail 'the push of another worker failed'
stubborn() { grep -q "^begin $(live) stubborn" "$events"; }
ok 'a worker of another name' wait_until 60 stubborn
old=$(live)
old_pid=$(pid_of "$old.stubborn.1")
sed -i '/^\[process:stubborn\]/,/^count/d; /^\[cron:tidy\]/,$d' "$REPO/app.ini"
git -C "$REPO" commit -qam 5
ok 'a push without workers' push
ok '   ends one that will not end' wait_until 60 gone "$old_pid"
no_workers() { [ -z "$(find "$STATE/run/service" -maxdepth 1 -name '*blog.*.*')" ]; }
ok '   and leaves none' wait_until 60 no_workers

# The processes outlive silverd, and come back with the node.
git -C "$REPO" revert --no-edit HEAD >/dev/null
push || bail 'the push of the worker again failed'
ok 'with a worker again' wait_until 60 stubborn
release=$(live)
settled_now || true
before=$(pid_of "$release.stubborn.1")
kill -KILL "$SILVERD"
wait "$SILVERD" 2>/dev/null || true
start_silverd
ok 'kill -9 of silverd: the worker goes on' wait_until 60 settled
ok '   the same process' equal "$(pid_of "$release.stubborn.1")" "$before"
ok 'the node stops' stop_silverd
ok '   with all workers' wait_until 60 nothing_runs
lines=$(grep -c "^begin $release stubborn" "$events")
start_silverd
again() { [ "$(grep -c "^begin $release stubborn" "$events")" -gt "$lines" ]; }
ok 'it starts: the worker runs again' wait_until 60 again

# What a process writes is kept in files of a megabyte, the last ten of them.
new_app talker
PLATFORM=static
mkdir -p "$REPO/bin"
# shellcheck disable=SC2016 # the app's
printf '#!/bin/sh\nseq -f "word %%.0f of many, until nobody listens any more" 250000\nexec sleep 98765\n' >"$REPO/bin/talk"
chmod +x "$REPO/bin/talk"
commit_app 1 '[process:talk]' 'command = bin/talk'
push || bail 'the push of a talking worker failed'
log=$STATE/log/talker/1.talk.1
said_all() { tail -n 1 "$log/current" | grep -q 'word 250000 of many'; }
ok 'a worker that writes 15 MB is heard to the end' wait_until 60 said_all
ok '   its log has begun new files' test -n "$(find "$log" -name '@*')"
ok '   and is not larger than it may be' test "$(du -sk "$log" | cut -f 1)" -le 12000
last_words() { verb logs talker -n 2 | sed 's/^.* word/word/'; }
ok '   the last lines of it are shown' equal "$(last_words)" "$(printf 'word %d of many, until nobody listens any more\n' 249999 250000)"

APP=clock
logs_of_clock() { verb logs clock | grep -q 'struck in release 1'; }
struck() { grep -rqs 'struck in release 1' "$STATE/log/clock/1.cron-minute"; }
ok 'a command of every minute has run by itself' wait_until 90 struck
ok '   which its log has' logs_of_clock
APP=blog
ok 'an app is destroyed with its workers' verb destroy blog --yes
ok '   which are gone' no_workers
done_testing
