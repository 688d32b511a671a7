/* ssh_login.h - from the first byte to a verified key.
 *
 * publickey is the only way in. An offered key is shown to the monitor; only a signature that
 * libssh has verified (SSH_PUBLICKEY_STATE_VALID) becomes the one `login`. The user name a client
 * gives means nothing. keyboard-interactive exists to tell a refused client why: its request has a
 * text and no prompts, and it always fails. */
#pragma once
#include "receiver/session_monitor.h"
#include "receiver/ssh_conn.h"

struct ssh_login {
	struct ssh_conn *conn;
	struct session_monitor *monitor;
	struct strv refused; /* "SHA256:...": keys that the monitor does not know */
	struct strv types;   /* of each */
	struct strbuf known; /* a key that it knows, but that was not proven */
	unsigned offers, requests;
	bool granted;
	bool claimed;     /* the one `login` was sent */
	bool told;        /* the client was sent the reason */
	const char *over; /* set: the connection ends with this text */
	bool broken;      /* the monitor failed: err */
	struct error err;
};
#define SSH_LOGIN_INIT(c, m)                                                                       \
	{                                                                                          \
		.conn = (c), .monitor = (m), .refused = STRV_INIT, .types = STRV_INIT,             \
		.known = STRBUF_INIT, .err = ERROR_INIT                                            \
	}
void ssh_login_release(struct ssh_login *l);

/* For libssh's callbacks: what to answer. */
int ssh_login_on_public_key(struct ssh_login *l, ssh_key key, char state);
int ssh_login_on_message(struct ssh_login *l, ssh_message msg);

/* Runs the connection until somebody is logged in (l->granted), or nobody will be: too late at
 * `deadline_ms` of clock_ms(), hung up, refused. Then the connection is at its end and the monitor
 * knows. Errors: E_SYSTEM, the monitor. */
MUST_CHECK int ssh_login_run(struct ssh_login *l, int64_t deadline_ms, struct error *err);
