#include "services/catalog.h"

#include <strings.h>
#include "common/names.h"
#include "services/server.h"
#include "services/settings.h"

static const struct service services[] = {
	{"postgresql", "postgresql", "postgresql", false, "a database of PostgreSQL"},
	{"postgis", "postgresql", "postgresql", false, "the same with the extension PostGIS"},
	{"mysql", "mysql", "mysql", false, "a database of MariaDB"},
	{"sqlite", "sqlite", NULL, true, "a database file of SQLite"},
	{"redis", "redis", "redis", false, "a prefix of keys in Redis"},
	{"files", "files", NULL, true, "a directory for the app's own files"},
	{"writable_root", "writable_root", NULL, true, "a directory whose files are served"},
};

/* Known, and not to be had here: what to say instead of "unknown". */
static const struct {
	const char *name, *advice;
} others[] = {
	{"couchdb", "it is not available in this version of Silver"},
	{"mongodb", "it is not available in this version of Silver"},
	{"nfs", "it is not available in this version of Silver"},
};

const struct service *service_at(size_t i)
{
	return i < ARRAY_SIZE(services) ? &services[i] : NULL;
}

const struct service *service_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

static int unknown(const char *name, struct error *err)
{
	autofree char *shown = name_printable(name);
	autostrbuf struct strbuf list = STRBUF_INIT;
	const char *known[ARRAY_SIZE(services)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i].name, name) == 0)
			return error_set(err, E_REFUSED, "%s", others[i].advice);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		known[i] = services[i].name;
		strbuf_addf(&list, "%s%s", i ? ", " : "", services[i].name);
	}
	near = name_nearest(name, known, ARRAY_SIZE(known));
	return error_set(err, E_REFUSED, "this node has no service '%s'%s%s%s; the services are %s",
			 shown, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
			 list.buf);
}

static bool is_just_yes(const char *value)
{
	static const char *const words[] = {"", "yes", "true", "on", "1"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(value, words[i]) == 0)
			return true;
	return false;
}

char *service_value(const char *value)
{
	return xstrdup(is_just_yes(value) ? "" : value);
}

int service_check(const char *name, const char *value, struct error *err)
{
	autofree char *shown = name_printable(value);

	if (!service_named(name))
		return unknown(name, err);
	if (!is_just_yes(value))
		return error_set(err, E_REFUSED,
				 "it takes no value, and has '%.100s'; write 'service.%s ='", shown,
				 name);
	return 0;
}

int service_available(const struct node *node, const struct service *service, struct error *err)
{
	autosettings struct service_settings settings = {0};

	if (!service->server)
		return 0;
	if (service_settings_read(node, service->record, &settings, err) == -1)
		return -1;
	return settings.admin ? 0 : server_installed(node, service->server, err);
}
