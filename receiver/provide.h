/* provide.h - what an app is given: silver-root's part (docs/SERVICES.md).
 *
 * Looks at names, values and the app's record, makes the servers of the node's own, and has
 * silver-service, which is never root, talk to them. What that answers becomes the record, on disk
 * before anybody is told. Every call may be interrupted anywhere and repeated. */
#pragma once
#include "common/node.h"

struct service;
struct strbuf;

/* The app has the service when it returns. E_REFUSED: there is none such, its value is wrong, or
 * the node cannot give it. */
MUST_CHECK int provide_service(const struct node *node, const char *app, const char *name,
			       const char *value, struct error *err);
/* The app's record has another password, and the one before works on until provide_retire().
 * E_NOTFOUND: the app has no such service. E_REFUSED: it has no password. */
MUST_CHECK int provide_rotate(const struct node *node, const char *app, const char *name,
			      struct error *err);
MUST_CHECK int provide_retire(const struct node *node, const char *app, const char *name,
			      struct error *err);
/* The app's databases and roles are gone. app_dir is its directory below apps/, whatever it is
 * called by now. */
MUST_CHECK int provide_remove_all(const struct node *node, const char *app, const char *app_dir,
				  struct error *err);
/* Has silver-service do `verb` (backup, restore, clear, status) with the data that the app has of
 * the service; the dump is `fd` (-1: none). Takes as long as it takes. *answer may be NULL. */
MUST_CHECK int provide_data(const struct node *node, const char *app, const struct service *service,
			    const char *verb, int fd, struct strbuf *answer, struct error *err);
/* apps/APP/services, made where it is missing. It is root's, and what is made in it is of the app's
 * group: its owner reads it, and cannot change what the app was given. */
MUST_CHECK int provide_open_records(int app_fd, int *out, struct error *err);
