/* apt.h - runs apt-get for a node, never with more than checked names, and reads what it says.
 *
 * Whatever the machine's apt.conf says: only signed sources, no recommended packages, no removal,
 * no downgrade. What people should hear goes to stdout as a line "say TEXT", at once
 * (docs/CONTRACT.md, "Packages"). */
#pragma once
#include "common/node.h"

struct apt {
	const struct node *node;
	bool in_store; /* without root: lists and downloads lie below DIR/packages/apt */
	int lock_fd;   /* run/packages.lock */
	bool goes_on;  /* a run was left alone past its time */
};
/* Opens it; the lock is not taken. */
MUST_CHECK int apt_init(struct apt *apt, const struct node *node, struct error *err);
void apt_release(struct apt *apt);
/* The node's own lock, for all of its apps; waits packages.lock_ms. E_BUSY says who has it. Once it
 * is taken, nothing happens. */
MUST_CHECK int apt_lock(struct apt *apt, struct error *err);

struct apt_entry {
	char *name, *version, *arch;
};
/* What a simulation said. */
struct apt_plan {
	struct apt_entry *entry; /* what would be unpacked, in apt's order */
	size_t n;
	struct strv removed, downgraded; /* names */
	struct strv unknown;             /* names */
	struct strv unmet;               /* " x : Depends: y but it is not installable" */
	struct strv errors;              /* apt's other lines with "E: " in front, which is cut */
};
void apt_plan_release(struct apt_plan *plan);
/* For the tests. Adds what a text of apt-get says. */
void apt_parse(const char *text, struct apt_plan *out);
bool apt_plan_has(const struct apt_plan *plan, const char *name);

/* Simulates the installation of names; lists are fetched anew where one is unknown and they are
 * old. Each that cannot be is told on stdout, "refuse NAME TEXT", and *refused counts them. *out is
 * the caller's. E_SYSTEM: apt itself fails. */
MUST_CHECK int apt_simulate(struct apt *apt, const struct strv *names, struct apt_plan *out,
			    size_t *refused, struct error *err);
/* "entry NAME VERSION ARCH" on stdout for all of it. */
void apt_tell_plan(const struct apt_plan *plan);
void apt_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Runs `apt-get ARGUMENTS` in the directory `cwd` (NULL: /) and shows what it prints. Its output
 * goes to log/packages.log, so that it goes on when we are killed; past packages.apt_ms it is left
 * alone, with the lock, and the error is E_BUSY. E_SYSTEM has apt's errors. */
MUST_CHECK int apt_run(struct apt *apt, const struct strv *arguments, const char *cwd,
		       struct error *err);
/* The same for `dpkg --configure -a`. */
MUST_CHECK int apt_configure(struct apt *apt, struct error *err);
/* `apt-get update`. */
MUST_CHECK int apt_update(struct apt *apt, struct error *err);
