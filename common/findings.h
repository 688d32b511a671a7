/* findings.h - what a check of the state directory found, for people and for programs.
 *
 *	static const struct finding_rule missing = {FINDING_DAMAGE, "a node has ...", "silverd
 *..."}; findings_add(&f, &missing, "apps/blog/lock", "it is not there");
 *
 * A finding says what is wrong and where, which rule that breaks, and what repairs it. */
#pragma once
#include "common/json.h"

enum finding_class {
	FINDING_PENDING, /* what an interrupted step leaves; the repair finishes or removes it */
	FINDING_DAMAGE,  /* nothing of ours leaves it so, whenever it is interrupted */
};

struct finding_rule {
	enum finding_class class;
	const char *rule, *repair; /* "APP" in repair is the app's name */
};

struct findings {
	const char *app; /* NULL: of no app; the caller's */
	bool as_json;    /* out holds the elements of an array then, else lines */
	struct strbuf out;
	struct json json;
	size_t damage, pending; /* how many */
};

void findings_init(struct findings *f, const char *app, bool as_json);
void findings_release(struct findings *f);
/* path is below the state directory; any bytes. */
void findings_add(struct findings *f, const struct finding_rule *rule, const char *path,
		  const char *what, ...) PRINTF_LIKE(4, 5);
/* 0 where nothing was found; else -1: E_REFUSED for damage, E_BUSY where all is pending, and how
 * many of each. */
MUST_CHECK int findings_result(const struct findings *f, struct error *err);
