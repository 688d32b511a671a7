/* The refs of a push: what git itself would refuse behind pre-receive's back is refused here first,
 * when nothing has been prepared yet (the list is in docs/REFS.md). */
#include "hooks/gate.h"

#include "buildless/transaction.h"
#include "common/names.h"
#include "hooks/connected.h"
#include "hooks/shallow.h"

#define ZERO_OID      "0000000000000000000000000000000000000000"
#define COMPONENT_MAX 250 /* git locks a ref as NAME.lock, and a file name has 255 bytes */
#define NAME_MAX_REF  1024

struct gate {
	const struct push *push;
	struct repo *repo;
	const struct app *app;
	const char *deploy_ref; /* "refs/heads/master" */
	struct strv names;      /* where one is created: every ref that is there or comes, sorted */
	struct strv ends;       /* of the history in the clone that is pushed from */
	bool incomplete;        /* what one of the refs needs is not all there */
	struct strv *errors;
};

/* A check returns 1 where it found something, so that a ref gets one finding; -1 on an error. */
typedef int (*ref_check)(struct gate *g, const struct push_ref *ref, const char *shown,
			 struct error *err);

static bool is_creation(const struct push_ref *ref)
{
	return !push_ref_deletes(ref) && strcmp(ref->old_oid, ZERO_OID) == 0;
}

static int PRINTF_LIKE(2, 3) found(struct gate *g, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	strv_add(g->errors, text);
	return 1;
}

/* One part of a name between slashes, by the rules of git-check-ref-format(1). */
static const char *component_problem(const char *s, size_t len)
{
	if (len == 0)
		return "it has an empty part";
	if (len > COMPONENT_MAX)
		return "a part of it is longer than 250 bytes";
	if (*s == '.')
		return "a part of it starts with '.'";
	if (len >= 5 && strncmp(s + len - 5, ".lock", 5) == 0)
		return "a part of it ends with '.lock'";
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || strchr("~^:?*[\\", s[i]))
			return "it holds a blank, a control character or one of ~^:?*[\\";
		if (s[i] == '.' && i + 1 < len && s[i + 1] == '.')
			return "it holds '..'";
		if (s[i] == '@' && i + 1 < len && s[i + 1] == '{')
			return "it holds '@{'";
	}
	return NULL;
}

static const char *name_problem(const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_MAX_REF)
		return "it is longer than 1024 bytes";
	if (name[len - 1] == '.')
		return "it ends with '.'";
	for (const char *at = name;; at++) {
		size_t part = strcspn(at, "/");
		const char *problem = component_problem(at, part);

		if (problem)
			return problem;
		at += part;
		if (*at == '\0')
			return NULL;
	}
}

static int check_name(struct gate *g, const struct push_ref *ref, const char *shown,
		      struct error *err)
{
	const char *problem = name_problem(ref->name);
	const char *branch = name_branch(ref->name);

	(void)err;
	if (problem)
		return found(g, "%s: git takes no ref of this name: %s", shown, problem);
	if (branch != ref->name && (*branch == '-' || strcmp(branch, "HEAD") == 0))
		return found(g,
			     "%s: a branch cannot be called '%s'; git would take it for "
			     "something else",
			     shown, name_branch(shown));
	return 0;
}

/* "refs/heads/main" for "refs/head/main", "refs/main", "main" and "refs/heads/refs/heads/main". */
static char *meant(const char *shown)
{
	static const char *const kinds[] = {"heads", "tags"};
	const char *rest = shown, *kind = "heads";

	while (str_starts(rest, "refs/heads/"))
		rest += strlen("refs/heads/");
	if (str_starts(rest, "refs/tags/"))
		return xstrdup(rest);
	if (str_starts(rest, "refs/"))
		rest += strlen("refs/");
	if (strchr(rest, '/')) {
		size_t len = strcspn(rest, "/");
		autofree char *word = xstrndup(rest, len);
		const char *near = name_nearest(word, kinds, ARRAY_SIZE(kinds));

		kind = near ? near : kind;
		rest += len + 1;
	}
	return xasprintf("refs/%s/%s", kind, rest);
}

static int check_place(struct gate *g, const struct push_ref *ref, const char *shown,
		       struct error *err)
{
	static const char *const foreign[] = {"refs/notes/", "refs/remotes/", "refs/stash",
					      "refs/replace/", "refs/pull/"};
	autofree char *guess = meant(shown);

	(void)err;
	if (strcmp(ref->name, "HEAD") == 0)
		return found(g, "HEAD: pushes go to a branch: `git push silver HEAD:%s`",
			     name_branch(g->deploy_ref));
	if (str_starts(ref->name, "refs/releases/") || strcmp(ref->name, "refs/releases") == 0)
		return found(g,
			     "%s: the node writes the releases itself; push a commit to %s, or "
			     "`silver activate %s N`",
			     shown, name_branch(g->deploy_ref), g->app->name);
	if (str_starts(ref->name, "refs/staged/"))
		return found(g, "%s: the node writes it itself: `git push -o stage silver %s`",
			     shown, name_branch(g->deploy_ref));
	if (str_starts(ref->name, "refs/heads/refs/"))
		return found(g, "%s: did you mean '%s'?", shown, guess);
	if (str_starts(ref->name, "refs/heads/") || str_starts(ref->name, "refs/tags/"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (str_starts(ref->name, foreign[i]))
			return found(g,
				     "%s: only branches and tags can be pushed: `git push silver "
				     "%s`",
				     shown, name_branch(g->deploy_ref));
	return found(g, "%s: only branches and tags can be pushed; did you mean '%s'?", shown,
		     guess);
}

static int check_deletion(struct gate *g, const struct push_ref *ref, const char *shown,
			  struct error *err)
{
	(void)err;
	if (!push_ref_deletes(ref))
		return 0;
	if (strcmp(ref->old_oid, ZERO_OID) == 0)
		return found(g, "%s: there is no such ref to delete", shown);
	if (strcmp(ref->name, g->deploy_ref) == 0)
		return found(g,
			     "%s: the deploy branch cannot be deleted; `silver destroy %s` removes "
			     "the app",
			     shown, g->app->name);
	return 0;
}

/* git told the client what the ref was before this push waited for the lock, and will insist on it.
 */
static int check_old_value(struct gate *g, const struct push_ref *ref, const char *shown,
			   struct error *err)
{
	char now[OID_HEX] = ZERO_OID;

	if (repo_resolve(g->repo, ref->name, false, now, err) == -1 && err->code != E_NOTFOUND)
		return -1;
	if (strcmp(now, ref->old_oid) == 0)
		return 0;
	return found(g,
		     "%s: moved while this push was on its way (it was %.7s and is %.7s now); "
		     "`git fetch silver`, then push again",
		     shown, ref->old_oid, now);
}

/* Index of the first name that is not below `name`. */
static size_t lower_bound(const struct strv *names, const char *name)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(names->v[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The name below or above this one that is there or comes too, or NULL. */
static const char *find_clash(const struct strv *names, const char *name)
{
	autofree char *below = xasprintf("%s/", name), *above = xstrdup(name);
	size_t at = lower_bound(names, below);

	if (at < names->n && str_starts(names->v[at], below))
		return names->v[at];
	for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
		*slash = '\0';
		at = lower_bound(names, above);
		if (at < names->n && strcmp(names->v[at], above) == 0)
			return names->v[at];
	}
	return NULL;
}

/* A ref is a file: "a" and "a/b" cannot both be there. */
static int check_clash(struct gate *g, const struct push_ref *ref, const char *shown,
		       struct error *err)
{
	const char *other = is_creation(ref) ? find_clash(&g->names, ref->name) : NULL;
	autofree char *shown_other = other ? name_printable(other) : NULL;

	(void)err;
	if (!shown_other)
		return 0;
	return found(g,
		     "%s: there cannot be both this ref and '%s'; choose another name, or delete "
		     "that one first, in a push of its own",
		     shown, shown_other);
}

static int check_object(struct gate *g, const struct push_ref *ref, const char *shown,
			struct error *err)
{
	enum repo_type type;

	if (push_ref_deletes(ref) || !str_starts(ref->name, "refs/heads/"))
		return 0;
	if (repo_object_type(g->repo, ref->new_oid, &type, err) == -1)
		return -1;
	if (type == REPO_COMMIT)
		return 0;
	if (type == REPO_TAG)
		return found(g,
			     "%s: %.7s is an annotated tag, and a branch holds commits; push the "
			     "commit: `git push silver 'TAG^{commit}:%s'`",
			     shown, ref->new_oid, name_branch(shown));
	return found(g, "%s: %.7s is a %s, and a branch holds commits; `git push silver HEAD:%s`",
		     shown, ref->new_oid, type == REPO_TREE ? "tree" : "file", name_branch(shown));
}

/* One walk for the whole push; which of its refs it was is only asked where something is missing.
 */
static int find_incomplete(struct gate *g, struct error *err)
{
	const struct push *p = g->push;
	autostrv struct strv oids = STRV_INIT;

	for (size_t i = 0; i < p->n; i++)
		if (!push_ref_deletes(&p->ref[i]))
			strv_add(&oids, p->ref[i].new_oid);
	if (shallow_read(g->app, &g->ends, err) == -1)
		return -1;
	if (connected_check(g->repo, &oids, &g->ends, err) == 0)
		return 0;
	g->incomplete = true;
	return err->code == E_SYSTEM ? -1 : 0;
}

static int check_complete(struct gate *g, const struct push_ref *ref, const char *shown,
			  struct error *err)
{
	autostrv struct strv one = STRV_INIT;

	if (!g->incomplete || push_ref_deletes(ref))
		return 0;
	strv_add(&one, ref->new_oid);
	if (connected_check(g->repo, &one, &g->ends, err) == 0)
		return 0;
	if (err->code == E_NOTFOUND)
		return found(
			g,
			"%s: the push is not complete: %s; `git fsck` where you push from says "
			"what is broken there",
			shown, err->text);
	if (err->code == E_USAGE)
		return found(g, "%s: %s", shown, err->text);
	if (err->code != E_REFUSED)
		return -1;
	return found(g,
		     "%s: pushed from a shallow clone, whose history ends early; `git fetch "
		     "--unshallow`, then push again",
		     shown);
}

static const ref_check checks[] = {
	check_name,  check_place,  check_deletion, check_old_value,
	check_clash, check_object, check_complete,
};

static int check_ref(struct gate *g, const struct push_ref *ref, struct error *err)
{
	autofree char *shown = name_printable(ref->name);

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int result = checks[i](g, ref, shown, err);

		if (result == -1)
			return error_prefix(err, "checking %s", shown);
		if (result)
			return 0;
	}
	return 0;
}

static const struct push_ref *find_ref(const struct push *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!push_ref_deletes(&p->ref[i]) && strcmp(p->ref[i].name, name) == 0)
			return &p->ref[i];
	return NULL;
}

/* The first push to an app: what HEAD names, master or main, whichever comes. */
static char *choose_first(struct push *p, const char *head, struct strv *warnings)
{
	static const char *const firsts[] = {"refs/heads/master", "refs/heads/main"};
	const struct push_ref *pushed[] = {find_ref(p, firsts[0]), find_ref(p, firsts[1])};

	p->deploy = find_ref(p, head);
	for (size_t i = 0; i < ARRAY_SIZE(pushed) && !p->deploy; i++)
		p->deploy = pushed[i];
	if (pushed[0] && pushed[1])
		strv_addf(warnings,
			  "both master and main are pushed: %s is the deploy branch from now on",
			  name_branch(p->deploy->name));
	return xstrdup(p->deploy ? p->deploy->name : head);
}

int push_choose(struct push *p, struct repo *repo, char **deploy_ref, struct strv *warnings,
		struct error *err)
{
	autofree char *head = NULL;

	p->deploy = NULL;
	*deploy_ref = NULL;
	if (transaction_deploy_ref(repo, deploy_ref, err) == 0) {
		p->deploy = find_ref(p, *deploy_ref);
		return 0;
	}
	if (err->code != E_NOTFOUND || repo_head_name(repo, &head, err) == -1)
		return -1;
	*deploy_ref = choose_first(p, head, warnings);
	return 0;
}

/* Only a new name can clash: a push to the branches that are there reads no list of refs, of which
 * each kept release is one. */
static int collect_names(struct gate *g, struct error *err)
{
	for (size_t i = 0; i < g->push->n; i++)
		if (is_creation(&g->push->ref[i]))
			strv_add(&g->names, g->push->ref[i].name);
	if (g->names.n == 0)
		return 0;
	if (repo_list_refs(g->repo, "refs/", &g->names, NULL, err) == -1)
		return -1;
	strv_sort(&g->names);
	return 0;
}

int gate_refs(struct push *p, struct repo *repo, const struct app *app, struct strv *errors,
	      struct strv *warnings, struct error *err)
{
	struct gate g = {.push = p, .repo = repo, .app = app, .errors = errors};
	autofree char *deploy_ref = NULL;
	int result = 0;

	if (push_choose(p, repo, &deploy_ref, warnings, err) == -1)
		return -1;
	g.deploy_ref = deploy_ref;
	result = collect_names(&g, err);
	if (result == 0)
		result = find_incomplete(&g, err);
	for (size_t i = 0; i < p->n && result == 0; i++)
		result = check_ref(&g, &p->ref[i], err);
	strv_free_p(&g.names);
	strv_free_p(&g.ends);
	return result;
}
