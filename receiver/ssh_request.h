/* ssh_request.h - what a client that has logged in asks for: one session channel, one command on
 * it.
 *
 * Taken: exec, shell (a command without words), pty-req, window-change, and of env only
 * GIT_PROTOCOL. All else is refused: further channels, subsystems, forwarding of any kind. */
#pragma once
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include "common/mem.h"

struct ssh_request {
	ssh_channel channel; /* NULL until it is opened; libssh's */
	struct ssh_channel_callbacks_struct callbacks;
	char git_protocol[65]; /* "" when there is none */
	char term[65];         /* "" when no pty was asked for */
	unsigned cols, rows;
	bool asked;    /* the command is there */
	char *command; /* NULL: a shell */
	int pty_fd;    /* set while a pty is served: it follows the window */
	bool closed;   /* the client closed the channel */
};
#define SSH_REQUEST_INIT                                                                           \
	{                                                                                          \
		.pty_fd = -1                                                                       \
	}
void ssh_request_release(struct ssh_request *r);

/* For libssh's callback: the channel, or NULL when there is one already. */
ssh_channel ssh_request_on_open(struct ssh_request *r, ssh_session session);
