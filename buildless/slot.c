#include "buildless/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include "buildless/release.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/proc.h"

/* Up to so many changed files and directories are synced one by one, so that a small deploy does
 * not wait for the databases' dirty pages, as syncfs(2) does. Measured on ext4: one by one takes
 * 0.3 to 1 ms each, syncfs 1 to 10 ms where nobody else writes; at 32 the difference is one that
 * nobody notices. */
#define SYNC_EACH_MAX 32
#define LINK_BYTES    4095
#define FILES_MAX     UINT32_MAX
#define SHOWN_BYTES   200 /* of a directory's path in a message */

/* What must be on disk before the slot is clean: descriptors, until there are too many. */
struct sync_set {
	int fd[SYNC_EACH_MAX];
	size_t n;
	bool all;
};

struct layout {
	struct repo *repo;
	struct slot_work *work;
	struct sync_set sync;
	struct strbuf path; /* of the directory we are in, for messages; ends in '/' unless empty */
	unsigned depth;
	int64_t stamp;
};

/* One directory on the way: its descriptor, and the same directory of the live slot. */
struct level {
	struct layout *layout;
	int fd, live_fd; /* live_fd is -1 where the live slot has no such directory */
	struct repo_tree *live;
	bool changed;
};

bool slot_name_ok(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcasecmp(name, ".git") != 0 && !strchr(name, '/');
}

static void sync_set_close(struct sync_set *set)
{
	while (set->n)
		fd_close(&set->fd[--set->n]);
}

/* Takes the descriptor. */
static void sync_set_add(struct sync_set *set, int fd)
{
	if (set->n == SYNC_EACH_MAX) {
		set->all = true;
		sync_set_close(set);
	}
	if (set->all)
		fd_close(&fd);
	else
		set->fd[set->n++] = fd;
}

static int sync_set_finish(const struct sync_set *set, int slot_fd, struct error *err)
{
	if (set->all)
		return fs_sync_all(slot_fd, err);
	for (size_t i = 0; i < set->n; i++)
		if (fs_sync(set->fd[i], err) == -1)
			return -1;
	return 0;
}

static int apply_level(struct level *level, const char *old_tree, const char *new_tree,
		       struct error *err);

static int refuse(const struct layout *l, const char *name, const char *what, struct error *err)
{
	autostrbuf struct strbuf path = STRBUF_INIT;
	size_t skip = 0;

	if (l->path.len > SHOWN_BYTES) { /* the reason must not fall off the end of the message */
		strbuf_addstr(&path, "...");
		skip = l->path.len - SHOWN_BYTES;
	}
	name_add_printable(&path, strbuf_str(&l->path) + skip, l->path.len - skip);
	name_add_printable(&path, name, strlen(name));
	return error_set(err, E_REFUSED, "'%s' %s", strbuf_str(&path), what);
}

static int remove_old(struct level *level, const struct repo_entry *was, struct error *err)
{
	struct slot_work *work = level->layout->work;
	uint64_t files = 1;

	level->changed = true;
	if (was->kind != REPO_ENTRY_TREE) {
		work->removed++;
		return fs_unlink(level->fd, was->name, err);
	}
	if (repo_count_changed(level->layout->repo, was->oid, "", &files, err) == -1)
		return -1;
	work->removed += files;
	return fs_remove_tree(level->fd, was->name, err);
}

/* Where the live slot has the very same blob at the same path, its file serves both. */
static bool link_from_live(struct level *level, const struct repo_entry *now)
{
	struct error ignored = ERROR_INIT; /* too many links, say: it is written then */
	struct repo_entry live;

	if (level->live_fd == -1 || !repo_tree_find(level->live, now->name, &live) ||
	    live.kind != now->kind || strcmp(live.oid, now->oid) != 0)
		return false;
	return fs_link(level->live_fd, now->name, level->fd, now->name, &ignored) == 0;
}

/* Python takes a .pyc for a file's by path, size and second of modification, and slots keep their
 * paths: two versions that were written within one second would be taken for each other. */
static int set_stamp(int fd, int64_t stamp, struct error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)stamp}};

	return futimens(fd, times) == -1 ? error_sys(err, errno, "cannot set a file's time") : 0;
}

static int write_file(struct level *level, const struct repo_entry *now, struct error *err)
{
	mode_t mode = now->kind == REPO_ENTRY_EXEC ? 0755 : 0644;
	struct layout *l = level->layout;
	autoclose int fd = -1;

	if (link_from_live(level, now)) {
		l->work->linked++;
		return 0;
	}
	l->work->written++;
	if (fs_open(level->fd, now->name, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, err) == -1 ||
	    repo_write_blob(l->repo, now->oid, fd, err) == -1 || set_stamp(fd, l->stamp, err) == -1)
		return -1;
	sync_set_add(&l->sync, steal_fd(&fd));
	return 0;
}

/* Does a link in a directory `depth` levels down stay in the slot? The interpreter that a committed
 * virtualenv needs is the one place outside. Text only: links that lead through links are the
 * gate's to follow. */
static bool link_stays(const char *target, unsigned depth)
{
	const char *python = "/usr/bin/python3";

	if (str_starts(target, python))
		return target[strlen(python) + strspn(target + strlen(python), ".0123456789")] ==
		       '\0';
	if (*target == '/')
		return false;
	for (const char *at = target; *at;) {
		size_t len = strcspn(at, "/");

		if (len == 2 && strncmp(at, "..", 2) == 0) {
			if (depth-- == 0)
				return false;
		} else if (len > 0 && !(len == 1 && *at == '.')) {
			depth++;
		}
		at += len + strspn(at + len, "/");
	}
	return true;
}

static int write_link(struct level *level, const struct repo_entry *now, struct error *err)
{
	autostrbuf struct strbuf target = STRBUF_INIT;
	struct layout *l = level->layout;

	if (repo_read_blob(l->repo, now->oid, LINK_BYTES, &target, err) == -1)
		return -1;
	if (target.len == 0 || strlen(target.buf) != target.len)
		return refuse(l, now->name, "is a link that leads nowhere", err);
	if (!link_stays(target.buf, l->depth))
		return refuse(l, now->name, "is a link that leads out of the tree", err);
	l->work->written++;
	return fs_symlink(target.buf, level->fd, now->name, err);
}

static int enter(struct level *up, const char *name, const char *old_tree, const char *new_tree,
		 struct error *err)
{
	struct layout *l = up->layout;
	struct level level = {.layout = l, .fd = -1, .live_fd = -1};
	size_t len = l->path.len;
	struct error ignored = ERROR_INIT; /* without the live slot's file all is written */
	struct repo_entry live;
	int r = -1;

	if (l->depth == REPO_DEPTH_MAX)
		return refuse(l, name, "is nested too deep", err);
	if (up->live_fd != -1 && repo_tree_find(up->live, name, &live) &&
	    live.kind == REPO_ENTRY_TREE &&
	    repo_tree_open(l->repo, live.oid, &level.live, &ignored) == 0 &&
	    fs_open_dir(up->live_fd, name, &level.live_fd, &ignored) == -1)
		level.live_fd = -1;
	strbuf_addf(&l->path, "%s/", name);
	l->depth++;
	if (fs_open_dir(up->fd, name, &level.fd, err) == 0)
		r = apply_level(&level, old_tree, new_tree, err);
	l->depth--;
	l->path.len = len;
	l->path.buf[len] = '\0';
	repo_tree_free(level.live);
	fd_close(&level.live_fd);
	fd_close(&level.fd);
	return r;
}

static int create_new(struct level *level, const struct repo_entry *now, struct error *err)
{
	level->changed = true;
	switch (now->kind) {
	case REPO_ENTRY_TREE:
		if (fs_ensure_dir(level->fd, now->name, 0755, NULL, err) == -1)
			return -1;
		return enter(level, now->name, "", now->oid, err);
	case REPO_ENTRY_FILE:
	case REPO_ENTRY_EXEC:
		return write_file(level, now, err);
	case REPO_ENTRY_LINK:
		return write_link(level, now, err);
	case REPO_ENTRY_GITLINK:
		return refuse(level->layout, now->name, "is a submodule", err);
	case REPO_ENTRY_BAD_MODE:
	default:
		return refuse(level->layout, now->name, "has a mode that no file may have", err);
	}
}

static int apply_entry(void *ctx, const char *name, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	struct level *level = ctx;

	if (!slot_name_ok(name))
		return refuse(level->layout, name, "is a name that no file may have", err);
	if (was && now && was->kind == REPO_ENTRY_TREE && now->kind == REPO_ENTRY_TREE)
		return enter(level, name, was->oid, now->oid, err);
	if (was && remove_old(level, was, err) == -1)
		return -1;
	return now ? create_new(level, now, err) : 0;
}

static int apply_level(struct level *level, const char *old_tree, const char *new_tree,
		       struct error *err)
{
	if (repo_diff_level(level->layout->repo, old_tree, new_tree, apply_entry, level, err) == -1)
		return -1;
	if (level->changed)
		sync_set_add(&level->layout->sync, steal_fd(&level->fd));
	return 0;
}

/* What a layout is about. */
struct order {
	struct repo *repo;
	int slots_fd;
	unsigned number;
	const char *tree;
	const struct slot *live; /* NULL: nothing is linked */
	int64_t stamp;
};

static int open_live(const struct order *o, struct level *top, struct error *err)
{
	autofree char *name = o->live ? xasprintf("%u", o->live->number) : NULL;

	if (!o->live)
		return 0;
	if (repo_tree_open(o->repo, o->live->tree, &top->live, err) == -1)
		return -1;
	return fs_open_dir(o->slots_fd, name, &top->live_fd, err);
}

/* The slot's directory from old_tree to the new one, on disk. */
static int apply(const struct order *o, const char *name, const char *old_tree,
		 struct slot_work *work, struct error *err)
{
	struct layout l = {.repo = o->repo, .work = work, .stamp = o->stamp};
	struct level top = {.layout = &l, .fd = -1, .live_fd = -1};
	autoclose int slot_fd = -1;
	int64_t start = clock_ms(), applied;
	mode_t mask = umask(022); /* a slot's modes are its tree's, not the caller's */
	int r = fs_ensure_dir(o->slots_fd, name, 0755, &slot_fd, err);

	if (r == 0)
		r = fs_open_dir(o->slots_fd, name, &top.fd, err);
	if (r == 0)
		r = open_live(o, &top, err);
	if (r == 0)
		r = apply_level(&top, old_tree, o->tree, err);
	umask(mask);
	applied = clock_ms();
	if (r == 0)
		r = sync_set_finish(&l.sync, slot_fd, err);
	work->apply_ms = applied - start;
	work->sync_ms = clock_ms() - applied;
	sync_set_close(&l.sync);
	strbuf_release(&l.path);
	repo_tree_free(top.live);
	fd_close(&top.live_fd);
	fd_close(&top.fd);
	return r;
}

/* From here to record_clean() the content is unknown. */
static int mark_dirty(int slots_fd, const char *record, struct error *err)
{
	if (!fs_exists(slots_fd, record))
		return 0;
	if (fs_unlink(slots_fd, record, err) == -1 || fs_sync(slots_fd, err) == -1)
		return error_prefix(err, "marking a slot dirty");
	return 0;
}

static int record_clean(const struct order *o, const char *record, uint64_t files,
			struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "[slot]\n");
	ini_add(&text, "tree", o->tree);
	ini_addf(&text, "files", "%llu", (unsigned long long)files);
	ini_addf(&text, "stamp", "%lld", (long long)o->stamp);
	return fs_replace_file(o->slots_fd, record, text.buf, text.len, 0644, err);
}

static int move_aside(int slots_fd, const char *name, struct error *err)
{
	int64_t when = clock_utc_ms();
	autofree char *trash = xasprintf(".trash-%s-%lld", name, (long long)when);

	while (fs_exists(slots_fd, trash)) { /* the clock went back */
		free(trash);
		trash = xasprintf(".trash-%s-%lld", name, (long long)++when);
	}
	return fs_exists(slots_fd, name) ? fs_rename(slots_fd, name, slots_fd, trash, err) : 0;
}

/* held: what the slot holds; NULL: unknown, or nothing. */
static int layout_from(const struct order *o, const struct slot *held, struct slot_work *work,
		       struct error *err)
{
	autofree char *name = xasprintf("%u", o->number), *record = xasprintf("%u.ini", o->number);

	*work = (struct slot_work){0};
	if (mark_dirty(o->slots_fd, record, err) == -1)
		return -1;
	if (!held && move_aside(o->slots_fd, name, err) == -1)
		return -1;
	if (apply(o, name, held ? held->tree : "", work, err) == -1)
		return -1;
	work->files = (held ? held->files : 0) + work->written + work->linked - work->removed;
	return record_clean(o, record, work->files, err);
}

/* Later than every layout before it, even if that was in this second or the clock went back. */
static int next_stamp(const struct app *app, int64_t *stamp, struct error *err)
{
	autofree struct slot *slots = NULL;
	size_t n;

	if (slot_list(app, &slots, &n, err) == -1)
		return -1;
	*stamp = clock_utc_ms() / 1000;
	for (size_t i = 0; i < n; i++)
		if (slots[i].stamp >= *stamp)
			*stamp = slots[i].stamp + 1;
	return 0;
}

int slot_layout(const struct app *app, struct repo *repo, unsigned number, const char *tree,
		const struct slot *live, struct slot_work *work, struct error *err)
{
	struct order o = {.repo = repo, .number = number, .tree = tree};
	struct error ignored = ERROR_INIT;
	autoclose int slots_fd = -1;
	struct slot held;
	bool clean = slot_read(app, number, &held, &ignored) == 0;

	if (clean && strcmp(held.tree, tree) == 0) {
		*work = (struct slot_work){.files = held.files};
		return 0;
	}
	if (live && live->clean && live->number != number)
		o.live = live;
	if (next_stamp(app, &o.stamp, err) == -1 ||
	    fs_open_dir(app->fd, "slots", &slots_fd, err) == -1)
		return -1;
	o.slots_fd = slots_fd;
	if (clean) {
		if (layout_from(&o, &held, work, err) == 0)
			return 0;
		if (err->code !=
		    E_NOTFOUND) /* else the old tree has left the repository, or files the slot */
			return error_prefix(err, "laying out slot %u", number);
	}
	if (layout_from(&o, NULL, work, err) == -1)
		return error_prefix(err, "laying out slot %u", number);
	return 0;
}

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
	if (!tree || !name_is_oid(tree) || !files || !str_to_uint(files, FILES_MAX, &out->files) ||
	    !stamp || !str_to_uint(stamp, INT64_MAX - 1, &seconds) ||
	    fstatat(app->fd, record, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return error_set(err, E_NOTFOUND, "'%s' is no record of a slot", record);
	memcpy(out->tree, tree, OID_HEX);
	out->used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	out->stamp = (int64_t)seconds;
	out->clean = true;
	return 0;
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

int slot_choose(const struct app *app, unsigned *number, bool *new, struct error *err)
{
	autofree unsigned *used = NULL;
	autofree struct slot *slots = NULL;
	const struct slot *best = NULL;
	size_t n_used, n;

	if (used_slots(app, &used, &n_used, err) == -1 || slot_list(app, &slots, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct slot *s = &slots[i];

		if (!is_used(used, n_used, s->number) &&
		    (!best || (s->clean && !best->clean) ||
		     (s->clean == best->clean && s->used_ms > best->used_ms)))
			best = s;
	}
	*number = best ? best->number : 0;
	*new = !best;
	while (*new &&is_used(used, n_used, *number)) /* all slots that are there are in use */
		++*number;
	return 0;
}

int slot_forget(const struct app *app, unsigned number, struct error *err)
{
	autofree char *record = xasprintf("%u.ini", number);
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "slots", &fd, err) == -1)
		return -1;
	return mark_dirty(fd, record, err);
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
