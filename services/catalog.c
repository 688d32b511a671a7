#include "services/catalog.h"

#include <strings.h>
#include "common/names.h"
#include "services/plugin.h"
#include "services/server.h"
#include "services/settings.h"

#define GIVES_PG "CONFIG_PG_* DATABASE_URL"

static const struct service services[] = {
	{"postgresql", "postgresql", "postgresql", .gives = GIVES_PG,
	 .words = "a database of PostgreSQL"},
	{"postgis", "postgresql", "postgresql", .gives = GIVES_PG,
	 .words = "the same with the extension PostGIS"},
	{"mysql", "mysql", "mysql", .gives = "CONFIG_MYSQL_* DATABASE_URL",
	 .words = "a database of MariaDB"},
	{"sqlite", "sqlite", .of_runner = true, .gives = "CONFIG_SQLITE_* DATABASE_URL",
	 .words = "a database file of SQLite"},
	{"redis", "redis", "redis", .gives = "CONFIG_REDIS_* REDIS_URL",
	 .words = "a prefix of keys in Redis"},
	{"files", "files", .of_runner = true, .gives = "CONFIG_FILES",
	 .words = "a directory for the app's own files"},
	{"writable_root", "writable_root", .of_runner = true, .gives = "CONFIG_WRITABLE_ROOT",
	 .words = "a directory whose files are served"},
	{"couchdb", "couchdb", .of_runner = true, .foreign = true, .gives = "CONFIG_COUCHDB_*",
	 .words = "a server of CouchDB"},
	{"mongodb", "mongodb", .of_runner = true, .foreign = true, .gives = "CONFIG_MONGODB_*",
	 .words = "a server of MongoDB"},
};

/* Rows of plug-ins: a name is all that they differ in. */
struct plugin_row {
	struct plugin_row *next;
	struct service service;
	char name[PLUGIN_NAME_MAX + 1];
};
static struct plugin_row *plugins;

/* Known, and not to be had here: what to say instead of "unknown". */
static const struct {
	const char *name, *advice;
} others[] = {
	{"nfs", "it is not available in this version of Silver"},
};

const struct service *service_at(size_t i)
{
	return i < ARRAY_SIZE(services) ? &services[i] : NULL;
}

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i].name, name) == 0)
			return true;
	return false;
}

static const struct service *plugin_named(const char *name)
{
	struct error none = ERROR_INIT;
	struct plugin_row *row = plugins;

	if (is_kept(name) || name_check_service(name, &none) == -1 ||
	    strlen(name) > PLUGIN_NAME_MAX)
		return NULL;
	while (row && strcmp(row->name, name) != 0)
		row = row->next;
	if (row)
		return &row->service;
	row = xcalloc(1, sizeof(*row));
	memcpy(row->name, name, strlen(name) + 1);
	row->service = (struct service){.name = row->name,
					.record = row->name,
					.of_runner = true,
					.plugin = true,
					.gives = "CONFIG_* *_URL",
					.words = "a plug-in of the operator's"};
	row->next = plugins;
	plugins = row;
	return &row->service;
}

const struct service *service_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return plugin_named(name);
}

bool service_is_variant(const char *value, const struct service *service)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (strcmp(services[i].name, value) == 0)
			return strcmp(services[i].record, service->record) == 0 &&
			       strcmp(services[i].name, services[i].record) != 0;
	return false;
}

static int unknown(const struct node *node, const char *name, struct error *err)
{
	autofree char *shown = name_printable(name);
	autostrbuf struct strbuf list = STRBUF_INIT;
	autostrv struct strv known = STRV_INIT;
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i].name, name) == 0)
			return error_set(err, E_REFUSED, "%s", others[i].advice);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		strv_add(&known, services[i].name);
	if (plugin_list(node, &known, err) == -1)
		return -1;
	for (size_t i = 0; i < known.n; i++)
		strbuf_addf(&list, "%s%s", i ? ", " : "", known.v[i]);
	near = name_nearest(name, (const char *const *)strv_argv(&known), known.n);
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

static int check_plugin(const struct node *node, const char *name, const char *value,
			struct error *err)
{
	if (plugin_find(node, name, err) == -1)
		return err->code == E_NOTFOUND ? unknown(node, name, err) : -1;
	return plugin_check_value(value, err);
}

int service_check(const struct node *node, const char *name, const char *value, struct error *err)
{
	const struct service *service = service_named(name);
	autofree char *shown = name_printable(value);

	if (!service)
		return unknown(node, name, err);
	if (service->plugin)
		return check_plugin(node, name, value, err);
	if (!is_just_yes(value))
		return error_set(err, E_REFUSED,
				 "it takes no value, and has '%.100s'; write 'service.%s ='", shown,
				 name);
	return 0;
}

int service_available(const struct node *node, const struct service *service, struct error *err)
{
	autosettings struct service_settings settings = {0};

	if (!service->server && !service->foreign)
		return 0;
	if (service_settings_read(node, service, &settings, err) == -1)
		return -1;
	if (service->foreign && !settings.host)
		return error_set(
			err, E_REFUSED,
			"Debian has no server of it, and node.ini names none; its operator "
			"writes there: [service.%s] host = HOST[:PORT]",
			service->name);
	return service->foreign || settings.admin ? 0
						  : server_installed(node, service->server, err);
}
