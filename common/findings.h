/* findings.h - what a check of the state directory found, for people and for programs.
 *
 *	static const struct finding_rule missing = {FINDING_DAMAGE, "an app has ...", "silver ..."};
 *	findings_init(&f, "blog", false);
 *	findings_add(&f, &missing, "lock", "it is not there");
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
	char *below;     /* what paths are below: "apps/APP/" or "" */
	bool as_json;    /* out holds the elements of an array then, else lines */
	struct strbuf out;
	struct json json;
	size_t damage, pending; /* how many */
};

/* app: paths are below apps/APP; NULL: below the state directory. */
void findings_init(struct findings *f, const char *app, bool as_json);
void findings_release(struct findings *f);
/* path: any bytes. */
void findings_add(struct findings *f, const struct finding_rule *rule, const char *path,
		  const char *what, ...) PRINTF_LIKE(4, 5);
/* The same about an app, whose name the repair gives; path as before. */
void findings_add_of(struct findings *f, const char *app, const struct finding_rule *rule,
		     const char *path, const char *what);
/* Adds the names in the directory `path` of dir_fd. false: it is not there, or cannot be read,
 * which breaks `rule`. */
bool findings_list(struct findings *f, const struct finding_rule *rule, int dir_fd,
		   const char *path, struct strv *names);
/* 0 where nothing was found; else -1: E_REFUSED for damage, E_BUSY where all is pending, and how
 * many of each. */
MUST_CHECK int findings_result(const struct findings *f, struct error *err);
