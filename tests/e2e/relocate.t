#!/bin/sh
# A tree that pip, setuptools and venv made on a developer's machine, whose place is gone, runs from its slot: every module
# is imported from there, every script finds its interpreter. What cannot be relocated is refused by file and line. About 40 s.
# shellcheck disable=SC2153 # REPO and STATE are lib.sh's
. "$(dirname "$0")/lib.sh"

export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
PLATFORM=python
offline='--quiet --no-build-isolation --no-index'

legacy_package() { # NAME: as it was before pyproject.toml
	mkdir -p "vendor/$1/$1"
	echo "def main(): print('$1')" >"vendor/$1/$1/__init__.py"
	echo "from setuptools import setup; setup(name='$1', version='1.0', packages=['$1'], entry_points={'console_scripts': ['$1-cmd = $1:main']})" >"vendor/$1/setup.py"
}

modern_package() { # NAME PATH: its code lies at vendor/NAME/PATH/NAME
	mkdir -p "vendor/$1/$2/$1/sub"
	echo "def main(): print('$1')" >"vendor/$1/$2/$1/__init__.py"
	: >"vendor/$1/$2/$1/sub/__init__.py"
	printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n' >"vendor/$1/pyproject.toml"
	printf '[project]\nname = "%s"\nversion = "1.0"\nscripts = {%s-cmd = "%s:main"}\n' "$1" "$1" "$1" >>"vendor/$1/pyproject.toml"
	case $2 in src | .) ;; *) printf '[tool.setuptools]\npackages = ["%s", "%s.sub"]\npackage-dir = {%s = "%s/%s"}\n' \
		"$1" "$1" "$1" "$2" "$1" >>"vendor/$1/pyproject.toml" ;; esac
}

make_site() {
	cd "$REPO"
	legacy_package oldstyle
	legacy_package inlib
	legacy_package copied
	modern_package srclayout src
	modern_package flatlayout .
	modern_package oddlayout code/here
	mkdir -p lib/python bin
	/usr/bin/python3 -m venv --without-pip --system-site-packages venv
	# shellcheck disable=SC2086 # words
	{
		venv/bin/python -m pip install $offline -e vendor/srclayout -e vendor/flatlayout -e vendor/oddlayout
		(cd vendor/oldstyle && ../../venv/bin/python -W ignore setup.py -q develop)
		(cd vendor/inlib && PYTHONPATH=../../lib/python ../../venv/bin/python -W ignore setup.py -q develop \
			--install-dir ../../lib/python --script-dir ../../bin)
		venv/bin/python -m pip install $offline --target lib/python ./vendor/copied
	} >"$TMP/site.log" 2>&1 || {
		sed 's/^/# /' "$TMP/site.log"
		bail 'pip and setuptools made no tree'
	}
	rm -rf venv/bin/activate* venv/bin/Activate* vendor/*/build
	cat >bin/every-module <<-END
		#!$REPO/venv/bin/python3
		# -*- coding: latin-1 -*-
		import importlib, os, sys
		root = os.path.realpath(os.environ["SILVER_APP_DIR"])
		assert sys.prefix == os.path.join(root, "venv"), sys.prefix
		for name in "oldstyle inlib copied srclayout flatlayout oddlayout srclayout.sub flatlayout.sub oddlayout.sub".split():
		    module = importlib.import_module(name)
		    assert module.__file__.startswith(root + os.sep), module.__file__
		print("all")
	END
	chmod 755 bin/every-module
	printf '[production]\nplatform = python\nrunner = src/app.py\n' >app.ini
	cd "$TOP"
}

write_version() {
	mkdir -p "$REPO/src"
	{
		echo 'import copied, inlib # through lib/python'
		sed "s/@VERSION@/$1/" "$HERE/app.py"
	} >"$REPO/src/app.py"
	commit_all "version $1"
}
commit_all() {
	git -C "$REPO" add -Af
	git -C "$REPO" commit -qm "${1:-more}"
}
slot() {
	readlink -f "$STATE/apps/blog/current/app"
}
no_old_path() {
	! grep -rIl -e "$old" "$(slot)"
}
still_live() { # the old one, and nothing is left of the try
	equal "$(live)" "$was" && ref_is_live && nothing_half
}
put() { # FILE LINE...
	mkdir -p "$(dirname "$REPO/$1")"
	put_file=$1
	shift
	printf '%s\n' "$@" >"$REPO/$put_file"
}

start_silverd
new_app blog
make_site
write_version 1
old=$REPO
mv "$REPO" "$TMP/moved" # nothing may work because it is still there
REPO=$TMP/moved
ok 'a tree that real tools made is taken' push
ok '  what was relocated is told by line' said 'relocated lib/python/easy-install.pth:1 *$'
ok '  with its scripts' said 'relocated venv/bin/oldstyle-cmd:1 *$'
ok '  its finders' said 'relocated venv/lib/python3[.0-9]*/site-packages/__editable___oddlayout_1_0_finder.py:[0-9]+ *$'
ok '  and its environment' said 'relocated venv/pyvenv.cfg:[0-9]+ *$'
ok 'it serves, with what lib/python names' serves 1
ok 'every module comes from the slot' equal "$(verb run blog bin/every-module)" all
ok 'scripts of setuptools start' equal "$(verb run blog venv/bin/oldstyle-cmd)" oldstyle
ok 'scripts of pip start' equal "$(verb run blog venv/bin/oddlayout-cmd)" oddlayout
ok 'through lib/python, too' equal "$(verb run blog bin/inlib-cmd)" inlib
ok 'pip knows where they are' sh -c "'$USR/bin/silver' --dir '$STATE' run blog venv/bin/python -m pip list 2>/dev/null | grep -q '^srclayout'"
ok 'no absolute path survives' no_old_path
ok 'the repository is as it was pushed' equal "$(app_git rev-parse 'HEAD^{tree}')" "$(git -C "$REPO" rev-parse 'HEAD^{tree}')"
ok '29 verify knows what was relocated' verb verify blog

write_version 2
ok 'the next push relocates nothing anew' push
ok '  and says nothing of it' must_fail said relocated
ok '  it serves' serves 2
ok '  from its own slot' equal "$(verb run blog bin/every-module)" all
ok '  verify agrees' verb verify blog
ok '26 back to the first' verb rollback blog
ok '  it serves' serves 1
git -C "$REPO" rm -qr --cached venv/bin/oldstyle-cmd && rm "$REPO/venv/bin/oldstyle-cmd"
put lib/python/more.pth '# by hand' "$old//vendor/./srclayout/x/../src/" ./copied
commit_all
ok 'lines are normalised' push
ok '  and told' said 'relocated lib/python/more.pth:2 *$'
ok '  comments and relative lines stay' equal "$(tr '\n' '|' <"$(slot)/lib/python/more.pth")" '# by hand|../../vendor/srclayout/src|./copied|'

was=$(live)
put lib/python/a.pth 'import sys' /opt/elsewhere/lib ./not-there
put lib/python/b.pth /srv/somebody/vendor/oldstyle
put venv/pyvenv.cfg 'home = /opt/python/bin'
put bin/outside '#!/home/nobody/env/bin/python3'
commit_all broken
git -C "$REPO" rev-parse HEAD >"$TMP/broken"
ok '10 what leads nowhere refuses the push' must_fail push
ok '  a path outside, by file and line' said "lib/python/a.pth:2: '/opt/elsewhere/lib' is not "
ok '  a relative line, too' said "lib/python/a.pth:3: './not-there' is not in the tree"
ok '  another root, with both places' said "lib/python/b.pth:1: '/srv/somebody/vendor/oldstyle' is not below '$old', .*[a-z]:[0-9]+;"
ok "  another machine's Python" said "venv/pyvenv.cfg:1: '/opt/python/bin' is not what runs it"
ok '  a script that nobody needs is a warning' said "warning: bin/outside:1: '/home/nobody/env/bin/python3'"
ok '  the old release is live' still_live
git -C "$REPO" revert --no-edit HEAD >/dev/null
mkdir -p "$REPO/srclayout" && : >"$REPO/srclayout/__init__.py"
git -C "$REPO" rm -qrf vendor/flatlayout
commit_all 'a place goes'
ok '10 a place that goes is missed by files that stay' must_fail push
ok '  each line of them' said "venv/lib/python3[.0-9]*/site-packages/__editable___flatlayout_1_0_finder.py:[0-9]+: '$old/vendor/flatlayout/"
ok '  the old release is live' still_live
git -C "$REPO" revert --no-edit HEAD >/dev/null
put lib/python/plain.pth "$old/vendor/copied"
commit_all
ok '20 a plan tells what would be relocated' must_fail push -o plan HEAD:master
ok '  by line' said 'plan: relocates lib/python/plain.pth:1 *$'

chmod u+w "$(slot)/lib/python/more.pth"
echo "$old/vendor/srclayout/src" >"$(slot)/lib/python/more.pth"
ok '29 verify names a relocated file that changed' must_fail verb verify blog
ok '  a redeploy heals it' verb redeploy blog
ok '  verify agrees' verb verify blog

new_app alone
PLATFORM=static
commit_app 1
put lib/python/x.pth /home/ian/site/vendor/x
put vendor/x/x.py ''
put x/x.py ''
commit_all
ok '10 two places that are possible are refused' must_fail push
ok '  by line, with a way out' said "lib/python/x.pth:1: '/home/ian/site/vendor/x' may be 'vendor/x' or 'x' .*'../../vendor/x'"
rm -r "$REPO/x"
commit_all
ok '  and taken when one is gone' push
done_testing
