/* git.h - the developer's own git, with all that is configured there. */
#pragma once
#include "common/mem.h"

struct git {
	const char *dir;  /* where; NULL: here */
	char *const *env; /* as struct tool */
};

/* git WORDS...: its output, without the last newline, appended to out (may be NULL). A status that
 * is not 0 is an error with git's words, of E_REFUSED. */
#define GIT(g, out, err, ...)                                                                      \
	git_words((g), NULL, (out), (const char *const[]){__VA_ARGS__, NULL}, (err))
/* The same, with an input. */
#define GIT_WITH(g, input, out, err, ...)                                                          \
	git_words((g), (input), (out), (const char *const[]){__VA_ARGS__, NULL}, (err))
MUST_CHECK int git_words(const struct git *g, const struct strbuf *input, struct strbuf *out,
			 const char *const *words, struct error *err);
/* The same where a status is an answer, and no words are printed. */
#define GIT_ASK(g, out, status, err, ...)                                                          \
	git_ask((g), (out), (const char *const[]){__VA_ARGS__, NULL}, (status), (err))
MUST_CHECK int git_ask(const struct git *g, struct strbuf *out, const char *const *words,
		       int *status, struct error *err);
/* Top of the work tree that `dir` is in. E_NOTFOUND: none. The caller frees. */
MUST_CHECK int git_top(const char *dir, char **out, struct error *err);
/* Calls of git in another repository than the one that the environment names. The list for
 * `env`. */
void git_own_env(struct strv *env);
