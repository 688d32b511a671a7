/* ssh_conn.h - one SSH connection under libssh, driven by a poll loop of ours.
 *
 * libssh is never let to wait: it is in non-blocking mode, and gets a turn when the socket has
 * something. Its callbacks note and answer; nothing is closed or disconnected inside one, because
 * libssh goes on with what it was doing afterwards.
 *
 *	ssh_conn_open()
 *	while (!c->gone) {
 *		struct pollfd p = ssh_conn_pollfd(c);
 *		poll(...); ssh_conn_turn(c, p.revents);
 *	}
 *	ssh_conn_end() */
#pragma once
#include <libssh/libssh.h>
#include <poll.h>
#include "common/mem.h"

struct ssh_conn {
	ssh_session session;
	ssh_event event;
	int fd;    /* a duplicate: the connection stays open when libssh closes its own */
	bool gone; /* the peer, or all understanding with it */
};

/* All that is slow the first time (libssh, OpenSSL): before there is a connection to wait for it.
 */
MUST_CHECK int ssh_conn_warm_up(struct error *err);

/* Takes fd over. Nothing is sent or read yet: callbacks are set first, then ssh_conn_start(). */
MUST_CHECK int ssh_conn_open(struct ssh_conn *c, int fd, const char *host_key, struct error *err);
MUST_CHECK int ssh_conn_start(struct ssh_conn *c, struct error *err);

struct pollfd ssh_conn_pollfd(const struct ssh_conn *c);
/* Handles what arrived and sends what is queued; callbacks are called from here. */
void ssh_conn_turn(struct ssh_conn *c, short revents);
/* Polls the connection alone, at most timeout_ms, and takes a turn. */
void ssh_conn_wait(struct ssh_conn *c, int timeout_ms);
/* Acknowledge at once: an OpenSSH client has Nagle on until its session starts, and waits for it.
 */
void ssh_conn_quick_ack(const struct ssh_conn *c);
/* What the kernel measured so far; 0 when it does not know. */
unsigned ssh_conn_round_trip_us(const struct ssh_conn *c);
/* libssh still has bytes that the socket did not take. */
bool ssh_conn_is_clogged(const struct ssh_conn *c);
/* Says `text` in a disconnect message (NULL: none) and ends the connection so that the peer gets to
 * read it. */
void ssh_conn_end(struct ssh_conn *c, const char *text);
