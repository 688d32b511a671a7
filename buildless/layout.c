#include "buildless/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include "buildless/blobs.h"
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
#define SHOWN_BYTES   200  /* of a directory's path in a message */
#define PATH_BYTES    4000 /* longer ones are beyond what a system call takes */

/* What must be on disk before the slot is clean: descriptors, until there are too many. */
struct sync_set {
	int fd[SYNC_EACH_MAX];
	size_t n;
	bool all;
};

struct layout {
	struct repo *repo;
	struct slot_work *work;
	struct blobs *blobs; /* to be written below the slot's directory */
	struct sync_set sync;
	struct strbuf path; /* of the directory we are in; ends in '/' unless empty */
	unsigned depth;
	int64_t stamp;
	const volatile sig_atomic_t *stop; /* NULL: never */
	bool stopped;
	const struct relocation *relocation,
		*live_relocation; /* of the new tree, of the live one */
	struct strv relocated;    /* files of `relocation` that were written */
};

/* One directory on the way: its descriptor, and the same directory of the live slot. */
struct level {
	struct layout *layout;
	int fd, live_fd; /* live_fd is -1 where the live slot has no such directory */
	struct repo_tree *live;
	bool changed;
	size_t done; /* differences of this directory that are applied */
	bool half;   /* the last of them is a directory that holds half_tree for now */
	char half_tree[OID_HEX];
	char between[OID_HEX]; /* when stopped: what the directory holds now */
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

static void path_cut(struct layout *l, size_t len)
{
	l->path.len = len;
	l->path.buf[len] = '\0';
}

static void sync_file(void *ctx, int fd)
{
	sync_set_add(ctx, fd);
}

/* After each blob that is added: from SYNC_EACH_MAX on they are written beside the walk. */
static int write_many(struct layout *l, struct error *err)
{
	if (!l->sync.all && blobs_count(l->blobs) <= SYNC_EACH_MAX)
		return 0;
	l->sync.all = true;
	sync_set_close(&l->sync);
	return blobs_start(l->blobs, err);
}

static int write_rest(struct layout *l, struct error *err)
{
	return l->sync.all ? blobs_finish(l->blobs, err)
			   : blobs_write_each(l->blobs, sync_file, &l->sync, err);
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

/* A directory that goes, by the names that its tree has. */
struct going {
	struct layout *layout;
	int fd;
};

static int remove_dir(struct layout *l, int dir_fd, const char *name, const char *tree,
		      struct error *err);

static int remove_entry(void *ctx, const char *name, const struct repo_entry *was,
			const struct repo_entry *now, struct error *err)
{
	struct going *going = ctx;

	(void)now;
	if (was->kind == REPO_ENTRY_TREE)
		return remove_dir(going->layout, going->fd, name, was->oid, err);
	going->layout->work->removed++;
	return fs_unlink(going->fd, name, err);
}

static int remove_dir(struct layout *l, int dir_fd, const char *name, const char *tree,
		      struct error *err)
{
	struct going going = {.layout = l, .fd = -1};
	int r = fs_open_dir(dir_fd, name, &going.fd, err);

	if (r == 0)
		r = repo_diff_level(l->repo, tree, "", remove_entry, &going, err);
	fd_close(&going.fd);
	return r == 0 ? fs_remove_dir(dir_fd, name, err) : -1;
}

static int remove_old(struct level *level, const struct repo_entry *was, struct error *err)
{
	struct slot_work *work = level->layout->work;
	struct error foreign = ERROR_INIT; /* somebody was here */
	uint64_t removed = work->removed;

	level->changed = true;
	if (was->kind != REPO_ENTRY_TREE) {
		work->removed++;
		return fs_unlink(level->fd, was->name, err);
	}
	if (remove_dir(level->layout, level->fd, was->name, was->oid, &foreign) == 0)
		return 0;
	if (repo_count_changed(level->layout->repo, was->oid, "", &work->removed, err) == -1)
		return -1;
	work->removed += removed;
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

/* Where no path leads to it that a system call would take. */
static int write_deep_file(struct level *level, const struct repo_entry *now, struct error *err)
{
	struct layout *l = level->layout;
	struct blobs *one = blobs_new(l->repo, level->fd, l->stamp);
	int r;

	blobs_add(one, now->name, now->oid, now->kind == REPO_ENTRY_EXEC);
	r = blobs_write_each(one, sync_file, &l->sync, err);
	blobs_free(one);
	return r;
}

/* NULL: its content is the blob's. *same: what the live slot has of this blob came out alike. */
static const struct relocation_file *find_relocated(struct layout *l, const char *name, bool *same)
{
	const struct relocation_file *file;
	size_t len = l->path.len;

	*same = true;
	if (l->relocation->n == 0 && l->live_relocation->n == 0)
		return NULL;
	strbuf_addstr(&l->path, name);
	file = relocation_find(l->relocation, l->path.buf);
	*same = relocation_same_file(l->live_relocation, l->relocation, l->path.buf);
	if (file)
		strv_add(&l->relocated, l->path.buf);
	path_cut(l, len);
	return file && strcmp(file->in, file->out) != 0 ? file : NULL;
}

static int write_relocated(struct level *level, const struct repo_entry *now,
			   const struct relocation_file *file, struct error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {.tv_sec = (time_t)level->layout->stamp}};
	mode_t mode = now->kind == REPO_ENTRY_EXEC ? 0755 : 0644;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct layout *l = level->layout;
	autoclose int fd = -1;

	if (relocation_text(l->repo, l->relocation, file, &text, err) == -1 ||
	    fs_open(level->fd, now->name, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, err) == -1 ||
	    fs_write_all(fd, text.buf, text.len, err) == -1)
		return -1;
	if (futimens(fd, times) == -1) /* as of every file: see blobs.c */
		return error_sys(err, errno, "cannot set the time of '%s'", file->path);
	sync_set_add(&l->sync, steal_fd(&fd));
	return 0;
}

static int write_file(struct level *level, const struct repo_entry *now, struct error *err)
{
	struct layout *l = level->layout;
	size_t len = l->path.len;
	bool same;
	const struct relocation_file *relocated = find_relocated(l, now->name, &same);

	if (same && link_from_live(level, now)) {
		l->work->linked++;
		return 0;
	}
	l->work->written++;
	if (relocated)
		return write_relocated(level, now, relocated, err);
	if (len + strlen(now->name) > PATH_BYTES)
		return write_deep_file(level, now, err);
	strbuf_addstr(&l->path, now->name);
	blobs_add(l->blobs, l->path.buf, now->oid, now->kind == REPO_ENTRY_EXEC);
	path_cut(l, len);
	return write_many(l, err);
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

/* The same directory of the live slot; without it all is written. */
static void enter_live(const struct level *up, const char *name, struct level *level)
{
	struct error ignored = ERROR_INIT;
	struct repo_entry live;

	if (up->live_fd != -1 && repo_tree_find(up->live, name, &live) &&
	    live.kind == REPO_ENTRY_TREE &&
	    repo_tree_open(level->layout->repo, live.oid, &level->live, &ignored) == 0 &&
	    fs_open_dir(up->live_fd, name, &level->live_fd, &ignored) == -1)
		level->live_fd = -1;
}

/* git knows no empty directories, so none may be there when we stop. */
static int leave_half(struct level *up, const char *name, const struct level *level,
		      struct error *err)
{
	up->half = true;
	memcpy(up->half_tree, level->between, OID_HEX);
	return *level->between ? 0 : fs_remove_dir(up->fd, name, err);
}

/* old_tree is "" where there is no such directory yet. */
static int enter(struct level *up, const char *name, const char *old_tree, const char *new_tree,
		 struct error *err)
{
	struct layout *l = up->layout;
	struct level level = {.layout = l, .fd = -1, .live_fd = -1};
	size_t len = l->path.len;
	int r = -1;

	if (l->depth == REPO_DEPTH_MAX)
		return refuse(l, name, "is nested too deep", err);
	enter_live(up, name, &level);
	strbuf_addf(&l->path, "%s/", name);
	l->depth++;
	if ((*old_tree ? fs_open_dir(up->fd, name, &level.fd, err)
		       : fs_ensure_dir(up->fd, name, 0755, &level.fd, err)) == 0)
		r = apply_level(&level, old_tree, new_tree, err);
	l->depth--;
	path_cut(l, len);
	if (l->stopped && leave_half(up, name, &level, err) == -1)
		l->stopped = false;
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

static int apply_difference(struct level *level, const char *name, const struct repo_entry *was,
			    const struct repo_entry *now, struct error *err)
{
	if (!slot_name_ok(name))
		return refuse(level->layout, name, "is a name that no file may have", err);
	if (was && now && was->kind == REPO_ENTRY_TREE && now->kind == REPO_ENTRY_TREE)
		return enter(level, name, was->oid, now->oid, err);
	if (was && remove_old(level, was, err) == -1)
		return -1;
	return now ? create_new(level, now, err) : 0;
}

static int apply_entry(void *ctx, const char *name, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	struct level *level = ctx;
	struct layout *l = level->layout;

	if (l->stop && *l->stop) {
		if (l->sync.all && blobs_finish(l->blobs, err) == -1) /* before a tree is written */
			return -1;
		l->stopped = true;
		return error_set(err, E_BUSY, "stopped");
	}
	if (apply_difference(level, name, was, now, err) == -1)
		return -1;
	level->done++;
	return 0;
}

static int apply_level(struct level *level, const char *old_tree, const char *new_tree,
		       struct error *err)
{
	struct layout *l = level->layout;
	int r = repo_diff_level(l->repo, old_tree, new_tree, apply_entry, level, err);

	if (r == -1 && !l->stopped)
		return -1;
	if (l->stopped &&
	    repo_mix_trees(l->repo, old_tree, new_tree, level->done + level->half,
			   level->half ? level->half_tree : NULL, level->between, err) == -1)
		l->stopped = false;
	if (level->changed)
		sync_set_add(&l->sync, steal_fd(&level->fd));
	return r;
}

/* What a layout is about. */
struct order {
	struct repo *repo;
	int slots_fd;
	unsigned number;
	const char *tree;
	const struct slot *live; /* NULL: nothing is linked */
	int64_t stamp;
	const volatile sig_atomic_t *stop;
	bool stopped;
	char between[OID_HEX]; /* then: the tree that it holds now; "" is an empty directory */
	struct relocation relocation, held_relocation, live_relocation;
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

static int apply_at(struct order *o, struct layout *l, struct level *top, const char *name,
		    const char *old_tree, struct error *err)
{
	if (fs_open_dir(o->slots_fd, name, &top->fd, err) == -1 || open_live(o, top, err) == -1)
		return -1;
	if (apply_level(top, old_tree, o->tree, err) == -1 && !l->stopped)
		return -1;
	o->stopped = l->stopped;
	memcpy(o->between, top->between, OID_HEX);
	return write_rest(l, err);
}

/* Only of a whole tree can it be said that nothing is missing. */
static int check_relocated(const struct order *o, const struct layout *l, int slot_fd,
			   struct error *err)
{
	if (o->stopped)
		return 0;
	return relocation_check(o->repo, &o->relocation, &l->relocated, slot_fd, err);
}

/* The slot's directory from old_tree to the new one, or to o->between, on disk. */
static int apply(struct order *o, const char *name, const char *old_tree, struct slot_work *work,
		 struct error *err)
{
	struct layout l = {.repo = o->repo,
			   .work = work,
			   .stamp = o->stamp,
			   .stop = o->stop,
			   .relocation = &o->relocation,
			   .live_relocation = &o->live_relocation};
	struct level top = {.layout = &l, .fd = -1, .live_fd = -1};
	autoclose int slot_fd = -1;
	mode_t mask = umask(022); /* a slot's modes are its tree's, not the caller's */
	int r = fs_ensure_dir(o->slots_fd, name, 0755, &slot_fd, err);

	*work = (struct slot_work){0};
	l.blobs = blobs_new(o->repo, slot_fd, o->stamp);
	if (r == 0)
		r = apply_at(o, &l, &top, name, old_tree, err);
	umask(mask);
	if (r == 0)
		r = check_relocated(o, &l, slot_fd, err);
	if (r == 0)
		r = sync_set_finish(&l.sync, slot_fd, err);
	sync_set_close(&l.sync);
	strbuf_release(&l.path);
	strv_free_p(&l.relocated);
	blobs_free(l.blobs);
	repo_tree_free(top.live);
	fd_close(&top.live_fd);
	fd_close(&top.fd);
	return r;
}

static int record_clean(const struct order *o, const char *tree, uint64_t files, struct error *err)
{
	autofree char *record = xasprintf("%u.ini", o->number);
	autorelocation struct relocation between = RELOCATION_INIT;
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (o->stopped && relocation_between(o->repo, tree, &o->held_relocation, &o->relocation,
					     &between, err) == -1)
		return -1;
	strbuf_addstr(&text, "[slot]\n");
	ini_add(&text, "tree", tree);
	ini_addf(&text, "files", "%llu", (unsigned long long)files);
	ini_addf(&text, "stamp", "%lld", (long long)o->stamp);
	relocation_format(o->stopped ? &between : &o->relocation, &text);
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
static int layout_from(struct order *o, const struct slot *held, struct slot_work *work,
		       struct error *err)
{
	autofree char *name = xasprintf("%u", o->number);
	const char *tree = o->tree;

	if (!held && move_aside(o->slots_fd, name, err) == -1)
		return -1;
	if (apply(o, name, held ? held->tree : "", work, err) == -1)
		return -1;
	work->files = (held ? held->files : 0) + work->written + work->linked - work->removed;
	if (o->stopped)
		tree = o->between;
	if (*tree && record_clean(o, tree, work->files, err) == -1)
		return -1;
	return o->stopped ? error_set(err, E_BUSY, "stopped at %llu files",
				      (unsigned long long)work->files)
			  : 0;
}

/* What the new tree's files become, from what those of the live slot became (the check of the tree
 * came to its result from there), else from those of this slot. *held: where its files would have
 * to come out otherwise it is NULL from now on. */
static int plan_relocation(const struct app *app, struct order *o, const struct slot **held,
			   struct error *err)
{
	autostrv struct strv errors = STRV_INIT, warnings = STRV_INIT;
	const struct relocation_report report = {&errors, &warnings, NULL};
	const struct relocation *base = NULL;
	const char *base_tree = "";

	if (*held && !slot_read_relocation(app, o->number, (*held)->tree, &o->held_relocation))
		*held = NULL;
	if (*held) {
		base = &o->held_relocation;
		base_tree = (*held)->tree;
	}
	if (o->live &&
	    slot_read_relocation(app, o->live->number, o->live->tree, &o->live_relocation)) {
		base = &o->live_relocation;
		base_tree = o->live->tree;
	} else {
		o->live = NULL;
	}
	if (relocation_plan(o->repo, base, base_tree, o->tree, &o->relocation, &report, err) == -1)
		return err->code == E_REFUSED ? 0 : -1; /* applying will refuse it, by name */
	if (errors.n)
		return error_set(err, E_REFUSED, "%s", errors.v[0]);
	if (*held && !relocation_agrees(&o->held_relocation, &o->relocation))
		*held = NULL;
	return 0;
}

static int lay_out(const struct app *app, struct order *o, const struct slot *held,
		   struct slot_work *work, struct error *err)
{
	autoclose int slots_fd = -1;
	int r = -1;

	if (plan_relocation(app, o, &held, err) == -1 ||
	    slot_take(app, o->number, false, &o->stamp, err) == -1 ||
	    fs_open_dir(app->fd, "slots", &slots_fd, err) == -1)
		return -1;
	o->slots_fd = slots_fd;
	err->code = E_NOTFOUND;
	if (held)
		r = layout_from(o, held, work, err);
	/* else the old tree has left the repository, or files the slot */
	return r == -1 && err->code == E_NOTFOUND ? layout_from(o, NULL, work, err) : r;
}

int slot_prepare(const struct app *app, struct repo *repo, unsigned number, const char *tree,
		 const struct slot *live, const volatile sig_atomic_t *stop, struct slot_work *work,
		 struct error *err)
{
	struct order o = {.repo = repo, .number = number, .tree = tree, .stop = stop};
	struct error unclean = ERROR_INIT;
	struct slot held;
	bool clean = slot_read(app, number, &held, &unclean) == 0;
	int r;

	if (clean && strcmp(held.tree, tree) == 0) {
		*work = (struct slot_work){.files = held.files};
		return slot_take(app, number, true, &o.stamp, err);
	}
	if (live && live->clean && live->number != number)
		o.live = live;
	r = lay_out(app, &o, clean ? &held : NULL, work, err);
	relocation_release(&o.relocation);
	relocation_release(&o.held_relocation);
	relocation_release(&o.live_relocation);
	return r == -1 ? error_prefix(err, "laying out slot %u", number) : 0;
}

int slot_layout(const struct app *app, struct repo *repo, unsigned number, const char *tree,
		const struct slot *live, struct slot_work *work, struct error *err)
{
	return slot_prepare(app, repo, number, tree, live, NULL, work, err);
}
