/* settings.h - what node.ini says of a service: [service.NAME].
 *
 *	[service.postgresql]
 *	admin = postgresql://silver@db.example.com:5432/postgres?sslmode=verify-full
 *	password_file = /etc/silver/postgresql
 *
 *	[service.couchdb]
 *	host = couch.example.com:5984
 *
 *	[service.kv]			a plug-in
 *	timeout_ms = 10000
 *
 * node.ini is world-readable, so a password in it is refused as long as that is so. */
#pragma once
#include "services/catalog.h"

struct service_settings {
	char *admin;         /* the server elsewhere, and who we are there; NULL: the node's own */
	char *password_file; /* absolute; its first line; NULL: none */
	char *host;          /* HOST[:PORT] of a server that we do not speak to; NULL: none */
	int timeout_ms, data_timeout_ms; /* of a plug-in */
};
#define autosettings __attribute__((cleanup(service_settings_release)))
void service_settings_release(struct service_settings *s);
/* No such section: all is NULL. E_SYSTEM: what is wrong in it. */
MUST_CHECK int service_settings_read(const struct node *node, const struct service *service,
				     struct service_settings *out, struct error *err);
