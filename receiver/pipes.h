/* pipes.h - what connects a job with who asked for it: three pipes, or a terminal. */
#pragma once
#include "receiver/job.h"

/* child[] are in, out, err of the job, ends those of the client. */
MUST_CHECK int pipes_make(int child[3], struct job_ends *ends, struct error *err);
/* child[] are all the terminal, which `owner` may open again by its name. */
MUST_CHECK int pipes_make_terminal(int child[3], struct job_ends *ends, unsigned cols,
				   unsigned rows, uid_t owner, struct error *err);
