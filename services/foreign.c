/* foreign.c - servers that nothing here speaks to: couchdb, mongodb.
 *
 * Debian has none of them. The app is told where the one of node.ini is and which name is its own;
 * it makes that database itself, by its own library. */
#include "services/driver.h"

static int give(const struct service_call *call, const char *prefix, struct strv *env,
		struct error *err)
{
	autofree char *db = service_database_name(call->app, NULL, 0);

	if (!call->host)
		return service_available(call->node, call->service, err);
	strv_addf(env, "%s_DB=%s", prefix, db);
	strv_addf(env, "%s_HOST=%s", prefix, call->host);
	return 0;
}

static int provision_couchdb(const struct service_call *call, struct strv *env, struct error *err)
{
	return give(call, "CONFIG_COUCHDB", env, err);
}

static int provision_mongodb(const struct service_call *call, struct strv *env, struct error *err)
{
	return give(call, "CONFIG_MONGODB", env, err);
}

const struct service_driver couchdb_driver = {.name = "couchdb", .provision = provision_couchdb};
const struct service_driver mongodb_driver = {.name = "mongodb", .provision = provision_mongodb};
