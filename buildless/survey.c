#include "buildless/survey.h"

#include <unistd.h>
#include "buildless/layout.h"
#include "buildless/report.h"
#include "buildless/slot.h"
#include "buildless/verify.h"
#include "common/proc.h"

#define PROGRESS_MS 1000 /* before that nobody wonders */
#define REDRAW_MS   100

void survey_release(struct survey *s)
{
	for (size_t i = 0; i < s->n; i++) {
		strv_free_p(&s->v[i].releases);
		strv_free_p(&s->v[i].kind);
		strv_free_p(&s->v[i].path);
	}
	free(s->v);
	*s = (struct survey)SURVEY_INIT;
}

static struct survey_slot *add(struct survey *s, unsigned slot, const char *tree)
{
	struct survey_slot *to;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].slot == slot)
			return &s->v[i];
	s->v = xrealloc_array(s->v, s->n + 1, sizeof(*s->v));
	to = &s->v[s->n++];
	*to = (struct survey_slot){.slot = slot};
	memcpy(to->tree, tree, OID_HEX);
	return to;
}

int survey_one(const struct app *app, unsigned release, struct survey *s, struct error *err)
{
	autorelease struct release_info r = {0};
	struct survey_slot *slot;

	if (release_read(app, release, &r, err) == -1)
		return -1;
	slot = add(s, r.slot, r.tree);
	strv_addf(&slot->releases, "%u", release);
	slot->live = slot->live || release == release_current(app);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct survey_slot *x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

int survey_all(const struct app *app, struct survey *s, struct error *err)
{
	autofree unsigned *release = NULL;
	autofree struct slot *slots = NULL;
	size_t n, n_slots;

	if (release_list(app, &release, &n, err) == -1 ||
	    slot_list(app, &slots, &n_slots, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (survey_one(app, release[i], s, err) == -1)
			return -1;
	for (size_t i = 0; i < n_slots; i++)
		if (slots[i].clean)
			add(s, slots[i].number, slots[i].tree);
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_number);
	return 0;
}

struct progress {
	struct survey_slot *slot;
	uint64_t before; /* files of slots that are done */
	int64_t start_ms, drawn_ms;
	bool shown, terminal;
};

static void note(void *ctx, const char *kind, const char *path)
{
	struct progress *p = ctx;

	strv_add(&p->slot->kind, kind);
	strv_add(&p->slot->path, path);
}

static void draw(void *ctx, uint64_t files)
{
	autostrbuf struct strbuf count = STRBUF_INIT;
	struct progress *p = ctx;
	int64_t now = clock_ms();

	if (!p->terminal || now - p->start_ms < PROGRESS_MS || now - p->drawn_ms < REDRAW_MS)
		return;
	report_add_count(&count, p->before + files);
	fprintf(stderr, "\rsilver: %s files compared", count.buf);
	fflush(stderr);
	p->drawn_ms = now;
	p->shown = true;
}

static bool is_same(const struct slot *a, const struct slot *b)
{
	return a->clean == b->clean && a->stamp == b->stamp && a->used_ms == b->used_ms &&
	       strcmp(a->tree, b->tree) == 0;
}

static int compare_one(const struct app *app, struct repo *repo, struct progress *p,
		       struct error *err)
{
	const struct verify_watch watch = {.finding = note, .progress = draw, .ctx = p};
	struct error unclean = ERROR_INIT;
	struct survey_slot *c = p->slot;
	struct slot before, after;

	if (slot_read(app, c->slot, &before, &unclean) == -1) {
		note(p, "slot", unclean.text);
		return 0;
	}
	if (verify_slot(app, repo, c->slot, c->tree, &watch, &c->files, err) == -1) {
		if (err->code != E_NOTFOUND)
			return error_prefix(err, "slot %u", c->slot);
		note(p, "slot", err->text);
	}
	if (slot_read(app, c->slot, &after, &unclean) == 0 && is_same(&before, &after))
		return 0;
	c->moved = true;
	strv_free_p(&c->kind);
	strv_free_p(&c->path);
	return 0;
}

int survey_compare(const struct app *app, struct repo *repo, struct survey *s, struct error *err)
{
	struct progress p = {.start_ms = clock_ms(), .terminal = isatty(STDERR_FILENO) == 1};
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		p.slot = &s->v[i];
		r = compare_one(app, repo, &p, err);
		p.before += s->v[i].files;
	}
	if (p.shown)
		fputs("\r\033[K", stderr);
	return r;
}

size_t survey_found(const struct survey *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->v[i].path.n;
	return n;
}

int survey_forget_free(const struct app *app, const struct survey *s, struct error *err)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].path.n && !s->v[i].releases.n &&
		    slot_forget(app, s->v[i].slot, err) == -1)
			return -1;
	return 0;
}

int survey_repair(const struct app *app, struct repo *repo, const struct survey *s,
		  struct error *err)
{
	struct error none = ERROR_INIT;
	unsigned current = release_current(app), live = 0;
	bool is_live = current && release_slot(app, current, &live, &none) == 0;
	struct slot_work work;

	for (size_t i = 0; i < s->n; i++) {
		const struct survey_slot *c = &s->v[i];

		if (!c->path.n || !c->releases.n || (is_live && live == c->slot))
			continue;
		if (slot_forget(app, c->slot, err) == -1 ||
		    slot_layout(app, repo, c->slot, c->tree, NULL, &work, err) == -1)
			return -1;
		report_step("%s slot %u, of release %s, is laid out anew", app->name, c->slot,
			    c->releases.v[0]);
	}
	return 0;
}
