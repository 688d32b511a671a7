/* plugin_driver.c - an operator's program (plugin.h) as a driver.
 *
 * `check` comes before everything: a value or a server that is not good changes nothing. */
#include <unistd.h>
#include "common/fs.h"
#include "services/driver.h"
#include "services/plugin.h"

/* data/APP/service.NAME, of the app's runner; none where the plug-in is a user of its own. */
static char *dir_of(const struct service_call *call)
{
	return call->admin ? NULL
			   : xasprintf("%s/data/%s/service.%s", call->node->dir, call->app,
				       call->service->name);
}

static int make_dir(const struct service_call *call, struct error *err)
{
	autofree char *path = xasprintf("data/%s", call->app);
	autofree char *name = xasprintf("service.%s", call->service->name);
	autoclose int fd = -1;

	if (call->admin)
		return 0;
	if (fs_open_dir(call->node->fd, path, &fd, err) == -1 ||
	    fs_ensure_dir(fd, name, 0750, NULL, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

static void add_env(const struct service_call *call, const char *dir, struct strv *env)
{
	strv_add(env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strv_add(env, "LC_ALL=C.UTF-8");
	strv_addf(env, "HOME=%s", dir ? dir : "/nonexistent");
	strv_addf(env, "SILVER_APP_NAME=%s", call->app);
	strv_addf(env, "SILVER_NODE_ID=%s", call->node_id);
	strv_addf(env, "SILVER_SERVICE=%s", call->service->name);
	strv_addf(env, "SILVER_SERVICE_VALUE=%s", call->has.value ? call->has.value : "");
	if (dir)
		strv_addf(env, "SILVER_SERVICE_DIR=%s", dir);
	if (call->admin)
		strv_addf(env, "SILVER_SERVICE_ADMIN=%s", call->admin);
	if (call->password)
		strv_addf(env, "SILVER_SERVICE_PASSWORD=%s", call->password);
	for (size_t i = 0; i < call->has.env.n; i++)
		strv_add(env, call->has.env.v[i]);
}

/* in, out: -1 is none; *answer NULL is none. */
static int run(const struct service_call *call, const char *verb, int in, int out,
	       struct strbuf *answer, struct error *err)
{
	autofree char *path =
		xasprintf("%s/" PLUGIN_DIR "/%s", call->node->dir, call->service->name);
	autofree char *dir = dir_of(call);
	autostrv struct strv env = STRV_INIT;
	autostrbuf struct strbuf ignored = STRBUF_INIT;
	bool moves_data = in != -1 || out != -1;
	struct plugin_run r = {.path = path,
			       .verb = verb,
			       .env = &env,
			       .cwd = dir,
			       .in = in,
			       .out = out,
			       .answer = answer ? answer : &ignored,
			       .timeout_ms = moves_data ? call->data_timeout_ms : call->timeout_ms};

	if (plugin_find(call->node, call->service->name, err) == -1 || make_dir(call, err) == -1)
		return -1;
	add_env(call, dir, &env);
	if (plugin_run(&r, err) == -1)
		return error_prefix(err, "the plug-in '%s'", call->service->name);
	return 0;
}

/* What it says of itself; *out may be NULL. */
static int facts(const struct service_call *call, const char *verb, struct strbuf *out,
		 struct error *err)
{
	autostrbuf struct strbuf answer = STRBUF_INIT, ignored = STRBUF_INIT;

	if (run(call, verb, -1, -1, &answer, err) == -1)
		return -1;
	if (plugin_read_facts(&answer, out ? out : &ignored, err) == -1)
		return error_prefix(err, "the plug-in '%s': '%s'", call->service->name, verb);
	return 0;
}

static int provision(const struct service_call *call, struct strv *env, struct error *err)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;

	if (facts(call, "check", NULL, err) == -1 || facts(call, "provision", NULL, err) == -1 ||
	    run(call, "env", -1, -1, &answer, err) == -1)
		return -1;
	if (plugin_read_env(&answer, env, err) == -1)
		return error_prefix(err, "the plug-in '%s'", call->service->name);
	return 0;
}

static int clear(const struct service_call *call, struct error *err)
{
	return facts(call, "clear", NULL, err);
}

static int backup(const struct service_call *call, int fd, struct error *err)
{
	return run(call, "backup", -1, fd, NULL, err);
}

static int restore(const struct service_call *call, int fd, struct error *err)
{
	return run(call, "restore", fd, -1, NULL, err);
}

static int status(const struct service_call *call, struct strbuf *out, struct error *err)
{
	return facts(call, "check", out, err);
}

const struct service_driver plugin_driver = {
	.name = "",
	.provision = provision,
	.remove = clear,
	.clear = clear,
	.backup = backup,
	.restore = restore,
	.status = status,
};
