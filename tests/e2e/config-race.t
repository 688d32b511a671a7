#!/bin/sh
# 14 Changes of the configuration and pushes at once: all land, none is lost, and the ref is what is live. About 30 s.
. "$(dirname "$0")/lib.sh"

CHANGES=20 PUSHES=5
start_silverd
new_app blog
commit_app 0
push || bail 'the first push failed'

# until_it_lands COMMAND...: who was told that somebody else is at it tries again
until_it_lands() {
	ul_tries=0
	until "$@" >"$TMP/said.$name" 2>&1; do
		grep -qE 'try again|another push|locked|fetch first|non-fast-forward|is busy' "$TMP/said.$name" || {
			sed "s/^/# $name: /" "$TMP/said.$name"
			return 1
		}
		ul_tries=$((ul_tries + 1))
		[ "$ul_tries" -lt 60 ] || return 1
	done
	echo "$name" >>"$TMP/landed"
}
: >"$TMP/landed"
changers=
i=0
while [ "$i" -lt "$CHANGES" ]; do
	i=$((i + 1))
	(
		name=set$i
		until_it_lands verb config set blog "V$i=value-$i"
	) &
	changers="$changers $!"
done
# One pusher, whose commits follow each other: the pushes race with the changes.
(
	p=0
	while [ "$p" -lt "$PUSHES" ]; do
		p=$((p + 1))
		name=push$p
		commit_app "$p"
		until_it_lands git_node -C "$REPO" push "$(url blog)" HEAD:master || exit 1
	done
) &
changers="$changers $!"
for pid in $changers; do
	wait "$pid" || echo "$pid" >>"$TMP/failed"
done
ok 'every change and every push lands' test ! -e "$TMP/failed"
ok '   each once' equal "$(sort "$TMP/landed" | uniq | wc -l)" $((CHANGES + PUSHES))

verb config show blog >"$TMP/shown"
all_are_set() {
	i=0
	while [ "$i" -lt "$CHANGES" ]; do
		i=$((i + 1))
		grep -qx "V$i=value-$i" "$TMP/shown" || {
			cat "$TMP/shown"
			return 1
		}
	done
}
ok 'no change is lost' all_are_set
ok '   the last push is live' serves "$PUSHES"
ok '   and the ref says so' ref_is_live
tr '\0' '\n' <"$STATE/apps/blog/current/env" >"$TMP/env"
ok '   the environment of the live release has them' equal "$(grep -c '=value-' "$TMP/env")" "$CHANGES"
ok '   one release each, and none for nothing' equal "$(live)" $((1 + CHANGES + PUSHES))
ok '   nothing half' nothing_half
settle_is_over() {
	settled && [ "$(find "$STATE/apps/blog/releases" -mindepth 1 -maxdepth 1 | wc -l)" -le 6 ]
}
ok '   old releases go' wait_until 60 settle_is_over
ok '   the tree is the commit' tree_is_exact
ok '   fsck is clean' wait_until 30 "$USR/bin/silver" --dir "$STATE" fsck
done_testing
