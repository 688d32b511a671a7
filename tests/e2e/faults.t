#!/bin/sh
# 21 48 The part of the sweep of faults (tests/sweep/faults) that every run does: ENOSPC, EIO, EMFILE, ENOMEM at calls of
# every operation. As a plain user only, and on the plain build. About 80 s.
sweep=$(dirname "$0")/../sweep
if [ "$(id -u)" -eq 0 ] || [ -n "${SAN:-}" ] || [ ! -e "$sweep/lib.sh" ]; then
	echo 'ok 1 - 48 the sweep of faults # SKIP runs as a plain user, on the plain build, with tests/sweep/lib.sh'
	echo 1..1
	exit
fi
SHARD=${SHARD:-7/401} exec "$sweep/faults"
