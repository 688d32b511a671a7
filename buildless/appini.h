/* appini.h - app.ini, checked: what an app asks for (app.ini(5)).
 *
 * Tables of sections and keys drive the parser and print the manual's list. Every problem is
 * reported, each as one line "app.ini:LINE: text" (names with the nearest known key), warnings
 * apart from errors. */
#pragma once
#include "common/mem.h"
#include "runtime/runspec.h"

/* A line of update_fetch or test: "/path", or "script:bin/x args". */
struct appini_task {
	char *text;
	unsigned line;
};
struct appini_tasks {
	struct appini_task *v;
	size_t n;
};

/* service.NAME = VALUE. */
struct appini_service {
	char *name, *value; /* the name in lower case; the value may be "" */
	unsigned line;
};
struct appini_services {
	struct appini_service *v;
	size_t n;
};

struct appini_config {                    /* config.* */
	bool anything;                    /* required = true: whatever it is */
	struct strv required;             /* names of variables and of files */
	struct strv defaults;             /* NAME=VALUE, each name perhaps twice: the last counts */
	char *default_dir, *template_dir; /* directories of the tree; NULL: absent */
	char *checker;                    /* "module:function" */
	unsigned required_line, default_line, template_line, checker_line; /* 0: absent */
};

struct appini {
	char *app_name; /* NULL: absent */
	struct runspec run;
	struct appini_tasks update_fetch, test; /* in their order */
	unsigned checkpoint_line;               /* 0: update_fetch may change data for good */
	char *default_location;                 /* "host" or "host/path"; NULL: absent */
	struct strv packages;                   /* sorted, each once */
	struct appini_services services;        /* in their order, each name once */
	struct strv package_lines;              /* "NAME LINE" for each of them */
	struct appini_config config;
	unsigned memory_line, cpu_line, tasks_line, timeout_line; /* of [limits]; 0: absent */
	unsigned runner_line, php_root_line, packages_line, location_line; /* 0: absent */
};

/* text is the file's. Findings are added to errors and warnings; the number of errors is returned.
 * `app` is the name that is pushed to. */
unsigned appini_parse(struct appini *out, const char *app, const char *text, size_t len,
		      struct strv *errors, struct strv *warnings);
void appini_release(struct appini *ini);
/* The runner's file without "#object" or ":object": "src/app.py" for "src/app.py#main"; NULL for
 * "module:object". The caller frees. */
char *appini_runner_file(const struct appini *ini);
/* The line of app.ini that asks for the package; 0: none. */
unsigned appini_package_line(const struct appini *ini, const char *name);
/* For help and the manual: "[SECTION]\tMEANING" lines, each with its "KEY\tMEANING" lines below. */
void appini_describe(struct strbuf *out);
/* A whole app.ini to paste. */
const char *appini_example(void);
