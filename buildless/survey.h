/* survey.h - slots of an app compared with their trees (verify.h), and laid out anew where they
 * differ.
 *
 * A file may be shared by hard links, so a flipped bit damages several slots at once; that is why a
 * repair begins with all of them. Nothing is ever written in place. */
#pragma once
#include "buildless/release.h"

struct survey_slot {
	unsigned slot;
	char tree[OID_HEX]; /* what it should hold */
	struct strv
		releases; /* numbers of those that lead to it; none: the next push may take it */
	struct strv kind,
		path; /* what was found, by path; kind "slot": it is not there, or dirty */
	uint64_t files;
	bool live;  /* the live release leads to it */
	bool moved; /* a push took it while it was compared: nothing is known of it */
};

struct survey {
	struct survey_slot *v; /* by number */
	size_t n;
};
#define SURVEY_INIT                                                                                \
	{                                                                                          \
		NULL, 0                                                                            \
	}
#define autosurvey __attribute__((cleanup(survey_release)))
void survey_release(struct survey *s);

/* Every slot that a release leads to, and every clean one. */
MUST_CHECK int survey_all(const struct app *app, struct survey *s, struct error *err);
/* That of one release. E_NOTFOUND. */
MUST_CHECK int survey_one(const struct app *app, unsigned release, struct survey *s,
			  struct error *err);
/* Compares them, with the progress on stderr where that is a terminal and it takes its time. */
MUST_CHECK int survey_compare(const struct app *app, struct repo *repo, struct survey *s,
			      struct error *err);
/* How many findings there are. */
size_t survey_found(const struct survey *s);
/* Free slots of which something was found count as dirty, so that nothing is built on them. On
 * disk.
 */
MUST_CHECK int survey_forget_free(const struct app *app, const struct survey *s, struct error *err);
/* Damaged slots of releases, that of the live one excepted, are laid out anew from the repository
 * alone, the old files moved aside whole. On disk. The caller holds the lock, and no process runs
 * there. */
MUST_CHECK int survey_repair(const struct app *app, struct repo *repo, const struct survey *s,
			     struct error *err);
