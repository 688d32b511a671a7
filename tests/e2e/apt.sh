# apt.sh - an apt repository of the test's own, signed by a throw-away key.
#
#	. "$HERE/apt.sh"
#	deb NAME VERSION [FIELD...]	a package whose /usr/bin/NAME prints its name and version; what lies in $DEB_TREE is in
#					it too, and in $DEB_TREE/DEBIAN its maintainer scripts
#	publish				signs what there is: the next `apt-get update` sees it
#	$APT_CONF			apt.conf(5) with this one source, and state of its own
#
# shellcheck shell=sh
APT=$TMP/apt
APT_CONF=$APT/apt.conf
DEB_TREE=
mkdir -p "$APT/repository" "$APT/state/lists/partial" "$APT/cache/archives/partial" "$APT/gnupg"
chmod 755 "$APT" "$APT/repository"
chmod 700 "$APT/gnupg"

gpg_here() {
	GNUPGHOME=$SIGNER gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' "$@" 2>>"$TMP/gpg.log"
}

# What is published from now on is signed by the key NAME.
signing_key() { # NAME
	SIGNER=$APT/gnupg/$1
	[ ! -d "$SIGNER" ] || return 0
	mkdir -m 700 "$SIGNER"
	gpg_here --quick-gen-key "$1" ed25519 sign never
	gpg_here --export >"$APT/$1.gpg"
	GNUPGHOME=$SIGNER gpgconf --kill all 2>/dev/null || true
}
signing_key key || bail "no key could be made: $(tail -n 3 "$TMP/gpg.log")"

# The fingerprint beside the file: only that key of it counts.
fingerprint=$(gpg_here --with-colons --list-keys | awk -F: '/^fpr/ { print $10; exit }')
echo "deb [signed-by=$APT/key.gpg,$fingerprint] file:$APT/repository ./" >"$APT/sources.list"
# Packed lists are copies; else apt links to those of a file: source, and sees what was changed there unasked.
cat >"$APT_CONF" <<-END
	Dir::Etc::sourcelist "$APT/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	Dir::State "$APT/state";
	Dir::Cache "$APT/cache";
	APT::Sandbox::User "root";
	Acquire::GzipIndexes "true";
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Pre-Invoke;
	#clear DPkg::Post-Invoke;
	#clear DPkg::Pre-Install-Pkgs;
END

deb() { # NAME VERSION [FIELD...]
	dp_tree=$APT/tree
	dp_name=$1 dp_version=$2
	shift 2
	rm -rf "$dp_tree"
	mkdir -p "$dp_tree/DEBIAN" "$dp_tree/usr/bin"
	printf '#!/bin/sh\necho %s %s "$@"\n' "$dp_name" "$dp_version" >"$dp_tree/usr/bin/$dp_name"
	chmod 755 "$dp_tree/usr/bin/$dp_name"
	[ -z "$DEB_TREE" ] || cp -a "$DEB_TREE/." "$dp_tree/"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$dp_name" "$dp_version" "${DEB_ARCH:-all}"
		printf 'Maintainer: Test <test@example.com>\nDescription: of a test\n'
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$dp_tree/DEBIAN/control"
	dpkg-deb --root-owner-group "-Z${DEB_COMPRESSION:-xz}" --build "$dp_tree" "$APT/repository/" >"$TMP/deb.log" 2>&1 ||
		bail "dpkg-deb: $(cat "$TMP/deb.log")"
}

publish() {
	(
		cd "$APT/repository"
		rm -f Packages Release InRelease
		for pb_deb in *.deb; do
			dpkg-deb -f "$pb_deb"
			printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$pb_deb" "$(stat -c %s "$pb_deb")" \
				"$(sha256sum "$pb_deb" | cut -d' ' -f1)"
		done >Packages
		{
			printf 'Origin: test\nSuite: test\nCodename: test\nDate: %s\nSHA256:\n' "$(date -Ru)"
			echo " $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) Packages"
		} >Release
		gpg_here --yes --clearsign -o InRelease Release
		rm -f Release
	) || bail "the repository could not be signed: $(tail -n 3 "$TMP/gpg.log")"
	GNUPGHOME=$SIGNER gpgconf --kill all 2>/dev/null || true
}
