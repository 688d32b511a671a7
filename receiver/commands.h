/* commands.h - the one table of what may be asked of a node: over ssh, by the control socket, by
 * `silver`.
 *
 * The table says who may, what is needed, and which program does it as whom; help and usage are
 * printed from it. */
#pragma once
#include "common/names.h"
#include "receiver/users.h"

enum command_flag {
	NEED_APP = 1 << 0,   /* the first word is an app */
	MAY_APP = 1 << 1,    /* ... or absent: then `apps` answers for all that the user sees */
	URL_PATH = 1 << 2,   /* ... in the form of a push URL's path */
	TTY = 1 << 3,        /* gets a terminal when the client has one */
	CHANGES = 1 << 4,    /* may change what is live: ends a settle before, starts one after */
	DRAIN = 1 << 5,      /* goes on when the client vanishes; all others end then */
	LOCAL_ONLY = 1 << 6, /* only through the control socket */
	CREATES = 1 << 7,    /* makes the app when there is none */
	MISSING_OK = 1 << 8, /* the app need not exist */
	CONFIRM = 1 << 9,    /* wants --yes */
	RAW = 1 << 10,       /* words behind the app are the program's, unread */
	HIDDEN = 1 << 11,    /* not in help: for git, not for people */
	PATIENT = 1 << 12,   /* may be silent for as long as it likes: a person reads or types */
	SECRET = 1 << 13,    /* words are no arguments, which everybody on the node may read */
	INPUT = 1 << 14,     /* reads its standard input, and must know that it came whole */
};

enum command_as {
	AS_NOBODY, /* the monitor answers itself */
	AS_OWNER,  /* the app's owner, with lock and channel */
	AS_ROOT,   /* as silverd, which the program knows to handle */
};

struct command {
	const char *name;  /* one word, or two: "config set" */
	const char *usage; /* words behind the name */
	const char *help;
	enum role role;
	unsigned flags;
	const char *program; /* "git", or one of ours */
	enum command_as as;
	const char *options; /* space-separated; RAW and NULL: none. "-n=" takes a word */
	unsigned max_words;  /* that are neither the app nor options */
};

const struct command *command_named(const char *name); /* NULL: none */
/* The one that the words begin with, and how many of them are its name; NULL: none. */
const struct command *command_of_words(char *const *words, size_t n, size_t *used);
/* "config": the first of two words of several commands? command_help() lists them. */
bool command_is_group(const char *first);
const struct command *command_at(size_t i); /* NULL: past the last */
/* "usage: rollback APP [N]"; the caller frees. */
char *command_usage(const struct command *c);
/* Index of the first of these words, which stand behind the verb, that is no option: the app, or n.
 */
size_t command_app_at(const struct command *c, char *const *words, size_t n);
/* What a user of this role may ask; `local` adds the rows for the node itself. */
void commands_help(struct strbuf *out, enum role role, bool local);
/* One verb, for `help VERB`. */
MUST_CHECK int command_help(struct strbuf *out, const char *verb, struct error *err);

/* A request: words, read with the table. */
struct request {
	const struct command *command;
	char app[APP_NAME_MAX + 1]; /* "": none */
	struct strv words;          /* behind the verb, without the app, options first */
};
#define autorequest __attribute__((cleanup(request_release)))
void request_release(struct request *r);
bool request_has(const struct request *r, const char *word);
/* E_USAGE: unknown verb (names the nearest and lists all), no or a bad app, unknown options, too
 * many words. */
MUST_CHECK int request_parse(struct request *out, char *const *words, size_t n, struct error *err);
/* E_DENIED: the role or the place is wrong. E_NOTFOUND "no app 'X'": also for an app that the user
 * may not see, so that nobody learns what is there. */
MUST_CHECK int request_allow(const struct request *r, const struct user *user, bool local,
			     struct error *err);
