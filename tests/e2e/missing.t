#!/bin/sh
# Programs of Debian that are not there, when a node starts and under one that runs: hidden in a mount namespace of this file's own (15 s).
if [ "$(id -u)" -eq 0 ] && [ -z "${MISSING_NAMESPACE:-}" ] && unshare -m true 2>/dev/null; then
	export MISSING_NAMESPACE=1
	exec unshare -m "$0"
fi
. "$(dirname "$0")/lib.sh"

[ -n "${MISSING_NAMESPACE:-}" ] || {
	skip '48 a missing program' 'needs root and a mount namespace, to hide one'
	done_testing
	exit
}

hide() { # PROGRAM...: of /usr/bin and /usr/sbin, until unhide
	mkdir -p "$TMP/hidden"
	mount -t tmpfs none "$TMP/hidden"
	for dir in bin sbin; do
		mkdir -p "$TMP/hidden/$dir" "$TMP/hidden/$dir.work"
		for program; do
			[ ! -e "/usr/$dir/$program" ] || mknod "$TMP/hidden/$dir/$program" c 0 0
		done
		mount -t overlay overlay -o "lowerdir=/usr/$dir,upperdir=$TMP/hidden/$dir,workdir=$TMP/hidden/$dir.work" "/usr/$dir"
	done
}
unhide() { # lazily: umount itself is run from there
	umount -l /usr/bin /usr/sbin "$TMP/hidden"
}
starts_not() { # PATTERN: says so, and leaves nothing running
	must_fail timeout 60 "$USR/sbin/silverd" --dir "$STATE" --ssh 127.0.0.1:0 --http 127.0.0.1:0 >"$TMP/out" 2>&1 &&
		said "$1" "$TMP/out" && nothing_runs
}
refused() { # PATTERN: the push is refused so, and nothing has changed
	must_fail push || return 1
	said "$1" && equal "$(live)" "$before" && ref_is_live && serves "$version"
}

hide true
[ ! -e /usr/bin/true ] || {
	skip '48 a missing program' 'no overlay file system here'
	done_testing
	exit
}
unhide

# the client keeps its git
mkdir "$TMP/bin"
cp "$(command -v git)" "$TMP/bin/git"
PATH=$TMP/bin:$PATH

for pair in nginx:nginx-light s6-svscan:s6 s6-supervise:s6 s6-log:s6 git:git; do
	program=${pair%:*}
	hide "$program"
	ok "48 a node without $program does not start, and names the package" \
		starts_not "'$program' is not installed: apt-get install --no-install-recommends ${pair#*:}"
	unhide
done

start_silverd
new_app blog
commit_app 1
ok 'with all of them it starts, and a push lands'     push
before=$(live) version=$(fetch /version)
commit_app 2
hide git
ok '48 without git a push is refused with the reason' refused "silver: the program 'git' is not installed"
unhide
ok '   the same push lands when it is back'           push
ok '   and is served'                                 serves 2

new_app shop
printf '%s\n' '[production]' 'platform = php' 'runner = index.php' >"$REPO/app.ini"
echo '<?php echo "php", PHP_EOL;' >"$REPO/index.php"
git -C "$REPO" add -A
git -C "$REPO" commit -qm 1
# shellcheck disable=SC2046 # words are meant
hide $(find /usr/sbin -name 'php-fpm*' -printf '%f ')
ok '48 without php-fpm a php app is refused'          must_fail push
ok '   and the package named'                         said 'needs php-fpm, which is not installed on this node: apt-get install --no-install-recommends php-fpm'
unhide
[ -z "$(find /usr/sbin -name 'php-fpm*')" ] || {
	push || true
	ok '   with it the same push lands'           equal "$(fetch /)" php
}
done_testing
