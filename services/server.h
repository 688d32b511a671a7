/* server.h - the servers that a node runs for itself, when node.ini names none elsewhere.
 *
 *	DIR/services/NAME/data	the server's own; 0700, of the user that it runs as
 *	DIR/services/NAME/command	how it is started (runtime/server.h); made last
 *	DIR/services/NAME/port	the port on 127.0.0.1, of servers that listen there
 *	DIR/run/NAME/		its socket
 *
 * One row of the table is one server. Its data are made as its user, by silver-service, in
 * `data.new`, which becomes `data` when it is whole and on disk. */
#pragma once
#include "common/node.h"

struct server_place {
	const struct node *node;
	const char *name;
	char *programs;   /* the directory of its programs */
	char *data, *run; /* absolute: services/NAME/data, run/NAME */
	unsigned port;    /* 0: none */
};
#define autoplace __attribute__((cleanup(server_place_release)))
void server_place_release(struct server_place *place);

/* Is there data of it, or what is needed to make them? E_REFUSED names the Debian package. */
MUST_CHECK int server_installed(const struct node *node, const char *name, struct error *err);
/* Where all of it is. E_REFUSED as above, and where DIR is too long for a socket below it. */
MUST_CHECK int server_find(const struct node *node, const char *name, struct server_place *out,
			   struct error *err);
/* The user that it runs as on a node of root. */
const char *server_user(const char *name);
/* The programs that it is made of listen on 127.0.0.1 too. */
bool server_wants_port(const char *name);
/* Fills `data.new`, which is an empty directory of the caller's. On disk. */
MUST_CHECK int server_make(const struct server_place *place, struct error *err);
/* The content of `command`. */
void server_command(const struct server_place *place, struct strbuf *out);
