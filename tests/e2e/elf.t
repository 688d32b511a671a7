#!/bin/sh
# How the programs were built, read from their ELF headers: no flag of the Makefile gets lost.
. "$(dirname "$0")/lib.sh"

header() { # PROGRAM READELF-OPTIONS PATTERN
	readelf -W "$2" "$1" | grep -Eq -e "$3"
}
stack_is_not_executable() {
	readelf -Wl "$1" | grep -q 'GNU_STACK' && ! readelf -Wl "$1" | grep 'GNU_STACK' | grep -q 'RWE'
}
nothing_writable_is_executable() {
	! readelf -Wl "$1" | grep 'LOAD' | grep -q 'RWE'
}
links_only() { # PROGRAM PATTERN-OF-WHAT-IT-MAY-NOT-LINK
	! readelf -Wd "$1" | grep NEEDED | grep -E "$2"
}

for program in "$USR/sbin/silverd" "$USR/bin/silver" "$USR"/lib/silver/silver-session "$USR"/lib/silver/silver-root \
	"$USR"/lib/silver/silver-hook "$USR"/lib/silver/silver-activate "$USR"/lib/silver/silver-deploy "$USR"/lib/silver/silver-exec; do
	name=${program##*/}
	ok "$name is position independent"           header "$program" -h 'Type: +DYN \(Position-Independent Executable'
	ok "$name: relocations read-only"            header "$program" -l 'GNU_RELRO'
	ok "$name: all symbols bound at start"       header "$program" -d 'BIND_NOW|FLAGS_1.*NOW'
	ok "$name: stack protector"                  header "$program" -s '__stack_chk_fail'
	ok "$name: stack not executable"             stack_is_not_executable "$program"
	ok "$name: nothing both writable and executable" nothing_writable_is_executable "$program"
	ok "$name: searches no library elsewhere"    must_fail header "$program" -d 'RPATH|RUNPATH'
	if [ -z "${SAN:-}" ]; then
		ok "$name: fortified"                header "$program" -s '__[a-z]+_chk'
	fi
done
ok 'silverd links neither libssh, libgit2 nor libarchive' links_only "$USR/sbin/silverd" 'libssh|libgit2|libarchive'
ok 'silver-root neither'                     links_only "$USR/lib/silver/silver-root" 'libssh|libgit2|libarchive'
ok 'silver-session no libgit2'               links_only "$USR/lib/silver/silver-session" 'libgit2|libarchive'
ok 'silver-activate neither'                 links_only "$USR/lib/silver/silver-activate" 'libssh|libgit2|libarchive'
ok 'silver-hook and silver-deploy no libssh' links_only "$USR/lib/silver/silver-hook" 'libssh'
ok 'no program is setuid'                    test -z "$(find "$USR" -perm /6000)"
done_testing
