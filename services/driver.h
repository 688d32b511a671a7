/* driver.h - a service as silver-service sees it: one row of functions, on the library of its
 * server.
 *
 * All of them run as the app's runner (services below data/APP) or as the user of the node's own
 * server, never as root, and are told by silver-root what stands in the app's record.
 * Each may be stopped anywhere and called again. */
#pragma once
#include "services/catalog.h"
#include "services/record.h"

struct service_call {
	const struct node *node;
	const struct service *service;
	char app[32];
	char node_id[40]; /* tells this node from another that uses the same server */
	char *admin;      /* of a server elsewhere (settings.h); NULL: the node's own */
	char *password;   /* its administrator's, where that is not in `admin`; or NULL */
	char *host;       /* of a server that we do not speak to; or NULL */
	int timeout_ms, data_timeout_ms; /* of a plug-in's verbs (plugin.h) */
	/* What is asked for, and the environment that the app has: empty before the first time. A
	 * driver that finds its names and password there keeps them. */
	struct service_record has;
};

/* What the app is given: variables are added to *env. */
typedef int (*service_give_fn)(const struct service_call *call, struct strv *env,
			       struct error *err);
typedef int (*service_do_fn)(const struct service_call *call, struct error *err);
typedef int (*service_stream_fn)(const struct service_call *call, int fd, struct error *err);
typedef int (*service_say_fn)(const struct service_call *call, struct strbuf *out,
			      struct error *err);

struct service_driver {
	const char *name; /* of the record */
	service_give_fn provision;
	/* The same data by another name and password; the ones that the app has go on working until
	 * `retire`. NULL: there is no password. */
	service_give_fn rotate;
	service_do_fn retire;     /* only what call->has names works from now on */
	service_do_fn remove;     /* nothing of it is left; nothing there is no error */
	service_do_fn clear;      /* as after the first provision */
	service_stream_fn backup; /* all of the data into fd, consistent while the app runs */
	service_stream_fn
		restore;       /* what backup wrote, in place of all that is there, or nothing */
	service_say_fn status; /* "KEY VALUE" lines */
	/* Does the node's own server answer? E_BUSY: not yet. NULL: there is no server. */
	int (*ready)(const struct node *node, struct error *err);
};

extern const struct service_driver postgresql_driver, mysql_driver, sqlite_driver, redis_driver,
	files_driver, writable_root_driver, couchdb_driver, mongodb_driver, plugin_driver;

/* 32 hex digits that nobody can guess. The caller frees. */
char *service_new_password(void);
/* Runs argv[0], an absolute path, to its end, with nothing in its environment but *env and the
 * machine's PATH and language. in, out: -1 is nothing. An error has the end of what it said. */
MUST_CHECK int service_program(const struct strv *argv, const struct strv *env, int in, int out,
			       struct error *err);
/* As part of a URL: all but unreserved characters and '/' as %XX. The caller frees. */
char *service_url_quoted(const char *text);
/* The app's name as the name of a database or role: with '_' for '-'; one that a server keeps for
 * itself (`taken`) gets a '_' behind it. The caller frees. */
char *service_database_name(const char *app, const char *const *taken, size_t n);
