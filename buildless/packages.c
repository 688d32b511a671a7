#include "buildless/packages.h"

#include "buildless/install.h"
#include "buildless/release.h"
#include "buildless/store.h"
#include "common/dpkg.h"
#include "common/names.h"

void packages_copy(struct packages *out, const struct packages *from)
{
	*out = (struct packages){0};
	for (size_t i = 0; i < from->installed.n; i++)
		strv_add(&out->installed, from->installed.v[i]);
	for (size_t i = 0; i < from->store.n; i++)
		strv_add(&out->store, from->store.v[i]);
	out->stamp = from->stamp ? xstrdup(from->stamp) : NULL;
}

void packages_release(struct packages *packages)
{
	strv_free_p(&packages->installed);
	strv_free_p(&packages->store);
	free(steal_ptr(&packages->stamp));
}

/* The record */

static void format_list(struct strbuf *out, const char *key, const struct strv *list)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		strbuf_addf(&text, "%s%s", i ? "\n" : "", list->v[i]);
	if (list->n)
		ini_add(out, key, text.buf);
}

/* Names stand in values: inih cuts keys at 49 characters, and divides them at a ':'. */
void packages_format(const struct packages *packages, struct strbuf *out)
{
	if (!packages->stamp)
		return;
	strbuf_addstr(out, "[packages]\n");
	format_list(out, "installed", &packages->installed);
	format_list(out, "store", &packages->store);
	ini_add(out, "dpkg", packages->stamp);
}

static void read_list(const struct ini *ini, const char *key, struct strv *list)
{
	const char *text = ini_get(ini, "packages", key);

	while (text && *text) {
		size_t len = strcspn(text, "\n");
		autofree char *line = xstrndup(text, len);

		if (len)
			strv_add(list, line);
		text += len + (text[len] == '\n');
	}
}

void packages_read(const struct ini *ini, struct packages *out)
{
	const char *stamp = ini_get(ini, "packages", "dpkg");

	*out = (struct packages){0};
	read_list(ini, "installed", &out->installed);
	read_list(ini, "store", &out->store);
	out->stamp = stamp ? xstrdup(stamp) : NULL;
}

/* What is there */

static const char *dpkg_dir(const struct app *app)
{
	return app->node.packages.dpkg ? app->node.packages.dpkg : DPKG_DIR;
}

/* Does the record have just these names? */
static bool are_names(const struct packages *packages, const struct strv *names)
{
	if (packages->installed.n != names->n)
		return false;
	for (size_t i = 0; i < names->n; i++) {
		const char *text = packages->installed.v[i];

		if (!str_starts(text, names->v[i]) || text[strlen(names->v[i])] != ' ')
			return false;
	}
	return true;
}

/* What the live release has, if that is what is asked for and dpkg's database has not changed
 * since: then it need not be read. */
static bool same_as_live(const struct app *app, const struct strv *names, const char *stamp,
			 struct packages *out)
{
	autorelease struct release_info live = RELEASE_INFO_INIT;
	struct error none = ERROR_INIT;
	unsigned current = release_current(app);

	if (!current || release_read(app, current, &live, &none) == -1 || !live.packages.stamp ||
	    strcmp(live.packages.stamp, stamp) != 0 || !are_names(&live.packages, names) ||
	    !store_has_all(&app->node, &live.packages.store))
		return false;
	packages_copy(out, &live.packages);
	return true;
}

/* *out has those that are there, *missing the others. */
static int look(const struct app *app, const struct strv *names, struct packages *out,
		struct strv *missing, struct error *err)
{
	autostrv struct strv versions = STRV_INIT;
	autofree char *stamp = NULL;

	*out = (struct packages){0};
	if (names->n == 0)
		return 0;
	if (dpkg_stamp(dpkg_dir(app), &stamp, err) == -1)
		return -1;
	if (same_as_live(app, names, stamp, out))
		return 0;
	if (dpkg_versions(dpkg_dir(app), names, &versions, err) == -1)
		return -1;
	out->stamp = steal_ptr(&stamp);
	for (size_t i = 0; i < names->n; i++)
		if (*versions.v[i])
			strv_addf(&out->installed, "%s %s", names->v[i], versions.v[i]);
		else
			strv_add(missing, names->v[i]);
	return 0;
}

/* The gate */

static void refuse(const struct appini *ini, struct strv *errors, const char *name,
		   const char *text)
{
	unsigned line = appini_package_line(ini, name);

	strv_addf(errors, "app.ini:%u: package %s: %s", line ? line : ini->packages_line, name,
		  text);
}

/* silver-root has the same rule; here it costs no process. */
static void check_allowed(const struct app *app, const struct appini *ini,
			  const struct strv *missing, struct strv *allowed, struct strv *errors)
{
	for (size_t i = 0; i < missing->n; i++)
		if (name_is_listed(missing->v[i], app->node.packages.allow))
			strv_add(allowed, missing->v[i]);
		else
			refuse(ini, errors, missing->v[i],
			       "this node does not install it; its operator adds it to 'allow' in "
			       "[packages] of node.ini, or installs it");
}

static void refuse_missing(const struct appini *ini, const struct strv *missing,
			   struct strv *errors)
{
	autostrbuf struct strbuf names = STRBUF_INIT;

	for (size_t i = 0; i < missing->n; i++)
		strbuf_addf(&names, "%s%s", i ? " " : "", missing->v[i]);
	strv_addf(errors,
		  "app.ini:%u: not installed on this node: %s; its operator installs them: `apt "
		  "install %s`",
		  ini->packages_line, names.buf, names.buf);
}

struct gate {
	const struct appini *ini;
	struct strv *errors, *have;
};

static void note_entry(void *ctx, const char *name, const char *version, const char *arch)
{
	struct gate *gate = ctx;

	(void)arch;
	strv_addf(gate->have, "%s %s, would be installed", name, version);
}

static void note_refusal(void *ctx, const char *name, const char *text)
{
	struct gate *gate = ctx;

	refuse(gate->ini, gate->errors, name, text);
}

int packages_check(const struct app *app, const struct appini *ini, struct strv *errors,
		   struct strv *have, struct error *err)
{
	autostrv struct strv missing = STRV_INIT, allowed = STRV_INIT;
	struct gate gate = {ini, errors, have};
	const struct install_ears ears = {
		.entry = note_entry, .refuse = note_refusal, .ctx = &gate};
	struct packages there;
	int r = look(app, &ini->packages, &there, &missing, err);

	for (size_t i = 0; r == 0 && i < there.installed.n; i++)
		strv_addf(have, "%s, installed", there.installed.v[i]);
	packages_release(&there);
	if (r == -1)
		return error_prefix(err, "app.ini:%u: packages", ini->packages_line);
	if (missing.n == 0)
		return 0;
	if (!app->node.packages.install) {
		refuse_missing(ini, &missing, errors);
		return 0;
	}
	check_allowed(app, ini, &missing, &allowed, errors);
	if (allowed.n && install_ask("simulate", &allowed, &ears, err) == -1)
		return error_prefix(err, "app.ini:%u: packages", ini->packages_line);
	return 0;
}

/* Installing */

struct arrival {
	const struct strv *names;
	struct packages *out;
};

/* An asked name is of the entry's architecture, or of none in particular. */
static bool is_entry(const char *asked, const char *name, const char *arch)
{
	const char *colon = strchr(asked, ':');
	size_t len = strlen(name);

	return strcspn(asked, ":") == len && memcmp(asked, name, len) == 0 &&
	       (!colon || strcmp(arch, "all") == 0 || strcmp(colon + 1, arch) == 0);
}

static void take_entry(void *ctx, const char *name, const char *version, const char *arch)
{
	struct arrival *a = ctx;
	autofree char *entry = store_entry_name(name, version, arch);

	strv_add(&a->out->store, entry);
	for (size_t i = 0; i < a->names->n; i++)
		if (is_entry(a->names->v[i], name, arch))
			strv_addf(&a->out->installed, "%s %s", a->names->v[i], version);
}

/* On a node without root: into the store; dpkg's database is as it was. */
static int install_in_store(const struct app *app, const struct strv *missing, struct packages *out,
			    struct error *err)
{
	struct arrival arrival = {missing, out};
	const struct install_ears ears = {.entry = take_entry, .ctx = &arrival};

	if (store_hold(&app->node, err) == -1 || install_ask("install", missing, &ears, err) == -1)
		return -1;
	strv_sort(&out->installed);
	strv_sort(&out->store);
	return 0;
}

static int install_on_machine(const struct app *app, const struct strv *names,
			      const struct strv *missing, struct packages *out, struct error *err)
{
	autostrv struct strv still = STRV_INIT;
	const struct install_ears ears = {0};

	if (install_ask("install", missing, &ears, err) == -1)
		return -1;
	packages_release(out);
	if (look(app, names, out, &still, err) == -1)
		return -1;
	if (still.n)
		return error_set(err, E_SYSTEM, "apt installed it, and dpkg has no '%s'",
				 still.v[0]);
	return 0;
}

int packages_ready(const struct app *app, const struct appini *ini, struct packages *out,
		   bool *changed, struct error *err)
{
	autostrv struct strv missing = STRV_INIT;
	int r = look(app, &ini->packages, out, &missing, err);

	*changed = r == 0 && missing.n > 0;
	if (*changed)
		r = install_is_private(app)
			    ? install_in_store(app, &missing, out, err)
			    : install_on_machine(app, &ini->packages, &missing, out, err);
	if (r == 0)
		return 0;
	packages_release(out);
	return error_prefix(err, "app.ini:%u: packages", ini->packages_line);
}

/* An operator may have removed what a kept release was live with. */
static int return_on_machine(const struct app *app, const struct packages *packages,
			     struct error *err)
{
	autostrv struct strv names = STRV_INIT, missing = STRV_INIT;
	const struct install_ears ears = {0};
	struct packages there;
	int r;

	for (size_t i = 0; i < packages->installed.n; i++) {
		const char *text = packages->installed.v[i];
		autofree char *name = xstrndup(text, strcspn(text, " "));

		strv_add(&names, name);
	}
	r = look(app, &names, &there, &missing, err);
	packages_release(&there);
	if (r == 0 && missing.n)
		r = install_ask("install", &missing, &ears, err);
	return r;
}

int packages_return(const struct app *app, const struct packages *packages, struct error *err)
{
	if (!packages->stamp)
		return 0;
	if (!install_is_private(app))
		return return_on_machine(app, packages, err) == -1 ? error_prefix(err, "packages")
								   : 0;
	for (size_t i = 0; i < packages->store.n; i++)
		if (!store_has(&app->node, packages->store.v[i]))
			return error_set(err, E_REFUSED,
					 "packages/%s is gone from the node's store; `silver "
					 "redeploy %s` makes a release with what there is now",
					 packages->store.v[i], app->name);
	return 0;
}
