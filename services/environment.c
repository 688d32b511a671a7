#include "services/environment.h"

#include "common/proc.h"
#include "services/catalog.h"
#include "services/devel.h"
#include "services/record.h"

/* The app's own programs come first; then what every shell has. */
#define SYSTEM_PATH "/usr/local/bin:/usr/bin:/bin"

static void add_app(const struct environment_release *r, struct strv *env)
{
	const char *dir = r->node->dir, *path = r->path ? r->path : "";

	strv_add(env, "SILVER_VERSION=silverlining/" SILVER_VERSION);
	strv_addf(env, "SILVER_APP_NAME=%s", r->app);
	strv_addf(env, "SILVER_INSTANCE_NAME=%s.%u", r->app, r->number);
	strv_addf(env, "SILVER_CANONICAL_HOSTNAME=%s", r->host);
	strv_addf(env, "SILVER_MATCH_PATH=%s", path[0] ? path : "/");
	strv_addf(env, "STATIC_URL=%s/static-%s/", path, r->commit);
	strv_addf(env, "SILVER_APP_CONFIG=%s/apps/%s/%s", dir, r->app, r->config_dir);
	strv_addf(env, "SILVER_LOGS=%s/log/%s", dir, r->app);
	strv_addf(env, "SILVER_APP_DIR=%s/apps/%s/slots/%u", dir, r->app, r->slot);
	strv_addf(env, "SILVER_COMMIT=%s", r->commit);
	strv_addf(env, "SILVER_RELEASE=%u", r->number);
}

/* What programs in general look for. Python's byte code lies with the data: the release is never
 * written to, and a slot keeps its name, so the byte code of unchanged files stays valid. */
static void add_system(const struct environment_release *r, struct strv *env)
{
	autofree char *share = proc_share_dir();
	autofree char *data = xasprintf("%s/data/%s", r->node->dir, r->app);

	strv_addf(env, "PATH=%s/apps/%s/slots/%u/bin:" SYSTEM_PATH, r->node->dir, r->app, r->slot);
	strv_addf(env, "HOME=%s", data);
	strv_add(env, "LANG=C.UTF-8");
	strv_addf(env, "TEMP=%s/tmp/%u", data, r->number);
	strv_addf(env, "TMPDIR=%s/tmp/%u", data, r->number);
	strv_addf(env, "PHP_INI_SCAN_DIR=:%s/php", share); /* PHP's own first */
	strv_addf(env, "PYTHONPATH=%s/python", share);
	strv_addf(env, "PYTHONPYCACHEPREFIX=%s/pycache", data);
	strv_add(env, "PYTHONUNBUFFERED=1");
}

/* What one service gave stays: DATABASE_URL of the first that has one. */
static void add_missing(struct strv *env, const struct strv *more)
{
	for (size_t i = 0; i < more->n; i++) {
		autofree char *name = xstrndup(more->v[i], strcspn(more->v[i], "="));

		if (!service_env_get(env, name))
			strv_add(env, more->v[i]);
	}
}

static bool is_asked_for(const struct environment_release *r, const char *name)
{
	for (size_t i = 0; i < r->n_services; i++)
		if (strcmp(r->services[i], name) == 0)
			return true;
	return false;
}

static int add_service(const struct environment_release *r, const struct service *service,
		       struct strv *env, struct error *err)
{
	autorecord struct service_record record = {NULL, STRV_INIT};

	if (service_record_read(r->app_fd, service->record, &record, err) == -1)
		return -1;
	add_missing(env, &record.env);
	return 0;
}

/* In the order of the catalog, whatever that of app.ini is; plug-ins behind it, by name. */
static int add_services(const struct environment_release *r, struct strv *env, struct error *err)
{
	autostrv struct strv plugins = STRV_INIT;
	const struct service *service;

	for (size_t i = 0; (service = service_at(i)); i++)
		if (is_asked_for(r, service->name) && add_service(r, service, env, err) == -1)
			return -1;
	for (size_t i = 0; i < r->n_services; i++) {
		service = service_named(r->services[i]);
		if (service && service->plugin)
			strv_add(&plugins, service->name);
	}
	strv_sort(&plugins);
	for (size_t i = 0; i < plugins.n; i++)
		if (add_service(r, service_named(plugins.v[i]), env, err) == -1)
			return -1;
	return 0;
}

static size_t find(const struct strv *env, const char *name, size_t len)
{
	size_t i = 0;

	while (i < env->n && (strncmp(env->v[i], name, len) != 0 || env->v[i][len] != '='))
		i++;
	return i;
}

void environment_put(struct strv *env, const char *entry)
{
	size_t i = find(env, entry, strcspn(entry, "="));

	if (i == env->n) {
		strv_add(env, entry);
		return;
	}
	free(env->v[i]);
	env->v[i] = xstrdup(entry);
}

int environment_compose(const struct environment_release *release, struct strv *env,
			struct error *err)
{
	if (strchr(release->node->dir, ':'))
		return error_set(err, E_REFUSED,
				 "'%s' holds a ':', which divides PATH; choose another directory",
				 release->node->dir);
	add_app(release, env);
	add_system(release, env);
	if (add_services(release, env, err) == -1 || devel_override(release->node, env, err) == -1)
		return -1;
	strv_sort(env);
	return 0;
}
