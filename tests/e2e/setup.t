#!/bin/sh
# A bare Debian becomes a node: package, create-node, setup-node, push, upgrade, reboot, uninstall, destroy-node. Scenarios 35, 40 and
# 47. The machine is one of the provider nspawn; as root only.
. "$(dirname "$0")/lib.sh"

B=${B:-build}
case $B in /*) ;; *) B=$TOP/$B ;; esac
skip_all() {
	skip 'a bare machine becomes a node' "$1"
	done_testing
	exit
}
[ "$(id -u)" -eq 0 ] || skip_all 'systemd-nspawn wants root'
[ -z "${SAN:-}" ] || skip_all 'a package has no sanitizers'
[ -x "$B/silverd" ] || skip_all "no build in $B"
for tool in mmdebstrap systemd-nspawn dpkg-shlibdeps; do
	command -v $tool >/dev/null || skip_all "$tool is not installed"
done
unshare -m --propagation unchanged mount --make-rslave / 2>/dev/null ||
	skip_all 'systemd-nspawn cannot work here: / is no mount point (a chroot), or mounting is not allowed'

export SILVER_NSPAWN_DIR="$TMP/machines" XDG_CONFIG_HOME="$TMP/config"
end_machine() {
	"$USR/bin/silver" destroy-node box --yes >/dev/null 2>&1
}
CLEAN_UP='end_machine'
noted() { # KEY
	sed -n "s/^$1 = .*:\([0-9]*\)\$/\1/p" "$TMP/config/silver/nodes/box"
}

# --- the package ---------------------------------------------------------------------------------
deb() { # VERSION
	mkdir -p "$TMP/b"
	cp -a "$B/." "$TMP/b/" # the tree that the other tests install from stays as it is
	DEB_VERSION=$1 make -s -C "$TOP" deb B="$TMP/b" CC="${CC:-gcc}" >"$TMP/deb.log" 2>&1 || {
		cat "$TMP/deb.log"
		return 1
	}
	mkdir -p "$TMP/$2"
	mv "$TMP"/b/silver_*.deb "$TMP/$2/"
	rm -rf "$TMP/b"
}
ok 'make deb makes a package'                deb 1.0 one
ok '  again'                                 deb 1.0 two
ok '  of the same bytes'                     cmp "$TMP"/one/silver_*.deb "$TMP"/two/silver_*.deb
ok '  and a newer one'                       deb 1.1 newer
OLD=$(echo "$TMP"/one/silver_*.deb) NEW=$(echo "$TMP"/newer/silver_*.deb)

# --- the machine ---------------------------------------------------------------------------------
write_ssh_config
new_key admin
KEY='admin'
"$USR/bin/silver" create-node box --provider nspawn --key "$TMP/keys/admin.pub" >"$TMP/out" 2>&1 ||
	skip_all "no machine could be made and booted: $(tail -n 1 "$TMP/out")"
PORT=$(noted login)
SSH_PORT=$(noted ssh)
HTTP_PORT=$(noted http)

box() {
	timeout 100 ssh -F "$TMP/ssh_config" -i "$TMP/keys/admin" -p "$PORT" root@127.0.0.1 "$@"
}
box apt-get -qq update >"$TMP/out" 2>&1 || skip_all "no packages in a machine: $(tail -n 1 "$TMP/out")"
box systemd-run --quiet --wait -p ProtectSystem=strict -p PrivateTmp=yes -p PrivateDevices=yes -p NoNewPrivileges=yes true \
	>"$TMP/out" 2>&1 || skip_all "systemd cannot sandbox a unit here: $(tail -n 1 "$TMP/out")"
as_developer() {
	GIT_SSH_COMMAND="ssh -F $TMP/ssh_config -i $TMP/keys/admin" timeout 600 "$USR/bin/silver" "$@"
}
setup() { # PACKAGE
	as_developer setup-node box --deb "$1" --key "$TMP/keys/admin.pub" --user ann >"$TMP/setup.out" 2>&1 || {
		st_status=$?
		cat "$TMP/setup.out"
		return "$st_status"
	}
}
state_of() { # all that a second run could have changed
	box 'find /etc /usr/bin /usr/sbin /usr/lib/silver /var/lib/silver -xdev -newer /root/mark \( -type f -o -type l \)' |
		grep -v '^/var/lib/silver/run/\|^/var/lib/silver/log/' || true
}
elsewhere() { # a package for another release
	rm -rf "$TMP/x"
	dpkg-deb -R "$OLD" "$TMP/x"
	sed -i 's/^Built-On: .*/Built-On: debian 99/' "$TMP/x/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$TMP/x" "$TMP/elsewhere.deb" >/dev/null
	exits 6 setup "$TMP/elsewhere.deb" && return
	return 1
}
ok 'a package for another release is refused' elsewhere
ok '  with both named'                       said 'built on debian 99, and this is' "$TMP/setup.out"
ok 'node-status: no silver there'            exits 4 as_developer node-status box
ok 'setup-node makes it a node'              setup "$OLD"
ok '  says what it did'                      said 'installed silver 1.0' "$TMP/setup.out"
box touch /root/mark
ok 'a second time nothing is changed (scenario 47)' setup "$OLD"
ok '  and it says so'                        said 'nothing was changed' "$TMP/setup.out"
ok '  nor is any file'                       equal "$(state_of)" ''
ok "Debian's nginx was not started"          must_fail box systemctl is-active --quiet nginx
ok 'its host key was pinned'                 grep -qF "[127.0.0.1]:$SSH_PORT ssh-ed25519" "$TMP/known_hosts"
sed -i 's/accept-new/yes/' "$TMP/ssh_config"
PLATFORM=python
new_app blog
commit_app 1
ok 'a push goes live, and nobody is asked about a key' push
ok '  it serves'                             serves 1

# --- upgrade, restart, crash ---------------------------------------------------------------------
count_requests() { # until $TMP/enough: every status
	while [ ! -e "$TMP/enough" ]; do
		fetch_status /version 2>/dev/null || true
		echo
	done >"$TMP/statuses"
}
apps_pid() {
	box systemctl show -p MainPID silver-apps
}
node_status() { # where the newer package is
	(cd "$TMP/newer" && as_developer node-status box) >"$TMP/out"
}
box 'cat /var/lib/silver/ssh/host_ed25519.pub' >"$TMP/host_key"
at_most_3() { # UNIT
	box systemd-analyze security --no-pager "$1" | tail -n 1 >"$TMP/out"
	cat "$TMP/out"
	awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]$/) { found = 1; bad = $i > 3.0 } } END { exit !found || bad }' "$TMP/out"
}
ok 'what runs the applications is in a sandbox' at_most_3 silver-apps.service
apps_before=$(apps_pid)
count_requests &
requests=$!
ok 'node-status tells when a node is behind' exits 1 node_status
ok '  and what runs there'                   said 'silver 1.0, silverd active, applications active, 1 live' "$TMP/out"
ok 'setup-node upgrades it'                  setup "$NEW"
ok '  says so'                               said 'silver 1.0 is now 1.1' "$TMP/setup.out"
ok 'silverd is killed'                       box systemctl kill -s KILL --kill-whom=main silverd
ok '  and comes back'                        wait_until 60 box systemctl is-active silverd
: >"$TMP/enough"
wait "$requests"
ok 'every request was answered meanwhile'    equal "$(sort -u "$TMP/statuses")" 200
ok '  by the same processes'                 equal "$(apps_pid)" "$apps_before"
ok 'the host key is the same (scenario 40)'  equal "$(box cat /var/lib/silver/ssh/host_ed25519.pub)" "$(cat "$TMP/host_key")"
ok 'node-status is content'                  node_status
commit_app 2
ok 'the next push goes live'                 push
ok '  it serves'                             serves 2

# --- reboot ----------------------------------------------------------------------------------------
booted() {
	box cat /proc/1/stat | cut -d ' ' -f 22
}
rebooted() {
	rb_now=$(booted 2>/dev/null) && [ -n "$rb_now" ] && [ "$rb_now" != "$boot" ]
}
boot=$(booted)
box systemctl reboot || true
ok 'the machine is rebooted'                 wait_until 120 rebooted
ok 'what was live is live again (scenario 35)' wait_until 120 serves 2
ok '  and takes pushes'                      wait_until 60 box systemctl is-active silverd
commit_app 3
ok '  they go live'                          push
ok '  and fsck finds nothing'                box silver --dir /var/lib/silver fsck

# --- and away ----------------------------------------------------------------------------------------
new_key other
sed -i "s|^\(\[127.0.0.1\]:$SSH_PORT\) .*|\1 $(cut -d ' ' -f 1,2 "$TMP/keys/other.pub")|" "$TMP/known_hosts"
ok 'another host key than the pinned one is refused' exits 1 setup "$NEW"
ok '  with the command that helps'           said 'ssh-keygen -R' "$TMP/setup.out"
ok 'uninstall without --yes does nothing'    exits 1 as_developer uninstall box
ok 'uninstall removes silver'                as_developer uninstall box --yes
ok '  its programs'                          must_fail box test -e /usr/sbin/silverd
ok '  and not the data'                      box test -e /var/lib/silver/apps/blog/current/record.ini
ok '  nothing of it runs'                    must_fail box systemctl is-active --quiet silver-apps
ok 'the machine is destroyed'                as_developer destroy-node box --yes
ok '  without a trace'                       test ! -e "$SILVER_NSPAWN_DIR/box"
done_testing
