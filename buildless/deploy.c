/* silver-deploy VERB APP [ARGS...]: the engine of a push, for verbs; started by silverd as the
 * app's owner, in the environment of docs/CONTRACT.md. */
#include <signal.h>
#include "buildless/app.h"
#include "buildless/config_verbs.h"
#include "buildless/refusal.h"
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "buildless/verbs.h"
#include "common/lock.h"
#include "common/words.h"
#include "services/undo.h"

enum { /* what main() sets up before the verb */
       NEED_REPO = 1,
       NEED_LOCK = 2, /* waits for the app's lock as long as a push does */
       TELL_LIVE = 4, /* a refusal ends with what is live, as that of a push does */
};

static const struct verb {
	const char *name;
	verb_fn run;
	verb_fn read; /* its words and its input, before the lock is taken; may be NULL */
	unsigned needs;
	const char *args, *help;
} verbs[] = {
	{"status", verb_status, NULL, 0, "[--json]", "what is live"},
	{"releases", verb_releases, NULL, 0, "[--json]", "the releases that are kept"},
	{"rollback", verb_rollback, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "[RELEASE]",
	 "make the previous release live, or RELEASE"},
	{"activate", verb_activate, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "RELEASE",
	 "make a kept release live"},
	{"redeploy", verb_redeploy, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "",
	 "make a new release of the live commit"},
	{"branch", verb_branch, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "[BRANCH]",
	 "show or set the branch whose pushes are deployed"},
	{"disable", verb_disable, NULL, 0, "", "answer 503 instead of the app"},
	{"deactivate", verb_disable, NULL, 0, "", "the old name of disable"},
	{"enable", verb_enable, NULL, 0, "", "let the app answer again"},
	{"logs", verb_logs, NULL, 0, "[-f] [-n LINES] [--release RELEASE]",
	 "what the app's processes wrote"},
	{"env", verb_env, NULL, 0, "[--values]", "the environment of the live release"},
	{"rotate", verb_rotate, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "SERVICE",
	 "give the app another password for a service, in a new release"},
	{"verify", verb_verify, NULL, NEED_REPO, "[--release RELEASE | --all] [--repair] [--json]",
	 "compare files with their commit"},
	{"fsck", verb_fsck, NULL, NEED_LOCK, "[--json]",
	 "do names, records, refs, slots and links agree"},
	{"why", verb_why, NULL, 0, "[--json]", "the last push or verb that was refused"},
	{"recover", verb_recover, NULL, NEED_REPO | NEED_LOCK, "",
	 "make the deploy branch and the live release agree"},
	{"settle", verb_settle, NULL, NEED_REPO | NEED_LOCK, "",
	 "what is left to do behind a push"},
	{"config set", verb_config_set, config_read_set, NEED_REPO | NEED_LOCK | TELL_LIVE,
	 "NAME=VALUE... | NAME < VALUE | < FILE", "set variables of the app's environment"},
	{"config unset", verb_config_unset, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "NAME...",
	 "take variables away"},
	{"config load", verb_config_load, config_read_load, NEED_REPO | NEED_LOCK | TELL_LIVE,
	 "[--was RELEASE] < FILE", "set these variables, and no others"},
	{"config put", verb_config_put, config_read_put, NEED_REPO | NEED_LOCK | TELL_LIVE,
	 "FILE < FILE", "bring a file of the configuration"},
	{"config remove", verb_config_remove, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "FILE...",
	 "remove files of the configuration"},
	{"config revert", verb_config_revert, NULL, NEED_REPO | NEED_LOCK | TELL_LIVE, "RELEASE",
	 "the configuration of a kept release"},
	{"config show", verb_config_show, NULL, 0, "[NAME] [--release RELEASE] [--json]",
	 "print the configuration, or one of it"},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int usage(void)
{
	fputs("usage: silver-deploy VERB APP [ARGUMENT...]\n", stderr);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		autofree char *left = xasprintf("%s APP %s", verbs[i].name, verbs[i].args);

		fprintf(stderr, "  %-45s %s\n", left, verbs[i].help);
	}
	return E_USAGE;
}

static int take_lock(const struct verb *verb, struct app *app, struct error *err)
{
	autofree char *holder = xasprintf("%s: %s", app->user, verb->name);

	account_close(&app->account, ACCOUNT_RECEIVED);
	if (!(verb->needs & NEED_LOCK))
		return 0;
	if (lock_take(app->lock_fd, holder, app->node.lock_wait_ms, err) == -1)
		return -1;
	account_close(&app->account, ACCOUNT_WAITED);
	return 0;
}

/* A push or a restore that was killed with the data half changed: they are put back first. */
static int undo_interrupted(struct app *app, struct repo *repo, struct error *err)
{
	struct undo_mark mark;

	if (undo_mark_read(app->fd, &mark, err) == -1)
		return -1;
	return mark.there ? transaction_recover_links(app, repo, err) : 0;
}

static int run(const struct verb *verb, struct app *app, int argc, char **argv, struct error *err)
{
	autorepo struct repo *repo = NULL;
	struct verb_call call = {.app = app, .argv = argv, .argc = argc};
	int r = verb->read ? verb->read(&call, err) : 0;

	if (r == 0)
		r = take_lock(verb, app, err);
	if (r == 0 && (verb->needs & NEED_REPO))
		r = repo_open(&repo, app->repo_path, false, err);
	call.repo = repo;
	if (r == 0 && (verb->needs & TELL_LIVE))
		r = undo_interrupted(app, repo, err);
	if (r == 0)
		r = verb->run(&call, err);
	strbuf_release(&call.input);
	strv_free_p(&call.set);
	return r;
}

/* Where the machine failed, "nothing was changed" would be a guess. */
static int report_failure(const struct verb *verb, const struct app *app, const struct error *err)
{
	int status = error_report(err);

	if ((verb->needs & TELL_LIVE) && err->code != E_SYSTEM)
		report_unchanged(app);
	/* busy: the lock is another's; the others are mistakes in the words */
	if ((verb->needs & TELL_LIVE) && (err->code == E_REFUSED || err->code == E_SYSTEM))
		refusal_write(app, verb->name, report_kept());
	return status;
}

/* Words that may be secret come in the environment, which only our own user may read. */
static int take_words(struct strv *words, char **argv, struct error *err)
{
	const char *count = getenv("SILVER_WORDS"), *word;
	uint64_t n = 0;

	strv_argv(words);
	for (; *argv; argv++)
		strv_add(words, *argv);
	if (count && !str_to_uint(count, WORDS_MAX, &n))
		return error_set(err, E_USAGE, "SILVER_WORDS=%s is no number of words", count);
	for (uint64_t i = 0; i < n; i++) {
		autofree char *name = xasprintf("SILVER_WORD_%llu", (unsigned long long)i);

		word = getenv(name);
		if (!word)
			return error_set(err, E_USAGE, "%s is not set", name);
		strv_add(words, word);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct verb *verb = argc > 2 ? find_verb(argv[1]) : NULL;
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;
	struct app app;
	int r;

	if (!verb)
		return usage();
	report_keep();
	signal(SIGPIPE, SIG_IGN); /* a client that went away does not stop a flip half way */
	if (app_open_from_environment(&app, &err) == -1)
		return error_report(&err);
	if (strcmp(app.name, argv[2]) != 0)
		r = error_set(&err, E_USAGE, "this channel belongs to '%s'", app.name);
	else if (take_words(&words, argv + 3, &err) == -1)
		r = -1;
	else
		r = run(verb, &app, (int)words.n, words.v, &err);
	r = r == -1 ? report_failure(verb, &app, &err) : 0;
	app_release(&app);
	return r;
}
