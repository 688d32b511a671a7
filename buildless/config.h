/* config.h - what an app was told with `silver config`: variables, and files of a directory.
 *
 *	releases/7/config	NAME=VALUE and a NUL, by name; then config.d/FILE=OID of each file
 *				(0640); absent: nothing was ever set
 *	releases/7/config.d/	the files (0750, 0640), the app's SILVER_APP_CONFIG
 *	config/3/		the same, of an app without a release: its first takes it over
 *
 * A release's is never changed: a change is a new release, and a push carries the live release's
 * over. A file is linked from one release to the next, not copied. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

#define CONFIG_VALUE_MAX 65536u      /* bytes; a string of an environment has at most 131 071 */
#define CONFIG_ALL_MAX   262144u     /* of all variables together */
#define CONFIG_FILE_MAX  (16u << 20) /* of one file */
#define CONFIG_ITEMS_MAX 500u        /* variables and files */

struct config_file {
	char *name, oid[OID_HEX];
	char *content; /* NULL: it is linked from `place` */
	size_t len;
};

struct config {
	struct strv set; /* NAME=VALUE, by name, each name once */
	struct config_file *file;
	size_t n_files;
	char *place; /* whose config.d the files are in: "releases/7"; NULL: nobody's */
};
#define CONFIG_INIT                                                                                \
	{                                                                                          \
		.set = STRV_INIT                                                                   \
	}
#define autoconfig __attribute__((cleanup(config_release)))
void config_release(struct config *c);

/* [A-Za-z_][A-Za-z0-9_]*, at most 200 bytes, and none that the node sets itself: E_USAGE with the
 * rule. */
MUST_CHECK int config_check_name(const char *name, struct error *err);
/* [A-Za-z0-9][A-Za-z0-9._-]*, at most 100 bytes. */
MUST_CHECK int config_check_file(const char *name, struct error *err);
bool config_is_name(const char *word); /* of the form of a variable's name */

/* What the live release has; without one, what waits for the first. Nothing is no error. */
MUST_CHECK int config_read_live(const struct app *app, struct config *out, struct error *err);
MUST_CHECK int config_read(const struct app *app, unsigned release, struct config *out,
			   struct error *err);

/* NULL: not set. */
const char *config_get(const struct config *c, const char *name);
const struct config_file *config_find_file(const struct config *c, const char *name);
/* Names have been checked. E_REFUSED: a limit, with its number. */
MUST_CHECK int config_set(struct config *c, const char *name, const char *value, struct error *err);
MUST_CHECK int config_put(struct config *c, const char *name, const void *content, size_t len,
			  struct error *err);
/* False: there was none. */
bool config_unset(struct config *c, const char *name);
bool config_remove_file(struct config *c, const char *name);

/* For who reads or brings one: takes its strings. */
void config_add_file(struct config *c, const struct config_file *file);
MUST_CHECK int config_check_count(const struct config *c, struct error *err);

/* The file `config`; nothing where nothing is set. */
void config_format(const struct config *c, struct strbuf *out);
/* Of that file; "" where nothing is set. Two with the same digest are the same. */
void config_digest(const struct config *c, char oid[OID_HEX]);
/* "set A, B, unset C, file x", from one to the other; nothing where they are the same. */
void config_describe(const struct config *from, const struct config *to, struct strbuf *out);

/* Fills a new directory of a release (dir_fd, the caller syncs it). Files are on disk then. c may
 * be NULL: nothing. */
MUST_CHECK int config_write(const struct app *app, const struct config *c, int dir_fd,
			    struct error *err);
/* For an app without a release. On disk. */
MUST_CHECK int config_write_waiting(const struct app *app, const struct config *c,
				    struct error *err);
/* Removes from config/ what does not count: what was not finished, what was replaced, and all of it
 * once a release is live. */
MUST_CHECK int config_tidy(const struct app *app, struct error *err);
