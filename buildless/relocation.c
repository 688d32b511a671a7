#include "buildless/relocation.h"

#include <sys/stat.h>
#include "buildless/relocate.h"
#include "buildless/relocate_root.h"
#include "common/names.h"

#define SITE "lib/python"

/* A file that was read. */
struct reading {
	char *path;
	char oid[OID_HEX];
	enum relocate_kind kind;
	bool carried; /* it was there before */
	struct strbuf text;
	struct relocate_spans spans;
	char *proof; /* of an egg-link: what lies beside the code it names */
};

struct plan {
	struct repo *repo;
	const struct relocation *base;
	const char *tree;
	const struct relocation_report *report;
	struct relocation *out;
	struct strv touched; /* paths of relocatable files that differ from the base, sorted */
	struct reading *reading;
	size_t n, cap;
	bool vanished; /* something that a path may name */
	bool all_read;
};

void relocation_release(struct relocation *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].path);
	free(steal_ptr(&r->v));
	free(steal_ptr(&r->root));
	free(steal_ptr(&r->site));
	r->n = 0;
}

static void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->reading[i].path);
		free(p->reading[i].proof);
		strbuf_release(&p->reading[i].text);
		relocate_spans_release(&p->reading[i].spans);
	}
	free(p->reading);
	strv_free_p(&p->touched);
}

/* Asking the tree */

static int there_or_not(int r, struct error *err)
{
	if (r == 0)
		return 1;
	return err->code == E_NOTFOUND || err->code == E_REFUSED ? 0 : -1;
}

/* The interpreter of a virtual environment is a link out of the tree, so the last name is not
 * followed. */
static int tree_has(void *ctx, const char *path, bool follow, struct error *err)
{
	const struct plan *p = ctx;
	const char *slash = strrchr(path, '/');
	autofree char *dir = NULL, *real = NULL, *entry = NULL;
	enum repo_entry_kind kind;
	struct repo_entry found;
	int there = repo_find_entry(p->repo, p->tree, path, &found, err);

	if (there != 0 || !follow || !slash)
		return there;
	dir = xstrndup(path, (size_t)(slash - path));
	there = there_or_not(repo_find_path(p->repo, p->tree, dir, &kind, &real, err), err);
	if (there != 1 || kind != REPO_ENTRY_TREE)
		return there == -1 ? -1 : 0;
	entry = xasprintf("%s%s%s", real, *real ? "/" : "", slash + 1);
	return repo_find_entry(p->repo, p->tree, entry, &found, err);
}

static int find_site(struct plan *p, struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_FILE;
	char *real = NULL;
	int there = there_or_not(repo_find_path(p->repo, p->tree, SITE, &kind, &real, err), err);

	if (there == -1)
		return -1;
	if (there == 0 || kind != REPO_ENTRY_TREE) {
		free(real);
		real = xstrdup("");
	}
	p->out->site = real;
	return 0;
}

/* Reading */

/* "x/legacy-pkg.egg-link" stands for code beside legacy_pkg.egg-info. */
static char *egg_info_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *info = xasprintf("%.*s.egg-info", (int)(strlen(name) - strlen(".egg-link")), name);

	for (char *c = info; *c; c++)
		if (*c == '-')
			*c = '_';
	return info;
}

static int read_file(struct plan *p, const char *path, const char *oid, bool carried,
		     struct error *err)
{
	struct reading r = {.kind = relocate_kind(path, p->out->site), .carried = carried};

	if (r.kind == RELOCATE_NONE)
		return 0;
	if (repo_read_blob(p->repo, oid, RELOCATE_BYTES_MAX, &r.text, err) == -1) {
		strbuf_release(&r.text);
		return err->code == E_REFUSED ? 0 : -1; /* larger than any such file */
	}
	relocate_scan(r.kind, strbuf_str(&r.text), r.text.len, &r.spans);
	if (r.spans.n == 0) {
		strbuf_release(&r.text);
		relocate_spans_release(&r.spans);
		return 0;
	}
	r.path = xstrdup(path);
	memcpy(r.oid, oid, OID_HEX);
	if (r.kind == RELOCATE_EGG_LINK)
		r.proof = egg_info_of(path);
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 16;
		p->reading = xrealloc_array(p->reading, p->cap, sizeof(*p->reading));
	}
	p->reading[p->n++] = r;
	return 0;
}

static bool is_file(const struct repo_entry *e)
{
	return e && (e->kind == REPO_ENTRY_FILE || e->kind == REPO_ENTRY_EXEC);
}

/* A link that changes may lead elsewhere, and then what was behind it is gone. */
static bool has_vanished(const struct repo_entry *was, const struct repo_entry *now)
{
	return was && (!now || was->kind == REPO_ENTRY_LINK ||
		       (was->kind != now->kind && !(is_file(was) && is_file(now))));
}

static int read_changed(void *ctx, const char *path, const struct repo_entry *was,
			const struct repo_entry *now, struct error *err)
{
	struct plan *p = ctx;

	p->vanished = p->vanished || has_vanished(was, now);
	if (relocate_kind(path, p->out->site) == RELOCATE_NONE)
		return 0;
	if (is_file(was))
		strv_add(&p->touched, path);
	return is_file(now) ? read_file(p, path, now->oid, false, err) : 0;
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* Is it the base's still? */
static bool is_carried(const struct plan *p, const struct relocation_file *file)
{
	const char *path = file->path;

	return !p->touched.n || !bsearch(&path, p->touched.v, p->touched.n, sizeof(path), by_name);
}

static int read_carried(struct plan *p, struct error *err)
{
	p->all_read = true;
	for (size_t i = 0; p->base && i < p->base->n; i++)
		if (is_carried(p, &p->base->v[i]) &&
		    read_file(p, p->base->v[i].path, p->base->v[i].in, true, err) == -1)
			return -1;
	return 0;
}

/* Where the tree lay */

/* The claims of all files that were read. The caller frees. */
static struct relocate_claim *collect_claims(const struct plan *p, size_t *n)
{
	struct relocate_claim *claims;
	size_t spans = 0;

	for (size_t i = 0; i < p->n; i++)
		spans += p->reading[i].spans.n;
	claims = xcalloc(spans + 1, sizeof(*claims));
	*n = 0;
	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->reading[i].spans.n; j++) {
			const struct relocate_span *span = &p->reading[i].spans.v[j];

			if (span->role != RELOCATE_MUST && span->role != RELOCATE_MAY)
				continue;
			claims[(*n)++] = (struct relocate_claim){
				.path = span->path,
				.file = p->reading[i].path,
				.line = span->line,
				.must = span->role == RELOCATE_MUST,
				.known = p->reading[i].carried,
				.proof = p->reading[i].proof,
			};
		}
	return claims;
}

static bool carries_root(const struct plan *p)
{
	for (size_t i = 0; p->base && p->base->root && i < p->base->n; i++)
		if (p->base->v[i].rooted && is_carried(p, &p->base->v[i]))
			return true;
	return false;
}

/* 1: what was read agrees with the root of what was not, or of all; 0: all has its say. */
static int keep_root(struct plan *p, const struct relocate_tree *tree, struct error *err)
{
	autofree struct relocate_claim *claims = NULL;
	size_t n;
	int holds;

	if (p->vanished && read_carried(p, err) == -1)
		return -1;
	claims = collect_claims(p, &n);
	if (!carries_root(p))
		return n == 0;
	holds = relocate_root_holds(tree, p->base->root, claims, n, err);
	if (holds == 1)
		p->out->root = xstrdup(p->base->root);
	return holds;
}

static int find_root(struct plan *p, struct error *err)
{
	const struct relocate_tree tree = {.has = tree_has, .ctx = p};
	autofree struct relocate_claim *claims = NULL;
	int kept = keep_root(p, &tree, err);
	size_t n;

	if (kept != 0)
		return kept == 1 ? 0 : -1;
	if (!p->all_read && read_carried(p, err) == -1)
		return -1;
	claims = collect_claims(p, &n);
	return relocate_find_root(&tree, claims, n, p->base ? p->base->root : NULL, &p->out->root,
				  p->report->errors, p->report->warnings, err);
}

/* What comes out */

static void tell_line(const struct reading *r, const struct relocate_span *span, const char *what,
		      struct strv *errors)
{
	autofree char *file = name_printable(r->path), *path = name_printable(span->path);

	strv_addf(errors, "%s:%u: '%s' %s", file, span->line, path, what);
}

static int check_relative(struct plan *p, const struct reading *r, const struct relocate_span *span,
			  struct error *err)
{
	autofree char *to = relocate_resolve(r->path, span->path);
	int there = !to   ? 0
		    : *to ? there_or_not(repo_stat_path(p->repo, p->tree, to, NULL, err), err)
			  : 1;

	if (there == -1)
		return -1;
	if (!to)
		tell_line(r, span, "leads out of the tree; an app has nothing else",
			  p->report->errors);
	else if (there == 0)
		tell_line(r, span,
			  "is not in the tree, seen from the file's directory; is it committed?",
			  p->report->errors);
	return 0;
}

/* An absolute path that is not in the tree was told of as such. */
static bool is_told(struct plan *p, const struct relocate_span *before)
{
	const char *below = p->out->root ? relocate_below(before->path, p->out->root) : NULL;
	struct error ignored = ERROR_INIT;

	return before->role == RELOCATE_MUST && below && *below &&
	       tree_has(p, below, true, &ignored) != 1;
}

/* Every line of every site directory leads to a place: looked at as it comes out. The files that
 * have such lines come out with as many paths as before. */
static int check_result(struct plan *p, const struct reading *r, const struct strbuf *text,
			struct error *err)
{
	autospans struct relocate_spans spans = {NULL, 0, 0};

	if (!relocate_in_site(r->path, p->out->site))
		return 0;
	relocate_scan(r->kind, strbuf_str(text), text->len, &spans);
	for (size_t i = 0; i < spans.n; i++)
		if (spans.v[i].role == RELOCATE_RELATIVE && !is_told(p, &r->spans.v[i]) &&
		    check_relative(p, r, &spans.v[i], err) == -1)
			return -1;
	return 0;
}

static void tell_places(const struct plan *p, const struct reading *r)
{
	autofree char *file = name_printable(r->path);
	unsigned told = 0;

	if (r->carried || !p->report->places)
		return;
	for (size_t i = 0; i < r->spans.n; i++)
		if (relocate_applies(&r->spans.v[i], p->out->root) && r->spans.v[i].line != told) {
			told = r->spans.v[i].line;
			strv_addf(p->report->places, "%s:%u", file, told);
		}
}

static bool is_rooted(const struct plan *p, const struct reading *r)
{
	for (size_t i = 0; i < r->spans.n; i++)
		if (r->spans.v[i].role != RELOCATE_SELF &&
		    relocate_applies(&r->spans.v[i], p->out->root))
			return true;
	return false;
}

static int finish_file(struct plan *p, const struct reading *r, struct error *err)
{
	struct relocation_file *file = &p->out->v[p->out->n++];
	autostrbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < r->spans.n; i++)
		if (r->spans.v[i].role == RELOCATE_FOREIGN)
			tell_line(r, &r->spans.v[i],
				  "is not what runs it on the node; make the environment with "
				  "`/usr/bin/python3 -m venv`",
				  p->report->errors);
	relocate_rewrite(r->kind, r->path, r->text.buf, r->text.len, &r->spans, p->out->root,
			 &text);
	file->path = xstrdup(r->path);
	file->rooted = is_rooted(p, r);
	memcpy(file->in, r->oid, OID_HEX);
	repo_hash(strbuf_str(&text), text.len, file->out);
	tell_places(p, r);
	return check_result(p, r, &text, err);
}

static int by_path(const void *a, const void *b)
{
	const struct relocation_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int finish(struct plan *p, struct error *err)
{
	size_t carried = p->base && !p->all_read ? p->base->n : 0;

	p->out->v = xcalloc(p->n + carried + 1, sizeof(*p->out->v));
	for (size_t i = 0; i < carried; i++)
		if (is_carried(p, &p->base->v[i])) {
			p->out->v[p->out->n] = p->base->v[i];
			p->out->v[p->out->n++].path = xstrdup(p->base->v[i].path);
		}
	for (size_t i = 0; i < p->n; i++)
		if (finish_file(p, &p->reading[i], err) == -1)
			return -1;
	qsort(p->out->v, p->out->n, sizeof(*p->out->v), by_path);
	return 0;
}

static int run(struct plan *p, const char *base_tree, struct error *err)
{
	if (find_site(p, err) == -1)
		return -1;
	if (p->base && strcmp(p->base->site, p->out->site) != 0)
		p->base = NULL; /* other files are relocated now */
	if (repo_diff(p->repo, p->base ? base_tree : "", p->tree, read_changed, p, err) == -1)
		return -1;
	strv_sort(&p->touched);
	if (find_root(p, err) == -1)
		return -1;
	return finish(p, err);
}

int relocation_plan(struct repo *repo, const struct relocation *base, const char *base_tree,
		    const char *tree, struct relocation *out,
		    const struct relocation_report *report, struct error *err)
{
	struct plan p = {.repo = repo, .base = base, .tree = tree, .report = report, .out = out};
	int r;

	*out = (struct relocation)RELOCATION_INIT;
	r = run(&p, base_tree, err);
	plan_release(&p);
	if (r == 0)
		return 0;
	relocation_release(out);
	if (base && err->code == E_NOTFOUND) /* the base's tree has left the repository */
		return relocation_plan(repo, NULL, "", tree, out, report, err);
	return error_prefix(err, "relocating");
}

/* Using it */

static int path_and_file(const void *path, const void *file)
{
	return strcmp(path, ((const struct relocation_file *)file)->path);
}

const struct relocation_file *relocation_find(const struct relocation *r, const char *path)
{
	return r->n ? bsearch(path, r->v, r->n, sizeof(*r->v), path_and_file) : NULL;
}

bool relocation_same_file(const struct relocation *held, const struct relocation *wanted,
			  const char *path)
{
	const struct relocation_file *a = relocation_find(held, path),
				     *b = relocation_find(wanted, path);

	if (a && b)
		return strcmp(a->out, b->out) == 0;
	if (!a && !b)
		return true;
	return a ? strcmp(a->in, a->out) == 0 : strcmp(b->in, b->out) == 0;
}

/* Two sorted lists side by side: where both have a blob, it must come out the same; where one lacks
 * it, nothing may have changed in it. */
bool relocation_agrees(const struct relocation *held, const struct relocation *wanted)
{
	if (strcmp(held->site, wanted->site) != 0)
		return false;
	for (size_t i = 0; i < wanted->n; i++) {
		const struct relocation_file *file = relocation_find(held, wanted->v[i].path);

		if (file && strcmp(file->in, wanted->v[i].in) == 0 &&
		    strcmp(file->out, wanted->v[i].out) != 0)
			return false;
	}
	return true;
}

/* Adds those of a list whose blob the tree has, and that are not there yet. */
static int add_present(struct repo *repo, const char *tree, const struct relocation *from,
		       struct relocation *out, struct error *err)
{
	size_t before = out->n;

	for (size_t i = 0; i < from->n; i++) {
		const struct relocation_file *file = &from->v[i];
		const struct relocation known = {.v = out->v, .n = before};
		struct repo_entry entry;
		int there = repo_find_entry(repo, tree, file->path, &entry, err);

		if (there == -1)
			return -1;
		if (there == 0 || strcmp(entry.oid, file->in) != 0 ||
		    relocation_find(&known, file->path))
			continue;
		out->v[out->n] = *file;
		out->v[out->n++].path = xstrdup(file->path);
	}
	qsort(out->v, out->n, sizeof(*out->v), by_path);
	return 0;
}

int relocation_between(struct repo *repo, const char *tree, const struct relocation *held,
		       const struct relocation *wanted, struct relocation *out, struct error *err)
{
	*out = (struct relocation)RELOCATION_INIT;
	out->site = xstrdup(wanted->site ? wanted->site : "");
	out->root = wanted->root ? xstrdup(wanted->root) : NULL;
	out->v = xcalloc(held->n + wanted->n + 1, sizeof(*out->v));
	if (add_present(repo, tree, wanted, out, err) == -1)
		return -1;
	return add_present(repo, tree, held, out, err);
}

int relocation_text(struct repo *repo, const struct relocation *r,
		    const struct relocation_file *file, struct strbuf *out, struct error *err)
{
	enum relocate_kind kind = relocate_kind(file->path, r->site);
	autospans struct relocate_spans spans = {NULL, 0, 0};
	autostrbuf struct strbuf text = STRBUF_INIT;
	char oid[OID_HEX];

	if (repo_read_blob(repo, file->in, RELOCATE_BYTES_MAX, &text, err) == -1)
		return error_prefix(err, "relocating");
	relocate_scan(kind, strbuf_str(&text), text.len, &spans);
	relocate_rewrite(kind, file->path, strbuf_str(&text), text.len, &spans, r->root, out);
	repo_hash(strbuf_str(out), out->len, oid);
	if (strcmp(oid, file->out) != 0)
		return error_set(err, E_SYSTEM, "'%s' does not come out as its record says",
				 file->path);
	return 0;
}

static int check_place(const char *path, const struct relocate_span *span, int slot_fd,
		       struct error *err)
{
	autofree char *to = relocate_resolve(path, span->path);
	struct stat st;

	if (span->role != RELOCATE_RELATIVE)
		return 0;
	if (to && fstatat(slot_fd, *to ? to : ".", &st, 0) == 0)
		return 0;
	return error_set(err, E_SYSTEM, "%s:%u: '%s' leads nowhere in the slot", path, span->line,
			 span->path);
}

static int check_file(struct repo *repo, const struct relocation *r,
		      const struct relocation_file *file, int slot_fd, struct error *err)
{
	autospans struct relocate_spans spans = {NULL, 0, 0};
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (relocation_text(repo, r, file, &text, err) == -1)
		return -1;
	relocate_scan(relocate_kind(file->path, r->site), strbuf_str(&text), text.len, &spans);
	for (size_t i = 0; i < spans.n; i++)
		if (check_place(file->path, &spans.v[i], slot_fd, err) == -1)
			return -1;
	return 0;
}

int relocation_check(struct repo *repo, const struct relocation *r, const struct strv *files,
		     int slot_fd, struct error *err)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct relocation_file *file = relocation_find(r, files->v[i]);

		if (file && relocate_in_site(file->path, r->site) &&
		    check_file(repo, r, file, slot_fd, err) == -1)
			return -1;
	}
	return 0;
}
