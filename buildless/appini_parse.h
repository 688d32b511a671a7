/* appini_parse.h - inside the parser of app.ini: the tables, and how a finding is told. */
#pragma once
#include "buildless/appini.h"

struct seen { /* a key that was set */
	char *section, *key;
	unsigned line;
};

struct parse {
	struct appini *ini;
	const char *app, *text, *end;
	struct strv *errors, *warnings;
	size_t first_error, first_warning; /* of ours in the lists */
	unsigned n_errors;
	struct seen *seen;
	size_t n_seen;
	char *refused_section; /* told already, its other keys are passed over */
	bool runner_told;      /* what a finding is about may be the runner: it is not missing */
};

/* A key where it stands. */
struct place {
	unsigned line;
	const char *name; /* as written */
	const char *item; /* "worker" in [process:worker], "" elsewhere */
};

enum {
	KEY_LINES = 1,        /* takes several lines */
	KEY_MAY_BE_EMPTY = 2, /* "service.files =" */
	KEY_ASSIGNS = 4,      /* takes several lines that may be NAME=VALUE */
};

struct key {
	const char *name; /* NULL ends a table; one that ends in '.' stands for all that start with
			     it */
	/* NULL: not taken; then decline tells, with `words` as the advice. */
	void (*take)(struct parse *p, const struct place *at, const char *value);
	void (*decline)(struct parse *p, const struct place *at, const char *advice);
	const char *words; /* taken: its meaning, as app.ini(5) has it */
	unsigned flags;
};

struct section {
	const char *name; /* "process:": [process:NAME] */
	const char *words;
	const struct key *keys; /* up to one without a name */
	/* After all was read: what an item lacks. May be NULL. */
	void (*check)(struct parse *p);
};

extern const struct section
	appini_sections[]; /* up to one without a name; the first is [production] */
extern const struct key appini_production_keys[];
const struct key *appini_find_key(const struct section *section, const char *name);

/* line 0: about the whole file. */
void appini_refuse(struct parse *p, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
void appini_warn(struct parse *p, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The line of the file that holds the n-th continuation of the key in `line` (0: the key itself).
 */
unsigned appini_continuation_line(const struct parse *p, unsigned line, unsigned n);
/* The line of the [section] that the key in `line` belongs to. */
unsigned appini_section_line(const struct parse *p, unsigned line);
/* Whether a continuation line was meant to be a key of its own: "key = value". */
bool appini_looks_like_key(const char *line);
/* appini_config.c */
bool appini_is_yes_or_no(const char *value, bool *yes);
void appini_take_config_required(struct parse *p, const struct place *at, const char *value);
void appini_take_config_default(struct parse *p, const struct place *at, const char *value);
void appini_take_config_template(struct parse *p, const struct place *at, const char *value);
void appini_take_config_checker(struct parse *p, const struct place *at, const char *value);
/* What is wrong with a command by its text alone, as a sentence, or NULL. The caller frees. */
char *appini_command_problem(const char *command);
