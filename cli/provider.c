#include "cli/provider.h"

#include <unistd.h>
#include "cli/settings.h"
#include "cli/tool.h"
#include "common/address.h"
#include "common/json_read.h"
#include "common/names.h"
#include "common/proc.h"

/* --- what it told ------------------------------------------------------------------------------
 */

void provided_release(struct provided_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < TOLD_N; k++)
			free(l->v[i].of[k]);
	free(l->v);
	*l = (struct provided_list){0};
}

static bool is_host(const char *value, struct error *err)
{
	autofree char *v4 = xasprintf("%s:1", value), *v6 = xasprintf("[%s]:1", value);
	union address address;

	return name_check_host(value, err) == 0 || address_parse(v4, &address, err) == 0 ||
	       address_parse(v6, &address, err) == 0;
}

static bool is_port(const char *value, struct error *err)
{
	autofree char *there = xasprintf("127.0.0.1:%s", value);
	union address address;

	return address_parse(there, &address, err) == 0 && address_port(&address) != 0;
}

static bool is_user(const char *value, struct error *err)
{
	return name_check_user(value, err) == 0;
}

static bool is_name(const char *value, struct error *err)
{
	return name_check_app(value, err) == 0;
}

static bool is_address(const char *value, struct error *err)
{
	union address address;

	return address_parse(value, &address, err) == 0;
}

static const struct field {
	const char *key;
	bool (*good)(const char *value, struct error *err);
	const char *form;
} fields[TOLD_N] = {
	[TOLD_NAME] = {"name", is_name, "a name of [a-z0-9-]"},
	[TOLD_HOST] = {"host", is_host, "a host name or an address"},
	[TOLD_PORT] = {"port", is_port, "a port"},
	[TOLD_USER] = {"user", is_user, "a user"},
	[TOLD_STATE] = {"state", is_name, "a word of [a-z0-9-]"},
	[TOLD_SSH] = {"ssh", is_address, "ADDRESS:PORT"},
	[TOLD_HTTP] = {"http", is_address, "ADDRESS:PORT"},
};

struct telling {
	struct provided_list *list;
	struct error *err; /* code E_OK: nothing wrong so far */
};

static void take(void *ctx, size_t object, const char *key, const char *value)
{
	struct telling *t = ctx;
	struct error why = ERROR_INIT;

	while (t->list->n <= object) {
		t->list->v = xrealloc_array(t->list->v, t->list->n + 1, sizeof(*t->list->v));
		t->list->v[t->list->n++] = (struct provided){0};
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char **slot = &t->list->v[object].of[i];

		if (strcmp(fields[i].key, key) != 0 || *slot)
			continue;
		if (fields[i].good(value, &why)) {
			*slot = xstrdup(value);
		} else if (t->err->code == E_OK) {
			autofree char *shown = name_printable(value);

			error_set(t->err, E_SYSTEM, "'%s' is '%.60s', and not %s", key, shown,
				  fields[i].form);
		}
	}
}

static int read_answer(const struct strbuf *text, struct provided_list *out, struct error *err)
{
	struct error bad = ERROR_INIT;
	struct telling t = {.list = out, .err = &bad};

	if (json_read(text->buf, text->len, take, &t, NULL, err) == -1) {
		err->code = E_SYSTEM; /* not the caller's words are wrong */
		return -1;
	}
	if (bad.code != E_OK)
		return error_set(err, E_SYSTEM, "%s", bad.text);
	for (size_t i = 0; i < out->n; i++)
		if (!out->v[i].of[TOLD_NAME] || !out->v[i].of[TOLD_STATE])
			return error_set(err, E_SYSTEM, "'name' or 'state' is missing");
	return 0;
}

/* --- asking it ---------------------------------------------------------------------------------
 */

/* One's own before those that came with silver, which in its sources are below cli/. */
static char *find_provider(const char *name, struct error *err)
{
	autofree char *own = settings_dir(), *share = proc_share_dir();
	const char *const at[][2] = {
		{own, "providers"}, {share, "providers"}, {share, "../cli/providers"}};

	if (name_check_app(name, err) == -1)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		autofree char *path = xasprintf("%s/%s/%s", at[i][0], at[i][1], name);

		if (access(path, X_OK) == 0)
			return steal_ptr(&path);
	}
	error_set(err, E_NOTFOUND,
		  "no provider '%s': there are nspawn, hcloud, doctl and aws; one of your own is a "
		  "program in %s/providers",
		  name, own);
	return NULL;
}

int provider_check(const char *provider, struct error *err)
{
	autofree char *path = find_provider(provider, err);

	return path ? 0 : -1;
}

int provider_run(const char *provider, const char *verb, const char *name,
		 const struct strv *settings, struct provided_list *out, struct error *err)
{
	autofree char *path = find_provider(provider, err);
	autostrbuf struct strbuf answer = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct tool tool = {.in = -1, .err = 2};
	int status = 0;

	*out = (struct provided_list){0};
	if (!path)
		return -1;
	strv_add(&argv, path);
	strv_add(&argv, verb);
	if (name)
		strv_add(&argv, name);
	for (size_t i = 0; settings && i < settings->n; i++)
		strv_add(&env, settings->v[i]);
	tool.argv = strv_argv(&argv);
	tool.env = strv_argv(&env);
	if (tool_answer(&tool, &answer, &status, err) == -1)
		return -1;
	if (status != 0)
		return error_set(err, status <= E_SYSTEM ? error_code_from(status) : E_SYSTEM,
				 "%s %s%s%s did not succeed (status %d)", provider, verb,
				 name ? " " : "", name ? name : "", status);
	if (answer.len && read_answer(&answer, out, err) == -1)
		return error_prefix(err, "%s %s: its answer is not as docs/PROVIDERS.md has it",
				    path, verb);
	return 0;
}
