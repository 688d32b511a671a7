/* settings.h - what node.ini says of a service: [service.NAME].
 *
 *	[service.postgresql]
 *	admin = postgresql://silver@db.example.com:5432/postgres?sslmode=verify-full
 *	password_file = /etc/silver/postgresql
 *
 * node.ini is world-readable, so a password in it is refused as long as that is so. */
#pragma once
#include "common/node.h"

struct service_settings {
	char *admin;         /* the server elsewhere, and who we are there; NULL: the node's own */
	char *password_file; /* absolute; its first line; NULL: none */
};
#define autosettings __attribute__((cleanup(service_settings_release)))
void service_settings_release(struct service_settings *s);
/* No such section: all is NULL. E_SYSTEM: what is wrong in it. */
MUST_CHECK int service_settings_read(const struct node *node, const char *name,
				     struct service_settings *out, struct error *err);
