#include "buildless/relocate_root.h"

#include "buildless/relocate.h"
#include "common/names.h"

/* A place that the tree may have had. */
struct candidate {
	char *root;
	size_t votes;
	bool known; /* it was the tree's before */
};

/* One path; several lines may say it. */
struct voice {
	const struct relocate_claim *first; /* of the claims that say it */
	bool proposes;                      /* a candidate */
};

struct election {
	const struct relocate_tree *tree;
	struct voice *voice;
	size_t n_voices;
	struct candidate *candidate;
	size_t n_candidates;
	const struct candidate *won;
};

static void election_release(struct election *e)
{
	for (size_t i = 0; i < e->n_candidates; i++)
		free(e->candidate[i].root);
	free(e->candidate);
	free(e->voice);
}

static void add_candidate(struct election *e, const char *path, size_t len, const char *hint)
{
	for (size_t i = 0; i < e->n_candidates; i++)
		if (strncmp(e->candidate[i].root, path, len) == 0 &&
		    e->candidate[i].root[len] == '\0')
			return;
	e->candidate = xrealloc_array(e->candidate, e->n_candidates + 1, sizeof(*e->candidate));
	e->candidate[e->n_candidates] = (struct candidate){.root = xstrndup(path, len)};
	e->candidate[e->n_candidates].known =
		hint && strcmp(e->candidate[e->n_candidates].root, hint) == 0;
	e->n_candidates++;
}

/* Every prefix whose remainder is in the tree. "/" is none: nobody's tree lies there. */
static int propose_prefixes(struct election *e, struct voice *v, bool follow, const char *hint,
			    struct error *err)
{
	const char *path = v->first->path;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int there = e->tree->has(e->tree->ctx, slash + 1, follow, err);

		if (there == -1)
			return -1;
		if (there == 0)
			continue;
		add_candidate(e, path, (size_t)(slash - path), hint);
		v->proposes = true;
	}
	return 0;
}

/* A link inside the tree makes a second path to the same place (bin -> venv/bin), so links are
 * followed only where nothing is found without. */
static int propose(struct election *e, struct voice *v, const char *hint, struct error *err)
{
	const struct relocate_claim *claim = v->first;
	int there;

	if (propose_prefixes(e, v, false, hint, err) == -1 ||
	    (!v->proposes && propose_prefixes(e, v, true, hint, err) == -1))
		return -1;
	if (v->proposes || !claim->proof)
		return 0;
	there = e->tree->has(e->tree->ctx, claim->proof, true, err);
	if (there == 1) {
		add_candidate(e, claim->path, strlen(claim->path), hint);
		v->proposes = true;
	}
	return there == -1 ? -1 : 0;
}

/* 1: the path is in the tree, if that lay at root. */
static int supports(const struct relocate_tree *tree, const char *path, const char *root,
		    struct error *err)
{
	const char *below = relocate_below(path, root);

	if (!below)
		return 0;
	return *below ? tree->has(tree->ctx, below, true, err) : 1;
}

static int vote(struct election *e, struct candidate *c, struct error *err)
{
	for (size_t i = 0; i < e->n_voices; i++) {
		int yes = supports(e->tree, e->voice[i].first->path, c->root, err);

		if (yes == -1)
			return -1;
		c->votes += (size_t)yes;
	}
	return 0;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
	return !b || a->votes > b->votes || (a->votes == b->votes && a->known);
}

static int elect(struct election *e, struct error *err)
{
	for (size_t i = 0; i < e->n_candidates; i++) {
		if (vote(e, &e->candidate[i], err) == -1)
			return -1;
		if (is_better(&e->candidate[i], e->won))
			e->won = &e->candidate[i];
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct relocate_claim *const *x = a, *const *y = b;
	int order = strcmp((*x)->path, (*y)->path);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static void collect_voices(struct election *e, const struct relocate_claim *claims, size_t n)
{
	autofree const struct relocate_claim **sorted = xcalloc(n + 1, sizeof(void *));

	for (size_t i = 0; i < n; i++)
		sorted[i] = &claims[i];
	qsort(sorted, n, sizeof(void *), by_path);
	e->voice = xcalloc(n + 1, sizeof(*e->voice));
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(sorted[i]->path, sorted[i - 1]->path) != 0)
			e->voice[e->n_voices++].first = sorted[i];
		else if (sorted[i]->proof) /* the one that can say most */
			e->voice[e->n_voices - 1].first = sorted[i];
	}
}

static const struct voice *voice_of(const struct election *e, const struct relocate_claim *claim)
{
	size_t i = 0;

	while (strcmp(e->voice[i].first->path, claim->path) != 0)
		i++; /* every claim has one */
	return &e->voice[i];
}

/* Findings */

/* "FILE:LINE: '/the/path'" */
static void add_place(struct strbuf *s, const struct relocate_claim *claim)
{
	autofree char *file = name_printable(claim->file), *path = name_printable(claim->path);

	strbuf_addf(s, "%s:%u: '%s'", file, claim->line, path);
}

/* The first line that the winner got a vote from, for whoever disagrees. */
static const struct relocate_claim *find_supporter(const struct election *e,
						   const struct relocate_claim *claims, size_t n)
{
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < n; i++)
		if (supports(e->tree, claims[i].path, e->won->root, &ignored) == 1)
			return &claims[i];
	return NULL;
}

static void add_disagreement(const struct election *e, const struct relocate_claim *claim,
			     const struct relocate_claim *other, struct strbuf *s)
{
	autofree char *root = name_printable(e->won->root);
	const char *below = relocate_below(claim->path, e->won->root);

	if (below) {
		autofree char *name = name_printable(below), *arg = name_shell_quoted(below);

		strbuf_addf(s,
			    " is '%s' in the tree that lay at '%s', and the tree has none; is it "
			    "committed? `git ls-files %s` lists it then",
			    name, root, arg);
	} else if (other && voice_of(e, claim)->proposes) {
		autofree char *file = name_printable(other->file);

		strbuf_addf(s,
			    " is not below '%s', where the tree lay by %s:%u; an app has nothing "
			    "else, so name what is in the tree relative to its file",
			    root, file, other->line);
	} else {
		strbuf_addstr(s, " is not in the tree, and an app has nothing else; commit what is "
				 "there, and name it relative to this file");
	}
}

/* Only what somebody needs refuses: a script that nobody calls does no harm. */
static void tell_outside(const struct election *e, const struct relocate_claim *claims, size_t n,
			 const struct relocate_claim *claim, struct strv *errors,
			 struct strv *warnings)
{
	bool refused = claim->must || (e->won && voice_of(e, claim)->proposes);
	autostrbuf struct strbuf s = STRBUF_INIT;

	if (!refused && claim->known)
		return;
	if (e->won && !claim->must && relocate_below(claim->path, e->won->root))
		return; /* relative soon, and missed by nobody */
	add_place(&s, claim);
	if (!refused)
		strbuf_addstr(&s, " is not in the tree, and stays as it is");
	else if (e->won)
		add_disagreement(e, claim, find_supporter(e, claims, n), &s);
	else
		strbuf_addstr(&s,
			      " is not in the tree, and an app has nothing else; commit what is "
			      "there, and name it relative to this file");
	strv_add(refused ? errors : warnings, s.buf);
}

/* true: another place is as good as the one that won. */
static bool tell_ambiguous(const struct election *e, const struct relocate_claim *claim,
			   const struct candidate *other, struct strv *errors)
{
	const char *here = relocate_below(claim->path, e->won->root),
		   *there = relocate_below(claim->path, other->root);
	autofree char *relative = NULL, *a = NULL, *b = NULL, *c = NULL;
	autostrbuf struct strbuf s = STRBUF_INIT;

	if (!here || !there)
		return false;
	relative = relocate_relative(claim->file, here);
	a = name_printable(*here ? here : ".");
	b = name_printable(*there ? there : ".");
	c = name_printable(relative);
	add_place(&s, claim);
	strbuf_addf(&s,
		    " may be '%s' or '%s' of the tree, and nothing says which; name it relative to "
		    "this file ('%s')",
		    a, b, c);
	strv_add(errors, s.buf);
	return true;
}

static void tell_rivals(const struct election *e, const struct relocate_claim *claims, size_t n,
			struct strv *errors)
{
	for (size_t i = 0; i < e->n_candidates; i++) {
		const struct candidate *rival = &e->candidate[i];

		if (rival == e->won || rival->votes < e->won->votes || e->won->known)
			continue;
		for (size_t j = 0; j < n; j++)
			if (tell_ambiguous(e, &claims[j], rival, errors))
				return; /* one line that is made clear makes the others clear */
	}
}

static int tell(const struct election *e, const struct relocate_claim *claims, size_t n,
		struct strv *errors, struct strv *warnings, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int yes = e->won ? supports(e->tree, claims[i].path, e->won->root, err) : 0;

		if (yes == -1)
			return -1;
		if (!yes)
			tell_outside(e, claims, n, &claims[i], errors, warnings);
	}
	if (e->won)
		tell_rivals(e, claims, n, errors);
	return 0;
}

static int run(struct election *e, const struct relocate_claim *claims, size_t n, const char *hint,
	       struct strv *errors, struct strv *warnings, struct error *err)
{
	collect_voices(e, claims, n);
	for (size_t i = 0; i < e->n_voices; i++)
		if (propose(e, &e->voice[i], hint, err) == -1)
			return -1;
	if (elect(e, err) == -1)
		return -1;
	return tell(e, claims, n, errors, warnings, err);
}

int relocate_find_root(const struct relocate_tree *tree, const struct relocate_claim *claims,
		       size_t n, const char *hint, char **root, struct strv *errors,
		       struct strv *warnings, struct error *err)
{
	struct election e = {.tree = tree};
	int r = run(&e, claims, n, hint, errors, warnings, err);

	*root = r == 0 && e.won ? xstrdup(e.won->root) : NULL;
	election_release(&e);
	return r;
}

int relocate_root_holds(const struct relocate_tree *tree, const char *root,
			const struct relocate_claim *claims, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int yes = supports(tree, claims[i].path, root, err);

		if (yes != 1)
			return yes;
	}
	return 1;
}
