/* catalog.h - the services that an app may ask for: their names, and what may be asked.
 *
 * Needs no library of a server, so that the owner's programs can look here before anything is done
 * (docs/SERVICES.md). */
#pragma once
#include "common/node.h"

struct service {
	const char *name;   /* service.NAME in app.ini */
	const char *record; /* apps/APP/services/RECORD (record.h); the name of its driver too */
	const char *server; /* of the node's own (server.h); NULL: it needs none */
	bool of_runner;     /* provided as the app's runner, below data/APP */
	bool foreign;       /* a server that we do not speak to: node.ini names it, no more */
	bool plugin;        /* a program of the operator's (plugin.h) */
	const char *gives;  /* names of variables: patterns, blanks between them */
	const char *words;  /* what it is, for the manual */
};

/* The row of a service of ours, or one for a plug-in of this name, there or not; NULL: no name of a
 * service. It stays. */
const struct service *service_named(const char *name);
const struct service *service_at(size_t i); /* those of ours; NULL: past the last */
/* A record of `service` whose value is the name of another that it has, too: postgis. */
bool service_is_variant(const char *value, const struct service *service);
/* May this be asked for, with this value? E_REFUSED says what is wrong, in words that may follow
 * "service.NAME: ". */
MUST_CHECK int service_check(const struct node *node, const char *name, const char *value,
			     struct error *err);
/* A value as it is kept: "" for all the ways to say just "yes". The caller frees. */
char *service_value(const char *value);
/* The service a node can have now: its server is there already, or named in node.ini, or its
 * programs are installed. E_REFUSED names the package. */
MUST_CHECK int service_available(const struct node *node, const struct service *service,
				 struct error *err);
