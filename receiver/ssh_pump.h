/* ssh_pump.h - bytes between the channel and the child's pipes, or pty.
 *
 * Nothing is dropped and nothing grows: the child is read only while the client takes bytes, and
 * the client's window re-opens only while the child does. At most one window of bytes waits here
 * and one in libssh. */
#pragma once
#include "receiver/session_monitor.h"
#include "receiver/ssh_conn.h"
#include "receiver/ssh_request.h"

enum pump_end {
	PUMP_EXIT,   /* the child ended and all it said was sent: *status */
	PUMP_ORPHAN, /* the same, but the monitor is gone and nobody knows the status */
	PUMP_IDLE,   /* the client neither sent nor took a byte for idle_ms, and it was its turn */
	PUMP_VANISHED, /* the client is gone, or closed the channel */
};

struct ssh_pump;

/* The descriptors of `run` are the pump's from here on. */
struct ssh_pump *ssh_pump_new(struct ssh_conn *c, const struct ssh_request *r,
			      struct session_monitor *m, const struct session_run *run);
/* idle_ms < 0: silence is no reason to end. Errors: E_SYSTEM, the monitor spoke out of turn. */
MUST_CHECK int ssh_pump_run(struct ssh_pump *p, int idle_ms, enum pump_end *end, int *status,
			    struct error *err);
/* Nobody is there any more: gives the child what the client had sent to its end, then reads the
 * child to its end and drops it. git runs post-receive after its report, and must not die of it. */
void ssh_pump_drain(struct ssh_pump *p);
void ssh_pump_free(struct ssh_pump *p);
