#include "buildless/maintain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "buildless/git.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"

#define QUARANTINE  "tmp_objdir-incoming-"
#define ASIDE       "tmp_gone-" /* git takes no notice of tmp_*, and the next of us removes it */
#define BURST_BYTES (16 << 20)
#define KEEP_MAX    200
#define LOCK_FD     3
#define OUTPUT_MAX  4096

struct pack {
	char *stem; /* "pack-HASH" */
	uint64_t bytes;
};

struct packs {
	struct pack *v; /* the smallest first */
	size_t n;
	struct strv names; /* all of objects/pack */
	int fd;
};
#define PACKS_INIT                                                                                 \
	{                                                                                          \
		NULL, 0, STRV_INIT, -1                                                             \
	}
#define autopacks __attribute__((cleanup(packs_release)))

static void packs_release(struct packs *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].stem);
	free(p->v);
	strv_free_p(&p->names);
	fd_close(&p->fd);
}

static int by_bytes(const void *a, const void *b)
{
	const struct pack *x = a, *y = b;

	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static bool has(const struct packs *p, const char *stem, const char *ending)
{
	autofree char *name = xasprintf("%s%s", stem, ending);

	return strv_has(&p->names, name);
}

static int open_packs(const struct app *app, struct packs *p, struct error *err)
{
	if (fs_open_dir(app->fd, "repo.git/objects/pack", &p->fd, err) == -1 ||
	    fs_list(p->fd, &p->names, err) == -1)
		return -1;
	p->v = xcalloc(p->names.n + 1, sizeof(*p->v));
	for (size_t i = 0; i < p->names.n; i++) {
		autofree char *stem = xstrdup(p->names.v[i]);
		struct stat st;

		if (!str_starts(stem, "pack-") || !str_ends(stem, ".pack"))
			continue;
		stem[strlen(stem) - strlen(".pack")] = '\0';
		if (!has(p, stem, ".idx") || has(p, stem, ".keep") ||
		    fstatat(p->fd, p->names.v[i], &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		p->v[p->n].bytes = (uint64_t)st.st_size;
		p->v[p->n++].stem = steal_ptr(&stem);
	}
	qsort(p->v, p->n, sizeof(*p->v), by_bytes);
	return 0;
}

/* What is left over */

/* A push marks its pack until the refs have moved. It holds the lock meanwhile: a mark that we see
 * is nobody's. Its words are not synced, so after a power cut there may be none; a person's mark
 * has others. */
static bool is_stale_mark(int pack_fd, const char *name)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;

	return str_ends(name, ".keep") &&
	       fs_read_file(pack_fd, name, KEEP_MAX, &text, &none) == 0 &&
	       (!*strbuf_str(&text) || str_starts(strbuf_str(&text), "receive-pack "));
}

static bool is_incomplete(const struct packs *p, const char *name)
{
	autofree char *stem = xstrdup(name);
	char *dot = strrchr(stem, '.');

	if (!str_starts(name, "pack-") || !dot)
		return false;
	*dot = '\0';
	return !has(p, stem, ".idx"); /* git writes, and removes, so that this is so */
}

static int remove_left_overs(const struct app *app, struct error *err)
{
	autopacks struct packs p = PACKS_INIT;

	if (open_packs(app, &p, err) == -1)
		return -1;
	for (size_t i = 0; i < p.names.n; i++) {
		const char *name = p.names.v[i];

		if ((str_starts(name, "tmp_") || str_starts(name, ".tmp-") ||
		     is_stale_mark(p.fd, name) || is_incomplete(&p, name)) &&
		    fs_unlink(p.fd, name, err) == -1)
			return -1;
	}
	return 0;
}

/* Packing */

static int text_fd(const char *text, int *out, struct error *err)
{
	autoclose int fd = memfd_create("packs", MFD_CLOEXEC);

	if (fd == -1 || fs_write_all(fd, text, strlen(text), err) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	*out = steal_fd(&fd);
	return 0;
}

static void pack_arguments(const struct app *app, bool all, struct strv *argv)
{
	static const char *const words[] = {"pack-objects", "-q",          "--delta-base-offset",
					    "--non-empty",  "--threads=1", "--honor-pack-keep"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(argv, words[i]);
	strv_add(argv, all ? "--all" : "--stdin-packs");
	strv_addf(argv, "%s/objects/pack/pack", app->repo_path);
}

/* Runs `git WORD...` in the repository; what it prints is in *said. */
static int run_git(const struct app *app, const struct strv *words, const char *input,
		   struct strbuf *said, struct error *err)
{
	sigset_t blocked;
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	const struct proc_fd lock = {app->lock_fd, LOCK_FD};
	autoclose int in = -1, out = -1;
	struct proc_spec spec = {.path = "git", .err = -1, .fds = &lock, .n_fds = 1};
	int status;
	pid_t pid;

	if (text_fd(input, &in, err) == -1 || text_fd("", &out, err) == -1)
		return -1;
	strv_add(&argv, "git");
	strv_addf(&argv, "--git-dir=%s", app->repo_path);
	for (size_t i = 0; i < words->n; i++)
		strv_add(&argv, words->v[i]);
	strv_add(&env, "HOME=/nonexistent");
	strv_add(&env, "GIT_CONFIG_NOSYSTEM=1");
	strv_add(&env, "GIT_CONFIG_GLOBAL=/dev/null");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	spec.in = in;
	spec.out = out;
	/* The signal that ends a settle goes to its process group. */
	spec.new_session =
		sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 1;
	if (proc_start(&spec, &pid, err) == -1 || proc_wait(pid, -1, &status, err) == -1)
		return -1;
	if (status != 0)
		return error_set(err, E_SYSTEM, "git %s ended with status %d", words->v[0], status);
	if (lseek(out, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the answer of git");
	return strbuf_read_fd(said, out, OUTPUT_MAX, err);
}

/* The smallest n packs as one, on disk; *stem ("pack-HASH"; NULL: there was nothing to pack) is the
 * caller's. */
static int write_pack(const struct app *app, const struct packs *p, size_t n, bool all, char **stem,
		      struct error *err)
{
	autostrbuf struct strbuf input = STRBUF_INIT, said = STRBUF_INIT;
	autostrv struct strv words = STRV_INIT;

	*stem = NULL;
	for (size_t i = 0; !all && i < n; i++)
		strbuf_addf(&input, "%s.pack\n", p->v[i].stem);
	pack_arguments(app, all, &words);
	if (run_git(app, &words, strbuf_str(&input), &said, err) == -1)
		return -1;
	if (!said.len)
		return 0;
	said.buf[strcspn(said.buf, "\n")] = '\0';
	if (!name_is_oid(said.buf))
		return error_set(err, E_SYSTEM, "git pack-objects said '%.60s'", said.buf);
	*stem = xasprintf("pack-%s", said.buf);
	return fs_sync(p->fd, err);
}

/* Removing the old ones */

static int rename_index(const struct packs *p, const char *stem, bool back, struct error *err)
{
	autofree char *index = xasprintf("%s.idx", stem), *aside = xasprintf(ASIDE "%s.idx", stem);

	return back ? fs_rename(p->fd, aside, p->fd, index, err)
		    : fs_rename(p->fd, index, p->fd, aside, err);
}

static int rename_indexes(const struct packs *p, size_t n, const char *new, bool back,
			  struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(p->v[i].stem, new) != 0 &&
		    rename_index(p, p->v[i].stem, back, err) == -1)
			return -1;
	return 0;
}

static int is_receiving(const struct app *app, bool *out, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	*out = false;
	if (fs_open_dir(app->fd, "repo.git/objects", &fd, err) == -1 ||
	    fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		*out = *out || str_starts(names.v[i], QUARANTINE);
	return 0;
}

/* Objects that no ref leads to are going. A push receives without the lock, and git may just have
 * found that with these objects it is complete. So they go out of sight first: a push that begins
 * now does without them, and for one that has begun they come back. */
static int hide(const struct app *app, const struct packs *p, size_t n, const char *new,
		bool *hidden, struct error *err)
{
	bool receiving;

	if (rename_indexes(p, n, new, false, err) == -1 || is_receiving(app, &receiving, err) == -1)
		return -1;
	*hidden = !receiving;
	return receiving ? rename_indexes(p, n, new, true, err) : 0;
}

/* The index goes first: without it git looks for nothing in a pack. */
static int remove_pack(const struct packs *p, const char *stem, struct error *err)
{
	static const char *const endings[] = {".idx", ".rev", ".bitmap", ".mtimes", ".pack"};

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		autofree char *name = xasprintf("%s%s", stem, endings[i]);

		if (fs_unlink(p->fd, name, err) == -1)
			return -1;
	}
	return 0;
}

/* How many of the smallest become one: up to the last that is not twice as large as all smaller
 * ones together. */
static size_t choose(const struct packs *p)
{
	uint64_t sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (i > 0 && p->v[i].bytes < 2 * sum)
			n = i + 1;
		sum += p->v[i].bytes;
	}
	return n;
}

static int consolidate(const struct app *app, const struct packs *p, size_t n, bool all,
		       struct error *err)
{
	autofree char *new = NULL;
	bool hidden = true;

	if (write_pack(app, p, n, all, &new, err) == -1)
		return error_prefix(err, "packing");
	if (!new)
		return 0;
	if (all && hide(app, p, n, new, &hidden, err) == -1)
		return error_prefix(err, "dropping what no ref leads to");
	for (size_t i = 0; hidden && i < n; i++)
		if (strcmp(p->v[i].stem, new) != 0 && remove_pack(p, p->v[i].stem, err) == -1)
			return error_prefix(err, "removing what was packed");
	return remove_left_overs(app, err);
}

static int count_loose(const struct app *app, size_t *n, struct error *err)
{
	autostrv struct strv dirs = STRV_INIT;
	autoclose int fd = -1;

	*n = 0;
	if (fs_open_dir(app->fd, "repo.git/objects", &fd, err) == -1 ||
	    fs_list(fd, &dirs, err) == -1)
		return -1;
	for (size_t i = 0; i < dirs.n; i++) {
		autostrv struct strv names = STRV_INIT;
		autoclose int dir_fd = -1;

		if (strlen(dirs.v[i]) != 2) /* "0f" holds objects that begin so */
			continue;
		if (fs_open_dir(fd, dirs.v[i], &dir_fd, err) == -1 ||
		    fs_list(dir_fd, &names, err) == -1)
			return -1;
		*n += names.n;
	}
	return 0;
}

/* Loose objects come from spare slots that were stopped half way (their trees, which no ref names)
 * and from people. One that a slot's record still names may go: the slot is laid out anew then. */
static int prune_loose(const struct app *app, struct error *err)
{
	autostrbuf struct strbuf said = STRBUF_INIT;
	autostrv struct strv words = STRV_INIT;
	size_t n;

	if (count_loose(app, &n, err) == -1)
		return -1;
	if (n <= MAINTAIN_LOOSE)
		return 0;
	strv_add(&words, "prune");
	strv_add(&words, "--expire=10.minutes.ago");
	return run_git(app, &words, "", &said, err);
}

static int consolidate_if_many(const struct app *app, bool receiving, struct error *err)
{
	autopacks struct packs p = PACKS_INIT;
	size_t n;

	if (open_packs(app, &p, err) == -1)
		return -1;
	n = choose(&p);
	if (p.n <= MAINTAIN_PACKS || n < 2)
		return 0;
	return consolidate(app, &p, n, n == p.n && !receiving, err);
}

int maintain(const struct app *app, struct error *err)
{
	bool receiving;

	if (remove_left_overs(app, err) == -1 || is_receiving(app, &receiving, err) == -1 ||
	    consolidate_if_many(app, receiving, err) == -1)
		return -1;
	return receiving ? 0 : prune_loose(app, err);
}

int maintain_burst(const struct app *app, struct error *err)
{
	autopacks struct packs p = PACKS_INIT;
	sigset_t term, usual;
	uint64_t bytes = 0;
	size_t n;
	int r;

	if (open_packs(app, &p, err) == -1)
		return -1;
	n = choose(&p);
	for (size_t i = 0; i < n; i++)
		bytes += p.v[i].bytes;
	if (p.n <= MAINTAIN_PACKS_BURST || n < 2 || bytes > BURST_BYTES)
		return 0;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &usual); /* some 50 ms */
	r = consolidate(app, &p, n, false, err);
	sigprocmask(SIG_SETMASK, &usual, NULL); /* and a SIGTERM that came ends us here */
	return r;
}
