#include "buildless/fsck_repo.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "buildless/steps.h"
#include "common/fs.h"
#include "common/proc.h"

#define REF_DEPTH_MAX    32
#define KEEP_MAX         200
#define INCOMING         "tmp_objdir-incoming-"
#define INCOMING_SECONDS (24 * 3600L) /* as in settle.c */

enum rule {
	UNREADABLE,
	HEAD_UNBORN,
	NO_BRANCH,
	COMMIT,
	DISAGREE,
	REF_STRAY,
	REF_MISSING,
	REF_WRONG,
	LOCK,
	UNKNOWN,
	TEMPORARY,
	INCOMPLETE,
};

static const struct finding_rule rules[] = {
	[UNREADABLE] = {FINDING_DAMAGE, "the app's owner can read its repository",
			"look at its mode and at the disk; git fsck says more"},
	[HEAD_UNBORN] = {FINDING_PENDING, "HEAD names the branch that is deployed",
			 "the next recovery sets it"},
	[NO_BRANCH] = {FINDING_DAMAGE, "what is live is what the deploy branch names",
		       "push the live commit to the deploy branch again"},
	[COMMIT] = {FINDING_DAMAGE, "a release's commit and tree are in the repository",
		    "push the commit again, from who has it"},
	[DISAGREE] = {FINDING_DAMAGE, "the commit that HEAD resolves to is the live one",
		      "the next recovery deploys what the branch names"},
	[REF_STRAY] =
		{FINDING_PENDING,
		 "refs/releases/N is there for accepted releases, refs/staged/N for a staged one",
		 "the next recovery deletes it"},
	[REF_MISSING] = {FINDING_PENDING, "each release that was accepted or is staged has its ref",
			 "the next recovery writes it"},
	[REF_WRONG] = {FINDING_DAMAGE, "a release's ref names its commit",
		       "the next recovery writes it anew"},
	[LOCK] = {FINDING_PENDING, "who moves refs holds the app's lock: this lock is nobody's",
		  "the next recovery removes it"},
	[UNKNOWN] = {FINDING_DAMAGE, "the repository holds what git makes, and nothing else",
		     "look at it, and move it away"},
	[TEMPORARY] = {FINDING_PENDING, "a file of a git that was killed does not count",
		       "settling, which follows each push, removes it"},
	[INCOMPLETE] = {FINDING_PENDING, "a pack without its index does not count",
			"settling, which follows each push, removes it"},
};

void fsck_repo_head(struct repo *repo, char head[OID_HEX], struct findings *f)
{
	autofree char *ref = NULL, *named = NULL;
	struct error err = ERROR_INIT;

	*head = '\0';
	if (repo_head_name(repo, &named, &err) == -1) {
		findings_add(f, &rules[UNREADABLE], "repo.git/HEAD", "%s", err.text);
		return;
	}
	if (transaction_deploy_ref(repo, &ref, &err) == -1)
		return; /* nothing was pushed yet */
	if (repo_resolve(repo, ref, false, head, &err) == -1) {
		*head = '\0';
		findings_add(f, &rules[UNREADABLE], "repo.git/HEAD", "%s", err.text);
		return;
	}
	if (strcmp(ref, named) != 0)
		findings_add(f, &rules[HEAD_UNBORN], "repo.git/HEAD",
			     "it names %s, and there is only %s", named, ref);
}

void fsck_repo_commit(struct repo *repo, const struct release_info *r, struct findings *f)
{
	autofree char *path = xasprintf("releases/%u/record.ini", r->number);
	struct repo_tree *tree = NULL;
	struct error err = ERROR_INIT;
	struct repo_commit c;

	if (repo_read_commit(repo, r->commit, &c, &err) == -1) {
		findings_add(f, &rules[COMMIT], path, "%s", err.text);
		return;
	}
	if (strcmp(c.tree, r->tree) != 0)
		findings_add(f, &rules[COMMIT], path,
			     "commit %.10s has tree %.10s, the record says %.10s", r->commit,
			     c.tree, r->tree);
	else if (repo_tree_open(repo, r->tree, &tree, &err) == -1)
		findings_add(f, &rules[COMMIT], path, "%s", err.text);
	repo_tree_free(tree);
	repo_commit_release(&c);
}

static bool has_commit(const struct app *app, unsigned release, const char *commit)
{
	autorelease struct release_info r = {0};
	struct error none = ERROR_INIT;

	return release && release_read(app, release, &r, &none) == 0 &&
	       strcmp(r.commit, commit) == 0;
}

void fsck_repo_live(const struct app *app, unsigned current, unsigned next, const char *head,
		    struct findings *f)
{
	if (!*head && current)
		findings_add(f, &rules[NO_BRANCH], "repo.git/HEAD",
			     "release %u is live, and no branch is deployed", current);
	if (!*head || has_commit(app, current, head) || has_commit(app, next, head))
		return;
	if (current)
		findings_add(f, &rules[DISAGREE], "current",
			     "release %u is live, and HEAD resolves to commit %.10s", current,
			     head);
	else
		findings_add(f, &rules[DISAGREE], "current",
			     "HEAD resolves to commit %.10s, and no release "
			     "is live",
			     head);
}

/* Refs */

static void check_ref(const struct app *app, const char *name, const char *oid, struct findings *f)
{
	const char *text = name + strlen("refs/releases/");
	autofree char *path = xasprintf("repo.git/%s", name);
	autorelease struct release_info r = {0};
	struct error err = ERROR_INIT;
	uint64_t number;

	if (!str_to_uint(text, UINT32_MAX, &number) || !release_is_live(app, (unsigned)number))
		findings_add(f, &rules[REF_STRAY], path, "there is no accepted release %s", text);
	else if (release_read(app, (unsigned)number, &r, &err) == 0 && strcmp(r.commit, oid) != 0)
		findings_add(f, &rules[REF_WRONG], path, "it names %.10s, the release is %.10s",
			     oid, r.commit);
}

/* refs/staged/N: of the one release that is set aside. */
static void check_staged_refs(const struct app *app, struct repo *repo, struct findings *f)
{
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	unsigned aside = kept_staged(app);
	autofree char *wanted = xasprintf("refs/staged/%u", aside),
		      *missing = xasprintf("repo.git/%s", wanted);
	struct error err = ERROR_INIT;

	if (repo_list_refs(repo, "refs/staged/", &names, &oids, &err) == -1) {
		findings_add(f, &rules[UNREADABLE], "repo.git/refs/staged", "%s", err.text);
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("repo.git/%s", names.v[i]);

		if (!aside || strcmp(names.v[i], wanted) != 0)
			findings_add(f, &rules[REF_STRAY], path,
				     "no release of this number is staged");
		else if (!has_commit(app, aside, oids.v[i]))
			findings_add(f, &rules[REF_WRONG], path,
				     "it names %.10s, the release does not", oids.v[i]);
	}
	if (aside && !strv_has(&names, wanted))
		findings_add(f, &rules[REF_MISSING], missing, "release %u has no ref", aside);
}

void fsck_repo_refs(const struct app *app, struct repo *repo, struct findings *f)
{
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	autofree unsigned *release = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0;

	if (repo_list_refs(repo, "refs/releases/", &names, &oids, &err) == -1 ||
	    release_list(app, &release, &n, &err) == -1) {
		findings_add(f, &rules[UNREADABLE], "repo.git/refs/releases", "%s", err.text);
		return;
	}
	for (size_t i = 0; i < names.n; i++)
		check_ref(app, names.v[i], oids.v[i], f);
	for (size_t i = 0; i < n; i++) {
		autofree char *ref = xasprintf("refs/releases/%u", release[i]),
			      *path = xasprintf("repo.git/%s", ref);

		if (release_is_live(app, release[i]) && !strv_has(&names, ref))
			findings_add(f, &rules[REF_MISSING], path, "release %u has no ref",
				     release[i]);
	}
	check_staged_refs(app, repo, f);
}

/* Names */

static bool list(const struct app *app, const char *path, struct strv *names, struct findings *f)
{
	if (!fs_exists(app->fd, path))
		findings_add(f, &rules[UNREADABLE], path, "it is not there");
	return findings_list(f, &rules[UNREADABLE], app->fd, path, names);
}

static void check_refs_below(const struct app *app, const char *dir, unsigned depth,
			     struct findings *f)
{
	autostrv struct strv names = STRV_INIT;

	if (!list(app, dir, &names, f))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", dir, names.v[i]);
		struct stat st;

		if (fstatat(app->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
			if (depth)
				check_refs_below(app, path, depth - 1, f);
		} else if (names.v[i][0] == '.' || str_ends(names.v[i], ".lock")) {
			findings_add(f, &rules[LOCK], path, "the lock, or the half, of a ref");
		}
	}
}

static bool is_hex_pair(const char *name)
{
	return strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
}

static void check_object_name(const struct app *app, const char *name, struct findings *f)
{
	autofree char *path = xasprintf("repo.git/objects/%s", name);
	struct stat st;

	if (is_hex_pair(name) || !strcmp(name, "pack") || !strcmp(name, "info"))
		return;
	if (str_starts(name, INCOMING)) { /* a push that still receives holds no lock */
		if (fstatat(app->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    clock_utc_ms() / 1000 - st.st_mtim.tv_sec > INCOMING_SECONDS)
			findings_add(f, &rules[TEMPORARY], path, "what a killed push received");
	} else if (str_starts(name, "tmp_")) {
		findings_add(f, &rules[TEMPORARY], path, "a file that git did not finish");
	} else {
		findings_add(f, &rules[UNKNOWN], path, "nothing of this name belongs here");
	}
}

static void check_pack_name(const struct app *app, const struct strv *names, const char *name,
			    struct findings *f)
{
	autofree char *path = xasprintf("repo.git/objects/pack/%s", name), *index = xstrdup(name);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;

	if (str_starts(name, "tmp_") || str_starts(name, ".tmp-")) {
		findings_add(f, &rules[TEMPORARY], path, "a file that git did not finish");
	} else if (str_ends(name, ".keep")) { /* a person may have put one, with other words */
		if (fs_read_file(app->fd, path, KEEP_MAX, &text, &none) == 0 &&
		    (!*strbuf_str(&text) || str_starts(strbuf_str(&text), "receive-pack ")))
			findings_add(f, &rules[TEMPORARY], path,
				     "the mark of a push that was killed");
	} else if (str_starts(name, "pack-") && str_ends(name, ".pack")) {
		memcpy(index + strlen(index) - strlen("pack"), "idx", sizeof("idx"));
		if (!strv_has(names, index))
			findings_add(f, &rules[INCOMPLETE], path, "it has no index");
	} else if (!str_starts(name, "pack-") && !str_starts(name, "multi-pack-index")) {
		findings_add(f, &rules[UNKNOWN], path, "nothing of this name belongs here");
	}
}

void fsck_repo_names(const struct app *app, struct findings *f)
{
	static const char *const known[] = {"HEAD",        "config", "objects",     "refs",
					    "packed-refs", "info",   "description", "branches",
					    "hooks",       "logs",   "gc.log"};
	autostrv struct strv top = STRV_INIT, objects = STRV_INIT, packs = STRV_INIT;

	if (!list(app, "repo.git", &top, f) || !list(app, "repo.git/objects", &objects, f) ||
	    !list(app, "repo.git/objects/pack", &packs, f))
		return;
	for (size_t i = 0; i < top.n; i++) {
		autofree char *path = xasprintf("repo.git/%s", top.v[i]);
		bool is_known = false;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			is_known = is_known || strcmp(known[k], top.v[i]) == 0;
		if (top.v[i][0] == '.' || str_ends(top.v[i], ".lock"))
			findings_add(f, &rules[LOCK], path,
				     "a lock, or a write that was not finished");
		else if (!is_known)
			findings_add(f, &rules[UNKNOWN], path, "nothing of this name belongs here");
	}
	for (size_t i = 0; i < objects.n; i++)
		check_object_name(app, objects.v[i], f);
	for (size_t i = 0; i < packs.n; i++)
		check_pack_name(app, &packs, packs.v[i], f);
	check_refs_below(app, "repo.git/refs", REF_DEPTH_MAX, f);
}
