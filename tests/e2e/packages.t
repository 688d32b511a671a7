#!/bin/sh
# The packages of app.ini: simulated in the gate, then installed; what cannot be refuses the push by name (scenarios 10,
# 30, 48). With real apt and dpkg, from a signed repository of the test's own. As root into another root than the machine's,
# and one harmless package into the machine, which is removed again; as a plain user into the node's store. About 30 s.
. "$(dirname "$0")/lib.sh"
. "$HERE/apt.sh"

is_root() {
	[ "$(id -u)" -eq 0 ]
}
is_root || {
	skip 'packages of the node' 'a node without root installs none yet'
	done_testing
	exit 0
}

# --- the repository ----------------------------------------------------------------------------------
deb st-lib 1.0
deb st-prog 1:2.0-1~x 'Depends: st-lib'
deb st-broken 1.0 'Depends: st-nowhere'
deb st-other 1.0
deb st-old 3.0
deb st-foe 1.0 'Conflicts: st-old'
deb g++st 1.0
publish

# --- a node that asks there ----------------------------------------------------------------------------
start_silverd
ROOT=$TMP/root
mkdir -p "$ROOT/var/lib/dpkg/updates" "$ROOT/var/lib/dpkg/info" "$ROOT/usr/bin"
printf 'Package: st-old\nStatus: install ok installed\nMaintainer: T <t@example.com>\nArchitecture: all\nVersion: 3.0\nDescription: t\n\n' \
	>"$ROOT/var/lib/dpkg/status"
! is_root || echo "DPkg::Options { \"--root=$ROOT\"; };" >>"$APT_CONF"

# settings LINE...: section [packages] of node.ini, and a silverd that has read it
settings() {
	stop_silverd
	sed -i '/^\[packages\]/,$d' "$STATE/node.ini"
	{
		echo '[packages]'
		echo "apt_config = $APT_CONF"
		echo "dpkg = $ROOT/var/lib/dpkg"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >>"$STATE/node.ini"
	start_silverd
}
settings 'lists_ms = 0'

new_app blog
commit_app 1
push || bail 'the first push failed'

refused() { # WHAT PATTERN LINE...
	rf_what=$1 rf_pattern=$2
	shift 2
	commit_app 9 "$@"
	rf_before=$(cat "$ROOT/var/lib/dpkg/status")
	ok "10 $rf_what is refused" must_fail push
	ok '   by name, with its line' said "$rf_pattern"
	ok '   dpkg has not changed' equal "$(cat "$ROOT/var/lib/dpkg/status")" "$rf_before"
	ok '   live unchanged' serves "${LIVE:-1}"
	git -C "$REPO" reset -q --hard HEAD~1
}
refused 'an unknown package' "app\\.ini:4: package st-nosuch: this node's apt sources have no such package" \
	'packages = st-prog' '   st-nosuch'
ok '   and no other is blamed' must_fail said 'package st-prog'
refused 'one that depends on nothing there is' 'app\.ini:3: package st-broken: it cannot be installed: .*st-nowhere' \
	'packages = st-broken, st-prog'
refused 'one that would remove another' 'app\.ini:3: package st-foe: it would remove st-old' 'packages = st-foe st-prog'
refused 'a name with a sign behind it' "app\\.ini:3: package st-other\\+: this node's apt sources have no" \
	'packages = st-other+'
refused 'a pattern' "app\\.ini:3: package st.other: this node's apt sources have no" 'packages = st.other'
refused 'several together, all told at once' 'package st-nosuch:' 'packages = st-nosuch st-nosuch2'
ok '   the other too' said 'package st-nosuch2:'

commit_app 2 'packages = st-prog g++st'
ok 'a plan says what would be installed' must_fail push -o plan HEAD:master
ok '   with versions' said 'plan: package: st-prog 1:2.0-1~x, would be installed'
ok '   what it brings with it' said 'plan: package: st-lib 1.0, would be installed'
ok '   and installs nothing' must_fail grep -q st-prog "$ROOT/var/lib/dpkg/status"
ok 'a push that asks for packages' push
ok '   is live' serves 2
ok '   its record has the version' said '^installed = g\+\+st 1\.0$' "$STATE/apps/blog/releases/2/record.ini"
verb status blog --json >"$TMP/status" 2>/dev/null || true
ok '   status too' said '"packages":\{"g\+\+st":"1.0","st-prog":"1:2.0-1~x"\}' "$TMP/status"
verb status blog >"$TMP/status" 2>/dev/null || true
ok '   in words' said 'packages  g\+\+st 1.0, st-prog 1:2.0-1~x' "$TMP/status"
LIVE=2

commit_app 3 'packages = st-prog g++st'
ok 'with all of them there' push
ok '   no apt is run' must_fail said 'silver: \||apt'
LIVE=3

settings 'lists_ms = 0' 'allow = st-prog g++* lib*'
refused 'what the operator does not allow' "app\\.ini:3: package st-other: this node does not install it; its operator adds it to 'allow'" \
	'packages = st-prog st-other g++st'
settings 'lists_ms = 0' 'install = no'
refused 'with install = no' 'app\.ini:3: not installed on this node: st-other' 'packages = st-prog st-other g++st'

settings 'lists_ms = 0'
deb st-newer 1.0
publish
echo broken >>"$APT/repository/Packages"
refused 'a repository that does not agree with its signature' 'packages: apt.s lists cannot be fetched: .*(Hash Sum|size)' 'packages = st-nosuch'
signing_key stranger
deb st-new 1.0
publish
refused 'a repository signed by another key' "packages: apt.s lists cannot be fetched: .*signature" 'packages = st-new'
mv "$APT/repository" "$APT/away"
refused 'a source that is out of reach' 'packages: apt.s lists cannot be fetched: ' 'packages = st-nosuch'
mv "$APT/away" "$APT/repository"
signing_key key
publish

# --- as root: packages of the machine ------------------------------------------------------------------
ok 'st-prog is in the root, with what it needs' test -x "$ROOT/usr/bin/st-prog" -a -x "$ROOT/usr/bin/st-lib"
ok '   and not in the machine' test ! -e /usr/bin/st-prog

# Somebody has dpkg's lock.
settings 'lists_ms = 0' 'lock_ms = 1000'
cat >"$TMP/holder.py" <<-'END'
	import fcntl, sys, time
	f = open(sys.argv[1], "w")
	fcntl.lockf(f, fcntl.LOCK_EX)
	open(sys.argv[2], "w").close()
	time.sleep(1000)
END
python3 "$TMP/holder.py" "$ROOT/var/lib/dpkg/lock-frontend" "$TMP/held" &
holder=$!
wait_until 60 test -e "$TMP/held" || bail 'the lock could not be taken'
refused 'while somebody has the lock of dpkg, after some waiting, it' \
	"packages: dpkg is in use by python3 \\(process $holder\\) on this node; push again" 'packages = st-other'
ok '   meanwhile it said so' said "waiting: dpkg is in use by python3 \\(process $holder\\)"
kill "$holder"
wait "$holder" || true

# A run that was cut short is finished first.
sed -i '/^Package: st-lib/,/^$/s/^Status: .*/Status: install ok unpacked/' "$ROOT/var/lib/dpkg/status"
commit_app 4 'packages = st-prog g++st st-other'
ok '48 an interrupted dpkg' push
ok '   is finished first' said 'an earlier run of dpkg was cut short: finishing it'
ok '   all of it' must_fail grep -q 'ok unpacked' "$ROOT/var/lib/dpkg/status"
ok '   and then what was asked for is there' test -x "$ROOT/usr/bin/st-other"
ok '   what apt said is shown' said '\| Setting up st-other'
ok 'the log of the node has it' said 'Setting up st-other' "$STATE/log/packages.log"
LIVE=4

# A kept release that goes live again has its packages again.
dpkg --root="$ROOT" --purge st-other >"$TMP/purge.log" 2>&1 || bail "$(cat "$TMP/purge.log")"
commit_app 5 'packages = st-prog'
push || bail 'a push with fewer packages failed'
ok '30 rolling back' verb rollback blog
ok '   installs what was removed meanwhile' test -x "$ROOT/usr/bin/st-other"

silver fsck >"$TMP/fsck" 2>&1 || true
ok 'fsck knows what there is' must_fail said 'nothing of this name belongs here' "$TMP/fsck"

# --- one package for this very machine, by its own dpkg; removed again. Its sources are not asked -----------
real_deb=silver-e2e-$$
remove_real() {
	! dpkg-query -W "$real_deb" >/dev/null 2>&1 || dpkg --purge "$real_deb" >/dev/null 2>&1 || true
}
CLEAN_UP=remove_real
sed -i '/^DPkg::Options/d' "$APT_CONF"

# Its maintainer script asks whether a service may be started.
DEB_TREE=$TMP/real-tree
mkdir -p "$DEB_TREE/DEBIAN"
cat >"$DEB_TREE/DEBIAN/postinst" <<-END
	#!/bin/sh
	set -e
	status=0
	[ ! -x /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d nginx start || status=\$?
	echo "policy says \$status, frontend \$DEBIAN_FRONTEND"
END
chmod 755 "$DEB_TREE/DEBIAN/postinst"
deb "$real_deb" 1.0
DEB_TREE=
publish
ROOT=
settings 'lists_ms = 0' 'lock_ms = 300000'
there_before=$(test -e /usr/sbin/policy-rc.d && echo yes || echo no)
commit_app 5 "packages = $real_deb dpkg"
PUSH_SECONDS=600
ok 'a package for the machine itself' push
ok '   is installed there' test -x "/usr/bin/$real_deb"
ok '   as dpkg says' equal "$(dpkg-query -W -f '${Status}' "$real_deb")" 'install ok installed'
ok '   without a question to anybody' said 'frontend noninteractive'
ok '   its scripts may start no service' said 'policy says 101'
ok '   and the policy is as it was' equal "$(test -e /usr/sbin/policy-rc.d && echo yes || echo no)" "$there_before"
verb status blog >"$TMP/status" 2>&1 || true
ok '   status has both, with versions' said "packages  dpkg [0-9].*, $real_deb 1.0" "$TMP/status"
remove_real
ok '   and it is gone again' test ! -e "/usr/bin/$real_deb"
done_testing
