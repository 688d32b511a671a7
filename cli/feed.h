/* feed.h - our standard input, copied to a verb that must know whether it came whole. */
#pragma once
#include "common/mem.h"

/* Copies standard input to the pipe, with a NUL behind its last byte, until that is done or
 * `control_fd` is readable: the verb wanted no more. Who ends us in between leaves no NUL, and the
 * verb refuses. Takes the pipe. */
void feed_input(int pipe_fd, int control_fd);
