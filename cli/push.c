/* push.c - `silver push`, `silver deploy`: what is committed, and what is there. */
#include <limits.h>
#include "cli/command.h"
#include "cli/git.h"
#include "cli/rollout.h"
#include "cli/snapshot.h"

/* The nodes that are meant: said, or of the remote of the checkout at `top`. */
static int find_place(const struct call *call, const char *top, const char *remote,
		      struct place *place, struct error *err)
{
	const struct options *o = call->options;
	autoplace struct place here = {0};
	const char *app = args_value(&call->args, "--app");
	autofree char *url = NULL;
	struct error none = ERROR_INIT;

	if (o->dir)
		return error_set(err, E_USAGE,
				 "a push goes by ssh: --node HOST:PORT, also to a node on this "
				 "machine");
	if (place_find(&here, top, remote ? remote : o->remote, o->node ? &none : err) == 0 &&
	    !o->node) {
		*place = here;
		here = (struct place){0};
		return 0;
	}
	if (!o->node)
		return -1;
	if (!app && here.n && place_app(&here, &app, err) == -1)
		return -1;
	if (!app)
		return error_set(err, E_USAGE, "which app? --app APP says it");
	if (place_url_of(o->node, app, &url, err) == -1)
		return -1;
	*place = (struct place){.remote = xstrdup("silver"), .n = 1};
	place->host = xcalloc(1, sizeof(*place->host));
	place_parse_url(&place->host[0], url);
	return 0;
}

static int push_to(struct call *call, const char *top, const char *commit, bool snapshot,
		   const char *remote, const char *again, struct error *err)
{
	autoplace struct place place = {0};
	struct rollout r = {.top = top,
			    .place = &place,
			    .commit = commit,
			    .snapshot = snapshot,
			    .again = again,
			    .force = args_has(&call->args, "--force"),
			    .check = args_has(&call->args, "--check")};

	if (find_place(call, top, remote, &place, err) == -1 ||
	    place_app(&place, &r.app, err) == -1)
		return -1;
	return rollout_run(&r, &call->status, err);
}

static int read_commit(const char *top, const char *name, char *out, struct error *err)
{
	struct git g = {.dir = top};
	autofree char *commit = xasprintf("%s^{commit}", name);
	autostrbuf struct strbuf oid = STRBUF_INIT;
	int status;

	if (GIT_ASK(&g, &oid, &status, err, "rev-parse", "--verify", "--quiet", commit) == -1)
		return -1;
	if (status || !name_is_oid(strbuf_str(&oid)))
		return error_set(err, E_NOTFOUND, "there is no commit '%s' here", name);
	memcpy(out, oid.buf, 41);
	return 0;
}

int cmd_push(struct call *call, struct error *err)
{
	const struct strv *words = &call->args.words;
	autofree char *top = NULL, *again = NULL;
	char commit[41] = "";

	if (git_top(NULL, &top, err) == -1)
		return -1;
	if (words->n > 1 && read_commit(top, words->v[1], commit, err) == -1)
		return -1;
	again = xasprintf("silver push%s%s%s%s", words->n ? " " : "", words->n ? words->v[0] : "",
			  words->n > 1 ? " " : "", words->n > 1 ? words->v[1] : "");
	return push_to(call, top, words->n > 1 ? commit : NULL, false,
		       words->n ? words->v[0] : NULL, again, err);
}

static void tell_snapshot(const struct snapshot *s)
{
	if (s->is_head)
		fprintf(stderr, "silver: the working tree is as committed: %.7s\n", s->commit);
	else
		fprintf(stderr, "silver: the working tree, with %zu file%s not committed%s: %.7s\n",
			s->changed, s->changed == 1 ? "" : "s",
			s->flattened ? " and checkouts in it flattened" : "", s->commit);
}

int cmd_deploy(struct call *call, struct error *err)
{
	const struct strv *words = &call->args.words;
	const char *dir = words->n ? words->v[0] : NULL;
	autofree char *top = NULL, *again = NULL;
	struct snapshot made;

	if (git_top(dir, &top, err) == -1 || snapshot_make(&made, top, err) == -1)
		return -1;
	tell_snapshot(&made);
	again = xasprintf("silver deploy%s%s", dir ? " " : "", dir ? dir : "");
	return push_to(call, top, made.commit, !made.is_head, NULL, again, err);
}
