/* control.h - sockets for who is on the node; the kernel says who that is (SO_PEERCRED).
 *
 * DIR/run/control: verbs without ssh, for root and silverd's own user, as an admin.
 * DIR/run/shell: where node.ini names a shell_user, for that user: silver-shell, which sshd starts
 * (cli/shell.c). It is a session like those that silverd starts itself: believed which key has
 * logged in, once, and nothing else. */
#pragma once
#include "receiver/monitor.h"

struct control;
/* *out is set in any case, for control_close(). E_SYSTEM, also for a shell_user that is none. */
MUST_CHECK int control_start(struct control **out, struct loop *loop, const struct node *node,
			     struct monitor *monitor, struct error *err);
void control_close(struct control *control);

/* The client's side: a connected socket. E_NOTFOUND: no silverd is running there. */
MUST_CHECK int control_connect(const struct node *node, int *out, struct error *err);
/* The same for run/shell of the node at `dir`. */
MUST_CHECK int control_connect_shell(const char *dir, int *out, struct error *err);
