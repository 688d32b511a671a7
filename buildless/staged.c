/* staged.c - releases that are set aside: `git push -o stage` proves them, `activate` makes them
 * live.
 *
 * One waits at a time, named by a file `staged` in it, as `live` names what was accepted; it holds
 * what the deploy branch named, because the release was proven to follow just that. Its commit is
 * kept by refs/staged/N. */
#include "buildless/steps.h"

#include "buildless/config.h"

#define SHORT_OID 7

int transaction_stage_aside(struct app *app, struct repo *repo, const char *commit,
			    const char *branch, const struct appini *ini, struct release_info *out,
			    struct error *err)
{
	const struct stage_order order = {
		.commit = commit, .branch = branch, .ini = ini, .flags = TRANSACTION_NEW};
	bool reused;

	return stage_release(app, repo, &order, out, &reused, err);
}

static const char *named(char oid[OID_HEX])
{
	if (strspn(oid, "0") == strlen(oid))
		return "nothing";
	oid[SHORT_OID] = '\0';
	return oid;
}

/* A change of the configuration since then would be lost with it. */
static int check_config(const struct app *app, const struct release_info *staged, struct error *err)
{
	autoconfig struct config config = CONFIG_INIT;
	char digest[OID_HEX];

	if (config_read_live(app, &config, err) == -1)
		return -1;
	config_digest(&config, digest);
	if (strcmp(digest, staged->config_digest) == 0)
		return 0;
	return error_set(err, E_REFUSED,
			 "the configuration was changed since release %u was staged; push it again",
			 staged->number);
}

int check_base(const struct app *app, struct repo *repo, const struct release_info *staged,
	       struct error *err)
{
	char now[OID_HEX] = "0000000000000000000000000000000000000000", then[OID_HEX];
	autofree char *ref = NULL;

	if (transaction_deploy_ref(repo, &ref, err) == -1) {
		if (err->code != E_NOTFOUND)
			return -1;
	} else if (repo_resolve(repo, ref, false, now, err) == -1) {
		return -1;
	}
	if (strcmp(now, staged->base) == 0)
		return check_config(app, staged, err);
	memcpy(then, staged->base, OID_HEX);
	return error_set(err, E_REFUSED,
			 "release %u was staged when the deploy branch named %s, and it names %s "
			 "now; push it again",
			 staged->number, named(then), named(now));
}

int recover_staged_refs(struct app *app, struct repo *repo, struct error *err)
{
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	unsigned aside = kept_staged(app);
	autofree char *wanted = xasprintf("refs/staged/%u", aside);
	bool there = false;

	if (repo_list_refs(repo, "refs/staged/", &names, &oids, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (aside && strcmp(names.v[i], wanted) == 0)
			there = true;
		else if (repo_delete_ref(repo, names.v[i], err) == -1)
			return -1;
	}
	if (!aside || there)
		return 0;
	if (release_read(app, aside, &r, err) == -1)
		return -1;
	return publish_staged_ref(app, aside, r.commit, err);
}
