#!/bin/sh
# The tree arrives exactly, whatever is in it; what no tree may hold is refused by name, sent by real plumbing.
. "$(dirname "$0")/lib.sh"

deployed_exactly() { # pushes what is committed; the slot is hashed from the disk
	push && ref_is_live && tree_is_exact
}
commit_all() {
	git -C "$REPO" add -Af
	git -C "$REPO" commit -q --allow-empty -m "${1:-more}"
}

start_silverd
new_app blog
commit_app 1
cd "$REPO"
: >empty
printf 'exec' >run && chmod 755 run
printf 'no newline' >"with space"
printf 'x' >"$(printf 'latin-\351')"
printf 'x' >"$(printf 'new\nline')"
printf 'x' >'-dash' && printf 'x' >'*?[' && printf 'x' >"quote'\""
long=$(printf 'n%.0s' $(seq 255))
: >"$long"
mkdir -p a/b/c/d/e && echo deep >a/b/c/d/e/f
deep=$(printf 'dir/%.0s' $(seq 100))
mkdir -p "$deep" && echo x >"${deep}x"
ln -s a/b link-dir && ln -s run link-file && ln -s ../b/c a/b/up && ln -s nowhere dangling
printf 'a\r\nb\r\n' >crlf && printf 'crlf text eol=crlf\n' >.gitattributes
git config core.autocrlf false
commit_all
cd "$TOP"
ok '22 modes, empty files, strange and long names, depths, links arrive' deployed_exactly
ok '22 attributes do not rewrite content' \
	equal "$(git -C "$REPO" show HEAD:crlf | git hash-object --stdin)" "$(git hash-object --no-filters "$STATE/apps/blog/current/app/crlf")"

cd "$REPO"
rm run && mkdir run && echo inside >run/file                # file -> directory
rm -r a/b/c && echo c >a/b/c                                # directory -> file
rm link-dir && mkdir link-dir && echo x >link-dir/x         # link -> directory
rm -rf a/b/up && echo up >a/b/up                            # link -> file
rm empty && ln -s a empty                                   # file -> link
rm -r dir && ln -s a dir                                    # directory -> link
chmod 755 'with space'
commit_all
cd "$TOP"
ok '22 file, directory and link change into each other' deployed_exactly
git -C "$REPO" revert --no-edit HEAD >/dev/null
ok '22 and back' deployed_exactly
git -C "$REPO" mv crlf CRLF
commit_all
ok '22 a name changes only in case' deployed_exactly
for i in 1 2 3 4 5 6 7 8; do
	echo "$i" >"$REPO/static/version"
	mkdir -p "$REPO/many/$i" && echo "$i" >"$REPO/many/$i/f"
	[ "$i" -lt 4 ] || rm -rf "$REPO/many/$((i - 3))"
	commit_all "step $i"
	push || break
done
ok '22 after more pushes than there are slots' tree_is_exact
ok '  it serves the last' serves 8
ok '29 verify agrees' verb verify blog
git -C "$REPO" rm -rqf many run a
git -C "$REPO" commit -qm less
ok '22 directories that became empty are gone' deployed_exactly

# 23: hostile trees. Made by plumbing that does not check; sent with checks off on this side.
git -C "$REPO" config transfer.fsckObjects false
was=$(live)
app_ini=$(git -C "$REPO" hash-object -w "$REPO/app.ini")
blob=$(printf x | git -C "$REPO" hash-object -w --stdin)
target() {
	printf '%s' "$1" | git -C "$REPO" hash-object -w --stdin
}
# A tree from raw entries: "MODE NAME OID" lines; names may hold anything but NUL and newline.
raw_tree() {
	python3 -c '
import sys
out = b""
for line in sys.stdin.buffer.read().splitlines():
    mode, oid, name = line.split(b" ", 2)
    out += mode + b" " + name + b"\0" + bytes.fromhex(oid.decode())
sys.stdout.buffer.write(out)' | git -C "$REPO" hash-object -t tree -w --literally --stdin
}
hostile() { # 'what' 'what the refusal names' TREE
	commit=$(git -C "$REPO" commit-tree -p HEAD -m hostile "$3")
	ok "23 $1: refused" must_fail push "$commit:refs/heads/master"
	ok '  by name' said "$2"
	ok '  live unchanged' equal "$(live)" "$was"
	ok '  the ref too' ref_is_live
}
with_ini() { # entries beside an app.ini; sorted as they come
	{
		cat
		echo "100644 $app_ini app.ini"
	} | LC_ALL=C sort -k3 | raw_tree
}
inner=$(echo "100644 $blob x" | raw_tree)
hostile 'a name ".."'                '\.\.'        "$(echo "40000 $inner .." | with_ini)"
hostile 'a name "."'                 "'\.'|\"\.\"|\." "$(echo "40000 $inner ." | with_ini)"
hostile 'a name ".git"'              '\.git'       "$(echo "40000 $inner .git" | with_ini)"
hostile 'a name ".GIT" further down' '\.[gG][iI][tT]' "$(echo "40000 $(echo "40000 $inner .GIT" | raw_tree) d" | with_ini)"
hostile 'a name with a slash'        'slash|/'     "$(echo "100644 $blob a/../../x" | with_ini)"
hostile 'an absolute link'           'evil'        "$(echo "120000 $(target /etc/passwd) evil" | with_ini)"
hostile 'an escaping link'           'evil'        "$(echo "120000 $(target ../../../../x) evil" | with_ini)"
hostile 'a link that escapes from deep down' 'evil' "$(echo "40000 $(echo "120000 $(target ../../x) evil" | raw_tree) d" | with_ini)"
hostile 'a gitlink'                  'sub'         "$(echo "160000 $(git -C "$REPO" rev-parse HEAD) sub" | with_ini)"
hostile 'mode 104755'                'suid|mode|4755' "$(echo "104755 $blob suid" | with_ini)"
hostile 'a link and a directory of one name' 'twice|duplicate|d' \
	"$({ echo "120000 $(target /tmp) d"; echo "40000 $inner d"; } | with_ini)"
lfs=$(printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 7 | git -C "$REPO" hash-object -w --stdin)
hostile 'a pointer of git-lfs'       'big\.bin'    "$(echo "100644 $lfs big.bin" | with_ini)"
deep=$(mkdir "$TMP/deep" && cd "$TMP/deep" && mkdir -p "$(printf 'd/%.0s' $(seq 520))" && echo x >"$(printf 'd/%.0s' $(seq 520))x" &&
	git --git-dir="$REPO/.git" --work-tree=. add -A && git --git-dir="$REPO/.git" write-tree)
git -C "$REPO" reset -q --hard
hostile 'directories without end'    'nested deeper' "$(echo "40000 $deep d" | with_ini)"
ok '23 nothing was written anywhere' test ! -e /tmp/x
ok '  nothing is left half' nothing_half

# 23: a link that was good becomes the way out
mkdir "$TMP/outside" && chmod 777 "$TMP/outside"
cd "$REPO" && mkdir d && echo x >d/f && commit_all && cd "$TOP"
push || bail 'a plain push failed'
was=$(live)
hostile 'a directory becomes a link out of the tree' "d" "$(echo "120000 $(target "$TMP/outside") d" | with_ini)"
ok '23 nothing was written through it' test -z "$(ls "$TMP/outside")"
mkdir -p "$REPO/venv/bin" && ln -s /usr/bin/python3 "$REPO/venv/bin/python"
commit_all
ok '23 the interpreter link of a virtualenv is allowed' deployed_exactly
done_testing
