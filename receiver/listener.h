/* listener.h - accepts connections and gives each a session process of its own, started before it
 * is needed.
 *
 * Limits, so that who only connects cannot keep out who wants to push:
 * - max_sessions, connections in all: past it a new one is closed.
 * - max_startups, connections that have not logged in: past it one of them gives way to the new
 *   one. It is the oldest of the source (address; /64 of IPv6) that has most of them.
 *
 * To refuse the new one, as a full table does, or to drop at random, as sshd does, lets idle
 * connections hold the door shut for the whole grace time. A client that means it logs in within a
 * fraction of a second; the oldest of those that have not is almost surely not one. To push a good
 * one out, an attacker would have to open max_startups connections within that fraction, from the
 * good one's own network. */
#pragma once
#include "receiver/monitor.h"

struct listener;
/* Takes fd, bound. host_key is the text of the private key. */
struct listener *listener_new(struct loop *loop, const struct node *node, struct monitor *monitor,
			      int fd, const char *host_key);
/* Starts to listen, and the first sessions. */
MUST_CHECK int listener_start(struct listener *l, struct error *err);
/* No new connection; ends the sessions that have no job. */
void listener_close(struct listener *l);
size_t listener_sessions(const struct listener *l);
/* Ends every session. */
void listener_kill(struct listener *l);
