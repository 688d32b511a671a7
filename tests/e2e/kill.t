#!/bin/sh
# 15 16 17 49 The part of the kill sweep (tests/sweep/kill) that every run does; `make sweep` does all of it. As a plain user only,
# and not under the sanitizers, where crash.t does. About 80 s.
if [ "$(id -u)" -eq 0 ] || [ -n "${SAN:-}" ]; then
	echo 'ok 1 - 49 the kill sweep # SKIP runs as a plain user, on the plain build'
	echo 1..1
	exit
fi
SHARD=${SHARD:-11/32} exec "$(dirname "$0")/../sweep/kill"
