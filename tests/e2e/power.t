#!/bin/sh
# 49 The part of the power sweep (tests/sweep/power, on ext4) that every run does; `make sweep` does all of it. As root, where
# there are loop devices, and not under the sanitizers. About 90 s.
[ -z "${SAN:-}" ] || {
	echo 'ok 1 - 49 the power sweep # SKIP runs on the plain build'
	echo 1..1
	exit
}
SHARD=${SHARD:-11/32} exec "$(dirname "$0")/../sweep/power"
