#include "buildless/slot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "buildless/release.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/proc.h"

#define FILES_MAX UINT32_MAX
#define FREE_MAX  8 /* free slots that the index names; there is rarely more than one */
/* Trees that differ in more paths than this are all equally far. */
#define FAR 4096

int slot_read(const struct app *app, unsigned number, struct slot *out, struct error *err)
{
	autofree char *dir = xasprintf("slots/%u", number),
		      *record = xasprintf("slots/%u.ini", number);
	autoini struct ini ini = INI_INIT;
	const char *tree, *files, *stamp;
	uint64_t seconds = 0;
	struct stat st;

	*out = (struct slot){.number = number};
	if (fstatat(app->fd, dir, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISDIR(st.st_mode))
		return error_set(err, E_NOTFOUND, "there is no slot %u", number);
	if (ini_read(app->fd, record, &ini, err) == -1)
		return -1;
	tree = ini_get(&ini, "slot", "tree");
	files = ini_get(&ini, "slot", "files");
	stamp = ini_get(&ini, "slot", "stamp");
	if (!tree || !name_is_oid(tree) || !ini_get(&ini, "relocation", "files") || !files ||
	    !str_to_uint(files, FILES_MAX, &out->files) || !stamp ||
	    !str_to_uint(stamp, INT64_MAX - 1, &seconds) ||
	    fstatat(app->fd, record, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return error_set(err, E_NOTFOUND, "'%s' is no record of a slot", record);
	memcpy(out->tree, tree, OID_HEX);
	out->used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	out->stamp = (int64_t)seconds;
	out->clean = true;
	return 0;
}

bool slot_read_relocation(const struct app *app, unsigned number, const char *tree,
			  struct relocation *out)
{
	autofree char *record = xasprintf("slots/%u.ini", number);
	struct error ignored = ERROR_INIT;
	autoini struct ini ini = INI_INIT;
	const char *held;

	*out = (struct relocation)RELOCATION_INIT;
	if (ini_read(app->fd, record, &ini, &ignored) == -1)
		return false;
	held = ini_get(&ini, "slot", "tree");
	return held && strcmp(held, tree) == 0 && relocation_parse(&ini, out);
}

static int by_number(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

int slot_list(const struct app *app, struct slot **out, size_t *n, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	*out = NULL;
	*n = 0;
	if (fs_open_dir(app->fd, "slots", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	*out = xcalloc(names.n + 1, sizeof(**out));
	for (size_t i = 0; i < names.n; i++) {
		struct error ignored = ERROR_INIT;
		uint64_t number;

		if (!str_to_uint(names.v[i], UINT32_MAX, &number))
			continue;
		if (slot_read(app, (unsigned)number, &(*out)[*n], &ignored) == -1)
			(*out)[*n] = (struct slot){.number = (unsigned)number};
		++*n;
	}
	qsort(*out, *n, sizeof(**out), by_number);
	return 0;
}

/* Slots that a release leads to. The caller frees *out. */
static int used_slots(const struct app *app, unsigned **out, size_t *n, struct error *err)
{
	autofree unsigned *release = NULL;
	size_t n_releases;

	*n = 0;
	if (release_list(app, &release, &n_releases, err) == -1)
		return -1;
	*out = xcalloc(n_releases + 1, sizeof(**out));
	for (size_t i = 0; i < n_releases; i++) {
		struct error ignored = ERROR_INIT;

		if (release_slot(app, release[i], &(*out)[*n], &ignored) == 0)
			++*n;
	}
	return 0;
}

static bool is_used(const unsigned *used, size_t n, unsigned number)
{
	for (size_t i = 0; i < n; i++)
		if (used[i] == number)
			return true;
	return false;
}

/* The index: slots/index is a link whose text is "STAMP FREE...", so replacing it costs no sync of
 * its own. */
struct index {
	int64_t stamp; /* of the last layout */
	unsigned free[FREE_MAX];
	size_t n;
};

static bool index_parse(const char *text, struct index *index)
{
	*index = (struct index){0};
	for (bool first = true;; first = false) {
		autofree char *word = xstrndup(text, strcspn(text, " "));
		uint64_t number;

		if (!str_to_uint(word, first ? INT64_MAX - 1 : UINT32_MAX, &number))
			return false;
		if (first)
			index->stamp = (int64_t)number;
		else if (index->n == FREE_MAX)
			return false;
		else
			index->free[index->n++] = (unsigned)number;
		text += strlen(word);
		if (!*text++)
			return true;
	}
}

static bool index_read(const struct app *app, struct index *out)
{
	struct error ignored = ERROR_INIT;
	autofree char *text = NULL;

	return fs_read_link(app->fd, "slots/index", &text, &ignored) == 0 && index_parse(text, out);
}

static int by_use(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	if (x->clean != y->clean)
		return x->clean ? -1 : 1;
	return x->used_ms > y->used_ms ? -1 : x->used_ms < y->used_ms;
}

/* From what there is. */
static int index_make(const struct app *app, struct index *out, struct error *err)
{
	autofree unsigned *used = NULL;
	autofree struct slot *slots = NULL;
	struct index old;
	size_t n_used, n;

	if (used_slots(app, &used, &n_used, err) == -1 || slot_list(app, &slots, &n, err) == -1)
		return -1;
	*out = (struct index){.stamp = index_read(app, &old) ? old.stamp : 0};
	qsort(slots, n, sizeof(*slots), by_use);
	for (size_t i = 0; i < n; i++) {
		if (slots[i].stamp > out->stamp)
			out->stamp = slots[i].stamp;
		if (!is_used(used, n_used, slots[i].number) && out->n < FREE_MAX)
			out->free[out->n++] = slots[i].number;
	}
	return 0;
}

static char *index_text(const struct index *index)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "%lld", (long long)index->stamp);
	for (size_t i = 0; i < index->n; i++)
		strbuf_addf(&text, " %u", index->free[i]);
	return strbuf_detach(&text);
}

static bool index_drop(struct index *index, unsigned number)
{
	for (size_t i = 0; i < index->n; i++) {
		if (index->free[i] != number)
			continue;
		index->n--;
		memmove(&index->free[i], &index->free[i + 1],
			(index->n - i) * sizeof(index->free[0]));
		return true;
	}
	return false;
}

bool slot_is_offered(const struct app *app, unsigned number)
{
	struct index index;

	return index_read(app, &index) && index_drop(&index, number);
}

int slot_reindex(const struct app *app, struct error *err)
{
	struct error none = ERROR_INIT;
	autofree char *text = NULL, *old = NULL;
	autoclose int fd = -1;
	struct index index;

	if (index_make(app, &index, err) == -1 || fs_open_dir(app->fd, "slots", &fd, err) == -1)
		return -1;
	text = index_text(&index);
	if (fs_read_link(fd, "index", &old, &none) == 0 && strcmp(old, text) == 0)
		return 0;
	return fs_replace_link(fd, "index", text, err);
}

int slot_take(const struct app *app, unsigned number, bool keep, int64_t *stamp, struct error *err)
{
	autofree char *record = xasprintf("%u.ini", number), *text = NULL;
	struct index index;
	autoclose int fd = -1;
	bool sync;

	if ((!index_read(app, &index) && index_make(app, &index, err) == -1) ||
	    fs_open_dir(app->fd, "slots", &fd, err) == -1)
		return -1;
	sync = index_drop(&index, number);
	if (keep && !sync)
		return 0;
	*stamp = clock_utc_ms() / 1000;
	if (*stamp <= index.stamp) /* it was in this second, or the clock went back */
		*stamp = index.stamp + 1;
	if (!keep)
		index.stamp = *stamp;
	text = index_text(&index);
	if (fs_replace_link_nosync(fd, "index", text, err) == -1)
		return error_prefix(err, "taking slot %u", number);
	if (!keep && fs_exists(fd, record)) {
		sync = true;
		if (fs_unlink(fd, record, err) == -1)
			return error_prefix(err, "taking slot %u", number);
	}
	return sync ? fs_sync(fd, err) : 0;
}

/* The newest releases' slots are never offered, whatever the index says: it may be of a copy of the
 * state directory that was made while it changed. */
static bool is_in_use(const struct app *app, unsigned number)
{
	static const char *const links[] = {"current", "previous", "next", "last"};
	struct error none = ERROR_INIT;
	unsigned release, slot;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (release_link(app, links[i], &release, &none) == 0 &&
		    release_slot(app, release, &slot, &none) == 0 && slot == number)
			return true;
	return false;
}

/* How many paths are to be changed to get from what the slot holds to `tree`; at most `enough`. */
static uint64_t distance(const struct slot *slot, struct repo *repo, const char *tree,
			 uint64_t enough)
{
	struct error gone = ERROR_INIT; /* what it holds has left the repository */
	uint64_t n;

	if (!slot->clean || repo_count_changed_to(repo, slot->tree, tree, enough, &n, &gone) == -1)
		return enough;
	return n;
}

/* The first of those at the least distance: they are sorted by use. */
static unsigned nearest(const struct slot *slots, size_t n, struct repo *repo, const char *tree)
{
	uint64_t least = FAR;
	size_t best = 0;

	for (size_t i = 0; i < n && n > 1 && least; i++) {
		uint64_t d = distance(&slots[i], repo, tree, least);

		if (d < least) {
			least = d;
			best = i;
		}
	}
	return slots[best].number;
}

/* The lowest number that neither a slot nor a release has. */
static int new_number(const struct app *app, unsigned *number, struct error *err)
{
	autofree unsigned *used = NULL;
	autofree struct slot *slots = NULL;
	size_t n_used, n;

	if (used_slots(app, &used, &n_used, err) == -1 || slot_list(app, &slots, &n, err) == -1)
		return -1;
	*number = 0;
	for (size_t i = 0; i < n; i++) /* ascending */
		if (slots[i].number == *number)
			++*number;
	while (is_used(used, n_used, *number))
		++*number;
	return 0;
}

int slot_choose(const struct app *app, struct repo *repo, const char *tree, unsigned *number,
		bool *new, struct error *err)
{
	struct slot free_slots[FREE_MAX];
	struct error dirty = ERROR_INIT;
	struct index index;
	size_t n = 0;

	if ((!index_read(app, &index) || index.n == 0) && index_make(app, &index, err) == -1)
		return -1;
	for (size_t i = 0; i < index.n; i++)
		if (!is_in_use(app, index.free[i])) {
			if (slot_read(app, index.free[i], &free_slots[n], &dirty) == -1)
				free_slots[n] = (struct slot){.number = index.free[i]};
			n++;
		}
	qsort(free_slots, n, sizeof(free_slots[0]), by_use);
	*new = n == 0;
	if (*new)
		return new_number(app, number, err);
	*number = nearest(free_slots, n, repo, tree);
	return 0;
}

int slot_forget(const struct app *app, unsigned number, struct error *err)
{
	autofree char *record = xasprintf("%u.ini", number);
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "slots", &fd, err) == -1)
		return -1;
	if (!fs_exists(fd, record))
		return 0;
	if (fs_unlink(fd, record, err) == -1 || fs_sync(fd, err) == -1)
		return error_prefix(err, "marking slot %u dirty", number);
	return 0;
}

int slot_empty_trash(const struct app *app, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "slots", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (str_starts(names.v[i], ".trash-") && fs_remove_tree(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}
