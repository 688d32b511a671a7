# disk.sh - a test file on a small disk of its own, in a mount namespace that takes it away again.
#
#	. "$(dirname "$0")/disk.sh"
#	small_disk 64 3000	64 MB and 3000 inodes at $DISK: the rest of the file runs there
#	. "$(dirname "$0")/lib.sh"
#
# $DISK_KIND is ext4 (root: a loop-mounted image, $DISK_IMAGE) or tmpfs (anybody, where user namespaces are allowed), or
# none.
# shellcheck shell=sh

small_disk() {
	[ -z "${DISK_KIND:-}" ] || return 0
	DISK=$(mktemp -d /tmp/silver-disk.XXXXXX)
	chmod 755 "$DISK"
	sd_status=0
	export DISK DISK_KIND DISK_IMAGE="$DISK.img"
	if [ "$(id -u)" -eq 0 ] && small_ext4 "$1" "$2"; then
		DISK_KIND=ext4
		# shellcheck disable=SC2016 # the inner shell expands them
		unshare -m sh -c 'mount -o loop "$DISK_IMAGE" "$DISK" && exec "$0"' "$0" || sd_status=$?
	elif [ "$(id -u)" -ne 0 ] && small_tmpfs "$DISK" "$1" "$2" true 2>/dev/null; then
		DISK_KIND=tmpfs
		small_tmpfs "$DISK" "$1" "$2" "$0" || sd_status=$?
	else
		DISK_KIND=none
		"$0" || sd_status=$?
	fi
	rm -f "$DISK_IMAGE"
	rmdir "$DISK"
	exit $sd_status
}

small_ext4() {
	truncate -s "$1M" "$DISK.img" && mkfs.ext4 -q -N "$2" "$DISK.img" &&
		unshare -m mount -o loop "$DISK.img" "$DISK" 2>/dev/null
}

# mount(8) asks who calls; mount(2) asks for the capability, which is given up again before COMMAND.
small_tmpfs() { # DIR MEGABYTES INODES COMMAND...
	unshare --user --map-current-user --keep-caps --mount python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
path, size, inodes = sys.argv[1:4]
if libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, b"size=%sm,nr_inodes=%s,mode=755" % (size.encode(), inodes.encode())):
    sys.exit("mount: " + os.strerror(ctypes.get_errno()))
os.execvp("setpriv", ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", *sys.argv[4:]])
' "$@"
}
