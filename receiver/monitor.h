/* monitor.h - answers sessions and the control socket: a table of messages, each only in its turn.
 *
 * A session is believed nothing but one thing: which key has logged in, once, because no program
 * outside of it can check a signature of its transport (docs/PRIVSEP.md). Who that is and what it
 * may do is decided here. Any message out of turn ends the connection. */
#pragma once
#include "common/node.h"
#include "receiver/job.h"
#include "receiver/users.h"

struct monitor;
struct monitor *monitor_new(struct loop *loop, const struct node *node, struct users *users,
			    struct jobs *jobs);

/* One connection: who it is, and the job it asked for. */
struct client;
/* The socket is closed and the client freed. `broken`: it broke the rules, so end its process. */
typedef void (*client_gone_fn)(void *ctx, bool broken);

/* Takes fd, the socket of a session process that serves a connection from `peer`. */
struct client *monitor_add_session(struct monitor *m, int fd, unsigned number, const char *peer,
				   client_gone_fn gone, void *ctx);
/* Takes fd, a connection of the control socket: an admin from the start. */
struct client *monitor_add_local(struct monitor *m, int fd, unsigned number, const char *user,
				 client_gone_fn gone, void *ctx);
bool client_has_logged_in(const struct client *c);
bool client_has_job(const struct client *c);
/* Ends it without a call of `gone`; its job is left. Sets NULL; nothing at NULL. */
void client_drop(struct client **c);
