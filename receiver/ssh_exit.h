/* ssh_exit.h - the end of a command on its channel: a word to the person, the status, the close. */
#pragma once
#include "receiver/ssh_conn.h"
#include "receiver/ssh_request.h"

/* Writes `text` to the client's stderr, each line with "silver: " in front unless it has it. */
void ssh_exit_tell(struct ssh_conn *c, const struct ssh_request *r, const char *text);

/* exit-status, EOF, CLOSE, in this order; then waits for the client to take it all and to hang up.
 * After 5 s without a sign from it, or max_ms in all, the connection ends anyway. */
void ssh_exit_send(struct ssh_conn *c, const struct ssh_request *r, int status, int max_ms);
