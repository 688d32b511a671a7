#include "cli/where.h"

#include "cli/ask.h"
#include "cli/carry.h"
#include "cli/git.h"
#include "cli/place.h"
#include "cli/rollout.h"

struct where {
	const char *node, *dir; /* one of them, or neither: hosts of the place */
	struct place place;     /* of the checkout; n is 0 where there is none */
	bool node_said, app_found;
};

static bool is_number(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

/* No name of a variable looks like one, and of a file only one without an ending. */
static bool is_app(const char *word)
{
	struct error none = ERROR_INIT;

	return name_check_app(word, &none) == 0;
}

/* Where the app stands, or would have to be put: `n` says that none is missing. */
static bool wants_app(char *const *words, size_t n, bool node_is_said, size_t *at)
{
	size_t used;
	const struct command *c = command_of_words(words, n, &used);

	if (!c || (c->flags & (URL_PATH | HIDDEN)) || !(c->flags & (NEED_APP | MAY_APP)))
		return false;
	*at = command_app_at(c, words + used, n - used) + used;
	if (*at < n && !strcmp(words[*at], "."))
		return true;
	if (c->flags & (CONFIRM | RAW)) /* what removes is named; what runs may look like an app */
		return false;
	if (c->flags & MAY_APP) /* of a node that is named, all are meant */
		return *at >= n && !node_is_said;
	return *at >= n || is_number(words[*at]) ||
	       (str_starts(c->name, "config ") && !is_app(words[*at]));
}

bool where_add_app(char *const *words, size_t n, const char *here, bool node_is_said,
		   struct strv *out)
{
	size_t at = 0, used = 1;
	bool add = here && wants_app(words, n, node_is_said, &at);

	command_of_words(words, n, &used);
	for (size_t i = 0; i < n; i++) {
		if (add && i == used && (at >= n || strcmp(words[at], ".") != 0))
			strv_add(out, here);
		strv_add(out, add && i == at && !strcmp(words[i], ".") ? here : words[i]);
	}
	if (add && n == used)
		strv_add(out, here);
	return add;
}

/* What was said, and the environment. */
static int take_said(struct where *w, const struct options *o, struct error *err)
{
	w->node = o->node;
	w->dir = o->dir;
	if (!w->node && !w->dir && !o->remote) {
		w->node = getenv("SILVER_NODE");
		w->dir = getenv("SILVER_DIR");
	}
	if (w->node && w->dir)
		return error_set(err, E_USAGE,
				 "SILVER_NODE and SILVER_DIR are both set: say --node or --dir");
	w->node_said = w->node || w->dir;
	return 0;
}

static int no_node(struct error *err)
{
	return error_set(err, E_USAGE,
			 "which node? --node HOST:PORT for one elsewhere, --dir DIR for one on "
			 "this machine; here is no git remote 'silver', which `silver remote add "
			 "HOST` makes");
}

static int choose_node(struct where *w, struct error *err)
{
	if (w->node_said)
		return 0;
	for (size_t i = 0; i < w->place.n; i++)
		if (!w->place.host[i].node)
			return error_set(err, E_USAGE,
					 "'%s' of the git remote '%s' is no node: expected "
					 "ssh://silver@HOST:PORT/APP",
					 w->place.host[i].url, w->place.remote);
	if (w->place.n)
		return 0;
	if (access("node/node.ini", F_OK) != 0)
		return no_node(err);
	w->dir = "node";
	return 0;
}

/* The words, with the app of the checkout where one is wanted. */
static int complete(struct where *w, char *const *words, size_t n, struct strv *out,
		    struct error *err)
{
	const struct command *c;
	const char *app = NULL;
	size_t at = 0, used;

	c = command_of_words(words, n, &used);
	if (!wants_app(words, n, w->node_said, &at)) {
		where_add_app(words, n, NULL, w->node_said, out);
		return 0;
	}
	if (w->place.n && place_app(&w->place, &app, err) == -1)
		return -1;
	w->app_found = where_add_app(words, n, app, w->node_said, out);
	if (w->app_found || (c->flags & MAY_APP))
		return 0;
	return error_set(err, E_USAGE,
			 "which app? usage: silver %s %s; in a checkout with a git remote 'silver' "
			 "it need not be said",
			 c->name, c->usage);
}

/* Of what was found and not said, it is told what it was. */
static void tell_found(const struct where *w, const struct request *r, const char *node)
{
	fprintf(stderr, "silver: (asked %s%s%s, as the git remote '%s' here says)\n", node,
		r->app[0] ? " about " : "", r->app, w->place.remote);
}

/* `run`, with the files that its words name. */
static int run_with_files(const struct request *r, const struct strv *words, const char *node,
			  int *status, struct error *err)
{
	autostrv struct strv there = STRV_INIT, dirs = STRV_INIT;
	int result = carry_there(node, r, words, &there, &dirs, err);

	if (result == 0)
		result = ask_remote_wait(node, r, strv_argv(&there), there.n, status, err);
	carry_back(node, r, &dirs);
	return result;
}

static int ask_one(const struct where *w, const struct request *r, const struct strv *words,
		   const char *node, int *status, struct error *err)
{
	if (!strcmp(r->command->name, "run"))
		return run_with_files(r, words, node, status, err);
	if (ask_remote_wait(node, r, words->v, words->n, status, err) == -1)
		return -1;
	if (*status && !(r->command->flags & RAW))
		tell_found(w, r, node);
	return 0;
}

static int many_nodes(const struct where *w, const struct request *r, struct error *err)
{
	autofree char *nodes = place_nodes(&w->place);

	return error_set(err, E_USAGE,
			 "which node? the git remote '%s' has %zu: %s; `silver --node HOST %s ...` "
			 "asks one%s",
			 w->place.remote, w->place.n, nodes, r->command->name,
			 strcmp(r->command->name, "rollback") != 0
				 ? ""
				 : ", `silver rollback --all` goes back on all of them");
}

/* What only looks is asked of one after the other; the worst status counts. */
static int ask_each(const struct where *w, const struct request *r, const struct strv *words,
		    int *status, struct error *err)
{
	if ((r->command->flags & (CHANGES | DRAIN | TTY | RAW)) || request_has(r, "-f") ||
	    request_has(r, "--json"))
		return many_nodes(w, r, err);
	for (size_t i = 0; i < w->place.n; i++) {
		int one = 0;

		printf("%s== %s\n", i ? "\n" : "", w->place.host[i].node);
		fflush(stdout);
		if (ask_one(w, r, words, w->place.host[i].node, &one, err) == -1)
			return -1;
		if (one > *status)
			*status = one;
	}
	return 0;
}

static int ask(const struct where *w, struct strv *words, int *status, struct error *err)
{
	autorequest struct request request = {0};

	if (request_parse(&request, strv_argv(words), words->n, err) == -1)
		return -1;
	if (w->node && !strcmp(request.command->name, "run"))
		return run_with_files(&request, words, w->node, status, err);
	if (w->node)
		return ask_remote(w->node, &request, words->v, words->n, err);
	if (w->dir)
		return ask_local(w->dir, &request, words->v, words->n, status, err);
	if (w->place.n == 1)
		return ask_one(w, &request, words, w->place.host[0].node, status, err);
	return ask_each(w, &request, words, status, err);
}

/* `rollback --all [COMMIT]`: of the nodes of a remote. Numbers differ from node to node. */
static bool is_for_all(char *const *words, size_t n)
{
	return n > 1 && !strcmp(words[0], "rollback") && !strcmp(words[1], "--all");
}

static int back_on_all(struct where *w, char *const *words, size_t n, struct error *err)
{
	autofree char *name = n > 2 ? xasprintf("%s^{commit}", words[2]) : NULL;
	autostrbuf struct strbuf commit = STRBUF_INIT;
	const char *app;

	if (n > 3 || w->node_said)
		return error_set(err, E_USAGE,
				 "usage: silver [--remote NAME] rollback --all [COMMIT]");
	if (!w->place.n)
		return no_node(err);
	if (place_app(&w->place, &app, err) == -1 ||
	    (name && GIT(NULL, &commit, err, "rev-parse", "--verify", name) == -1))
		return -1;
	return rollout_back(&w->place, app, name ? strbuf_str(&commit) : NULL, err);
}

/* A remote that was asked for must be there; the usual one may be. */
static int find_place(struct where *w, const struct options *o, struct error *err)
{
	struct error none = ERROR_INIT;

	if (place_find(&w->place, NULL, o->remote, &none) == 0)
		return 0;
	place_release(&w->place);
	if (!o->remote)
		return 0;
	*err = none;
	return -1;
}

static int needs_place(const struct where *w, char *const *words, size_t n)
{
	size_t at;

	return !w->node_said || wants_app(words, n, w->node_said, &at);
}

int where_ask(const struct options *options, char *const *words, size_t n, int *status,
	      struct error *err)
{
	autostrv struct strv full = STRV_INIT;
	struct where w = {0};
	int r = take_said(&w, options, err);

	if (r == 0 && needs_place(&w, words, n))
		r = find_place(&w, options, err);
	if (r == 0 && is_for_all(words, n)) {
		r = back_on_all(&w, words, n, err);
		place_release(&w.place);
		return r;
	}
	if (r == 0)
		r = complete(&w, words, n, &full, err);
	if (r == 0)
		r = choose_node(&w, err);
	if (r == 0)
		r = ask(&w, &full, status, err);
	place_release(&w.place);
	return r;
}
