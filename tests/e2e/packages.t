#!/bin/sh
# The packages of app.ini: simulated in the gate, then installed; what cannot be refuses the push by name (scenarios 10,
# 30, 48). With real apt and dpkg, from a signed repository of the test's own. As root into another root than the machine's,
# and one harmless package into the machine, which is removed again; as a plain user into the node's store. About 30 s.
. "$(dirname "$0")/lib.sh"
. "$HERE/apt.sh"

is_root() {
	[ "$(id -u)" -eq 0 ]
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
refused 'with install = no' 'app\.ini:3: not installed on this node: .*st-other.*: `apt install ' 'packages = st-prog st-other g++st'

settings 'lists_ms = 0'
deb st-newer 1.0
publish
echo broken >>"$APT/repository/Packages"
refused 'a repository that does not agree with its signature' 'packages: apt.s lists cannot be fetched: .*(Hash Sum|size)' 'packages = st-nosuch'
signing_key stranger
cat "$APT/stranger.gpg" >>"$APT/key.gpg" # in the file, and not the one whose fingerprint the source names
deb st-new 1.0
publish
refused 'a repository signed by another key' "packages: apt.s lists cannot be fetched: .*signature" 'packages = st-new'
mv "$APT/repository" "$APT/away"
refused 'a source that is out of reach' 'packages: apt.s lists cannot be fetched: ' 'packages = st-nosuch'
mv "$APT/away" "$APT/repository"
signing_key key
publish

# --- as a plain user: packages in the node's store ---------------------------------------------------------
in_the_store() {
	for is_entry; do
		test -d "$STATE/packages/$is_entry" || return 1
	done
}
not_in_the_store() {
	for ni_entry; do
		test ! -e "$STATE/packages/$ni_entry" || return 1
	done
}
# run_here WORD...: in the environment of the live release
run_here() {
	verb run blog "$@"
}
says() { # TEXT WORD...
	sy_text=$1
	shift
	equal "$(run_here "$@" 2>&1)" "$sy_text"
}

# 0, or what is pending; no damage
fsck_knows_all() {
	fk_status=0
	silver fsck || fk_status=$?
	[ "$fk_status" -eq 0 ] || [ "$fk_status" -eq 3 ]
}

store_tests() {
	ok 'entries have the version in their names' in_the_store st-prog_1%3a2.0-1~x_all st-lib_1.0_all g++st_1.0_all
	ok '   and nothing else is there' equal "$(find "$STATE/packages" -mindepth 1 -maxdepth 1 | wc -l)" 5
	ok 'a program of a package is found' says 'st-prog 1:2.0-1~x' st-prog
	ok '   and of what it depends on' says 'st-lib 1.0' st-lib
	ok '   behind those of the app, before those of the machine' says "$STATE/packages/st-prog_1%3a2.0-1~x_all/usr/bin/st-prog" which st-prog

	# A library, a Python module, a package with a script; one that the machine has.
	multiarch=$(python3 -c 'import sysconfig; print(sysconfig.get_config_var("MULTIARCH"))')
	DEB_TREE=$TMP/library
	mkdir -p "$DEB_TREE/usr/lib/$multiarch" "$DEB_TREE/usr/lib/python3/dist-packages"
	cp -L "/lib/$multiarch/libz.so.1" "$DEB_TREE/usr/lib/$multiarch/libst.so.1.0"
	ln -s libst.so.1.0 "$DEB_TREE/usr/lib/$multiarch/libst.so.1"
	DEB_ARCH=$(dpkg --print-architecture)
	DEB_COMPRESSION=zstd
	deb libst1 1.0
	DEB_ARCH='' DEB_COMPRESSION=gzip
	DEB_TREE=$TMP/module
	mkdir -p "$DEB_TREE/usr/lib/python3/dist-packages/st_module" "$DEB_TREE/DEBIAN"
	printf 'import ctypes\nlibrary = ctypes.CDLL("libst.so.1")\n' >"$DEB_TREE/usr/lib/python3/dist-packages/st_module/__init__.py"
	printf 'raise ImportError("not the standard one")\n' >"$DEB_TREE/usr/lib/python3/dist-packages/this.py"
	printf '#!/bin/sh\nset -e\nadduser --system st\n' >"$DEB_TREE/DEBIAN/postinst"
	chmod 755 "$DEB_TREE/DEBIAN/postinst"
	deb python3-st 1.0 'Depends: libst1'
	DEB_TREE=
	deb st-prog 1:3.0 'Depends: st-lib'
	publish
	commit_app 4 'packages = python3-st st-old st-prog' '  g++st'
	ok 'a library and a Python module' push
	ok '   a script that does not run is told' said "warning: package python3-st has a script that does not run without root: 'adduser --system st'"
	ok '   what the machine has is not downloaded' not_in_the_store st-old_3.0_all
	ok '   and recorded all the same' said '^	?(installed = )?st-old 3\.0$' "$STATE/apps/blog/releases/4/record.ini"
	ok '   the module finds the library' run_here python3 -c "'import st_module'"
	ok '   the standard library comes first' run_here python3 -c "'import this'"
	LIVE=4

	ok '30 with new lists the newer version came' says 'st-prog 1:3.0' st-prog
	ok '   rolling back' verb rollback blog
	ok '   has the old version again' says 'st-prog 1:2.0-1~x' st-prog
	ok '   and no module' must_fail run_here python3 -c "'import st_module'"
	ok '   and forward' verb rollback blog
	ok '   the new one' says 'st-prog 1:3.0' st-prog

	mv "$APT/repository" "$APT/away"
	commit_app 5 'packages = python3-st st-old st-prog g++st'
	ok '48 what is in the store needs no network' push
	mv "$APT/away" "$APT/repository"
	LIVE=5

	# Somebody else installs for the node.
	settings 'lists_ms = 0' 'lock_ms = 500'
	exec 8>>"$STATE/run/packages.lock"
	flock 8
	refused 'while somebody else installs' 'packages: packages are being installed on this node' 'packages = st-other st-prog'
	exec 8>&-

	# A package that cannot be unpacked here leaves nothing.
	DEB_TREE=$TMP/evil
	mkdir -p "$DEB_TREE/usr/share"
	ln -s ../../../../../tmp "$DEB_TREE/usr/share/out"
	deb st-evil 1.0
	DEB_TREE=
	publish
	refused 'a package with a link out of it' "packages: st-evil_1.0_all.deb: 'usr/share/out' is a link out of the package" 'packages = st-evil'
	ok '   and is not in the store' not_in_the_store st-evil_1.0_all
	wait_until 60 settled || true
	ok '   what may be left of it is known' fsck_knows_all

	# What no kept release uses goes.
	sed -i 's/^\[node\]/[node]\nkeep = 2/' "$STATE/node.ini"
	settings 'lists_ms = 0'
	for version in 6 7; do
		commit_app "$version" 'packages = st-other'
		push || bail "push $version failed"
	done
	ok 'entries of no release are removed' wait_until 120 not_in_the_store python3-st_1.0_all st-prog_1%3a3.0_all .st-evil_1.0_all.new
	ok '   others stay' in_the_store st-other_1.0_all
	wait_until 60 settled || true
	ok 'fsck finds nothing' silver fsck
}
is_root || {
	store_tests
	done_testing
	exit
}

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
real_deb=silver-e2e-$$ slow_deb=silver-e2e-slow-$$
is_installed() {
	equal "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" 'install ok installed'
}
remove_real() {
	: >"$TMP/go-on"
	# a silver-root that was killed leaves its own, which does no harm
	! grep -qs '^# Of silver, while' /usr/sbin/policy-rc.d || rm /usr/sbin/policy-rc.d
	for rr_name in "$real_deb" "$slow_deb"; do
		! dpkg-query -W "$rr_name" >/dev/null 2>&1 || wait_until 60 dpkg --purge "$rr_name" >/dev/null 2>&1 || true
	done
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
rm "$TMP/go-on"
ok '   and it is gone again' test ! -e "/usr/bin/$real_deb"

# Everything of a push dies while dpkg is at work: apt goes on, since nobody's pipe is its own.
DEB_TREE=$TMP/slow-tree
mkdir -p "$DEB_TREE/DEBIAN"
cat >"$DEB_TREE/DEBIAN/postinst" <<-END
	#!/bin/sh
	: >"$TMP/at-work"
	for second in \$(seq 300); do
		[ ! -e "$TMP/go-on" ] || exit 0
		echo "still here"
		sleep 1
	done
	exit 1
END
chmod 755 "$DEB_TREE/DEBIAN/postinst"
deb "$slow_deb" 2.0
DEB_TREE=
publish
commit_app 6 "packages = $slow_deb dpkg"
push >"$TMP/killed.out" 2>&1 &
pusher=$!
ok '16 a push whose package takes its time' wait_until 120 test -e "$TMP/at-work"
for pid in $(pgrep -f "silver-root --dir $STATE packages" || true) $(pgrep -f "$STATE/apps/blog/repo.git" || true); do
	kill -KILL "$pid" 2>/dev/null || true
done
kill_tree KILL "$pusher"
wait "$pusher" 2>/dev/null || true
ok '   is not live when its programs are killed' serves 5
push >"$TMP/second.out" 2>&1 &
pusher=$!
: >"$TMP/go-on"
wait_until 120 gone "$pusher" || true
wait "$pusher" || true
ok '   apt went on and came to its end' wait_until 120 is_installed "$slow_deb"
ok '   the next push lands' push
ok '   and is live' serves 6
remove_real
ok '   the machine is as it was' must_fail is_installed "$slow_deb"
done_testing
