/* control.h - DIR/run/control: verbs for who is on the node, without ssh.
 *
 * Only root and silverd's own user may connect; the kernel says who it is (SO_PEERCRED). */
#pragma once
#include "receiver/monitor.h"

struct control;
MUST_CHECK int control_start(struct control **out, struct loop *loop, const struct node *node,
			     struct monitor *monitor, struct error *err);
void control_close(struct control *control);

/* The client's side: a connected socket. E_NOTFOUND: no silverd is running there. */
MUST_CHECK int control_connect(const struct node *node, int *out, struct error *err);
