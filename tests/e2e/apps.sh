# apps.sh - the applications of tests/apps as repositories with a history.
#
#	. "$(dirname "$0")/apps.sh"	after lib.sh
#	app_repository frank		$APP, $REPO, empty
#	app_version v1			lays tests/apps/$APP/v1 over the work tree, runs `make`, commits
#	refuses_broken_forms		pushes each of tests/apps/$APP/broken: a test point each
# shellcheck shell=sh disable=SC2153 # lib.sh sets APP
APPS=$TOP/tests/apps

app_repository() {
	new_app "$1"
}

app_lay() { # DIRECTORY VERSION
	[ ! -d "$1" ] || cp -a "$1/." "$REPO/"
	[ ! -e "$APPS/$APP/make" ] || (cd "$REPO" && "$APPS/$APP/make" "$2")
	git -C "$REPO" add -A -f
	git -C "$REPO" commit -q -m "$2"
}

app_version() {
	app_lay "$APPS/$APP/$1" "$1"
}

# The form is refused for its own reason, and the node is as it was.
form_is_refused() { # PATTERN
	must_fail push || return 1
	said "$1" && said "nothing was changed; release $af_live is live" && equal "$(live)" "$af_live" && ref_is_live && nothing_half
}

refuses_broken_forms() {
	af_good=$(git -C "$REPO" rev-parse HEAD)
	af_live=$(live)
	for af_expected in "$APPS/$APP"/broken/*.expected; do
		af_name=$(basename "$af_expected" .expected)
		app_lay "${af_expected%.expected}" "$af_name"
		ok "10 $APP with $af_name is refused for that" form_is_refused "$(cat "$af_expected")"
		git -C "$REPO" reset -q --hard "$af_good"
		git -C "$REPO" clean -qfdx
	done
}
