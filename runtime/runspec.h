/* runspec.h - how a release runs: what app.ini says of it, and what its record keeps.
 *
 * Commands are kept as they were written, one line; words_split() gives their words. The sections
 * of a record are those of app.ini(5), so that whoever reads one can read the other. */
#pragma once
#include "common/ini.h"
#include "common/mem.h"

#define PROCESS_COUNT_MAX 64 /* of one kind */

/* [process:NAME]: a program that runs beside the one that serves requests. */
struct process_spec {
	char *name;    /* [a-z][a-z0-9-]{0,30}, never "web" */
	char *command; /* "bin/worker --queue mail" */
	unsigned count;
	unsigned line; /* of its command in app.ini; 0: read from a record */
};

/* [cron:NAME]: a command that runs by the clock. */
struct cron_spec {
	char *name;     /* as above */
	char *schedule; /* five fields (runtime/schedule.h) */
	char *command;
	unsigned line;
};

/* [limits]; 0: what the node gives. */
struct limits_spec {
	uint64_t memory_bytes;
	unsigned cpu_percent; /* 100: one core */
	unsigned tasks;       /* processes and threads */
	unsigned timeout_s;   /* of one request */
};

struct runspec {
	char *platform; /* "python" (default), "php", "static", "exec" */
	char *runner;   /* NULL: absent (static) */
	char *php_root; /* NULL: no files but those of static/ */
	char *health;   /* NULL: any answer below 500 at "/" */
	struct process_spec *process;
	size_t n_processes;
	struct cron_spec *cron;
	size_t n_crons;
	struct limits_spec limits;
};

bool runspec_equal(const struct runspec *a, const struct runspec *b);
/* Appends [run], [process:NAME]..., [cron:NAME]..., [limits] for a record. */
void runspec_format(const struct runspec *spec, struct strbuf *out);
/* From a record's ini; E_SYSTEM where it is none of ours. */
MUST_CHECK int runspec_read(const struct ini *ini, struct runspec *out, struct error *err);
void runspec_copy(struct runspec *out, const struct runspec *from);
void runspec_release(struct runspec *spec);
#define autorunspec __attribute__((cleanup(runspec_release)))
