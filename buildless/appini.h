/* appini.h - app.ini, checked: what an app asks for (app.ini(5)).
 *
 * A table of keys drives the parser and prints the manual's list. Every problem is reported, each
 * as one line "app.ini:LINE: text" (names with the nearest known key), warnings apart from errors.
 */
#pragma once
#include "common/mem.h"

struct appini {
	char *app_name;         /* NULL: absent */
	char *platform;         /* "python" (default), "static", "exec" */
	char *runner;           /* NULL: absent (static) */
	char *health;           /* NULL: any answer below 500 at "/" */
	char *default_location; /* NULL: absent */
	struct strv packages;   /* sorted, each once */
	unsigned runner_line, packages_line, location_line; /* 0: absent */
};

/* text is the file's. Findings are added to errors and warnings; the number of errors is returned.
 * `app` is the name that is pushed to. */
unsigned appini_parse(struct appini *out, const char *app, const char *text, size_t len,
		      struct strv *errors, struct strv *warnings);
void appini_release(struct appini *ini);
/* The runner's file without "#object" or ":object": "src/app.py" for "src/app.py#main"; NULL for
 * "module:object". The caller frees. */
char *appini_runner_file(const struct appini *ini);
/* One line per key for help and the manual: "KEY\tMEANING". */
void appini_describe(struct strbuf *out);
/* A whole app.ini to paste. */
const char *appini_example(void);
