#include "services/devel.h"

#include <ctype.h>
#include "common/ini.h"

static bool is_variable(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isascii(*c) || !(isalpha(*c) || *c == '_' || (c > name && isdigit(*c))))
			return false;
	return *name != '\0';
}

static void set(struct strv *env, const char *name, const char *value)
{
	autofree char *entry = xasprintf("%s=%s", name, value);
	size_t len = strlen(name) + 1;

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->v[i], entry, len)) {
			free(env->v[i]);
			env->v[i] = steal_ptr(&entry);
			return;
		}
	strv_add(env, entry);
}

int devel_override(const struct node *node, struct strv *env, struct error *err)
{
	autoini struct ini ini = INI_INIT;

	if (node->fd == -1) /* nothing to read it from */
		return 0;
	if (ini_read(node->fd, DEVEL_INI, &ini, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	set(env, "SILVER_VERSION", "devel/" SILVER_VERSION);
	for (size_t i = 0; i < ini.n; i++) {
		const struct ini_entry *e = &ini.v[i];

		if (strcmp(e->section, "environment") != 0)
			continue;
		if (!is_variable(e->key))
			return error_set(err, E_REFUSED,
					 DEVEL_INI ":%u: '%s' is no variable's name", e->line,
					 e->key);
		set(env, e->key, e->value);
	}
	return 0;
}
