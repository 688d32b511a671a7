#include "receiver/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"
#include "common/proc.h"
#include "receiver/own_server.h"
#include "receiver/provide.h"
#include "runtime/launch.h"
#include "runtime/s6.h"
#include "services/catalog.h"

#define ENDING         ".tar.zst"
#define BEFORE         "before-restore" ENDING
#define PARTS          16
#define CHUNK          (256 << 10)
#define NAME_MAX_BYTES 100

/* A service of the app, and what it held or is to hold. */
struct part {
	const struct service *service;
	char *server; /* that made the dump */
	int fd;       /* the dump; -1: none */
};

struct parts {
	struct part v[PARTS];
	size_t n;
};
#define autoparts __attribute__((cleanup(parts_release)))

static void parts_release(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].server);
		fd_close(&p->v[i].fd);
	}
	p->n = 0;
}

/* A person waits: what is being done, and how long it took. */
static void tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void tell(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("silver: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* A file on the node's disk that ends with us. */
static int make_spool(const struct node *node, int *out, struct error *err)
{
	autofree char *name = xasprintf(".spool.%ld", (long)getpid());
	autoclose int run_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_unlink(run_fd, name, err) == -1 ||
	    fs_open(run_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600, &fd, err) == -1 ||
	    fs_unlink(run_fd, name, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

static int rewind_fd(int fd, struct error *err)
{
	return lseek(fd, 0, SEEK_SET) == -1 ? error_sys(err, errno, "cannot read a dump") : 0;
}

/* What the app has, by its records. */
static int find_parts(const struct node *node, const char *app, struct parts *out,
		      struct error *err)
{
	autostrv struct strv records = STRV_INIT;
	autoclose int app_fd = -1, fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1)
		return -1;
	if (fs_open_dir(app_fd, "services", &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &records, err) == -1)
		return -1;
	for (size_t i = 0; i < records.n; i++) {
		const struct service *service = service_named(records.v[i]);

		if (service && service->foreign)
			tell("%s: left as it is; the node does not speak to that server",
			     service->name);
		else if (service && out->n < PARTS)
			out->v[out->n++] = (struct part){service, NULL, -1};
	}
	return 0;
}

static struct part *part_named(struct parts *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].service->record, name) == 0)
			return &p->v[i];
	return NULL;
}

/* "server PostgreSQL 15.14", the first line of its status; the caller frees. */
static char *server_words(const struct node *node, const char *app, const struct service *service)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	const char *line;

	if (provide_data(node, app, service, "status", -1, &text, &none) == -1)
		return xstrdup("");
	line = strbuf_str(&text);
	if (!str_starts(line, "server "))
		return xstrdup("");
	line += strlen("server ");
	return xstrndup(line, strcspn(line, "\n"));
}

static int dump_one(const struct node *node, const char *app, struct part *part, struct error *err)
{
	int64_t start = clock_ms();
	struct stat st;

	if (make_spool(node, &part->fd, err) == -1 ||
	    provide_data(node, app, part->service, "backup", part->fd, NULL, err) == -1)
		return error_prefix(err, "backing up '%s'", part->service->record);
	part->server = server_words(node, app, part->service);
	if (fstat(part->fd, &st) == -1)
		return error_sys(err, errno, "cannot stat a dump");
	tell("%s: %lld bytes, %lld ms", part->service->record, (long long)st.st_size,
	     (long long)(clock_ms() - start));
	return 0;
}

static int dump_all(const struct node *node, const char *app, struct parts *parts,
		    struct error *err)
{
	if (find_parts(node, app, parts, err) == -1)
		return -1;
	for (size_t i = 0; i < parts->n; i++)
		if (dump_one(node, app, &parts->v[i], err) == -1)
			return -1;
	return 0;
}

/* silver-service pack, as the app's runner. */
static int pack(const struct node *node, const char *app, const struct parts *parts, int out,
		struct error *err)
{
	struct proc_fd fds[PARTS + 1] = {{out, 3}};
	const char *words[2 * PARTS + 4] = {"pack", app};
	struct own_server_call call = {
		.words = words, .in = -1, .fds = fds, .n_fds = parts->n + 1, .timeout_ms = -1};
	struct error none = ERROR_INIT;
	autofree char *number = NULL;
	unsigned release = 0;
	size_t n = 2;

	if (launch_current(node, app, &release, &none) == -1)
		release = 0;
	number = xasprintf("%u", release);
	words[n++] = number;
	for (size_t i = 0; i < parts->n; i++) {
		fds[i + 1] = (struct proc_fd){parts->v[i].fd, 4 + (int)i};
		words[n++] = parts->v[i].service->record;
		words[n++] = parts->v[i].server;
	}
	words[n] = NULL;
	if (runner_find(node, app, &call.user, err) == -1)
		return -1;
	return own_server_call(node, &call, err);
}

/* The directory of what is kept */

/* As the runner's: it can read all of that anyway. */
static int give_to_runner(const struct node *node, const char *app, int fd, struct error *err)
{
	struct runner runner;

	if (geteuid() != 0)
		return 0;
	if (runner_find(node, app, &runner, err) == -1)
		return -1;
	return fchown(fd, runner.uid, runner.gid) == -1
		       ? error_sys(err, errno, "cannot give the backup to the app's user")
		       : 0;
}

static int open_backups(const struct node *node, const char *app, int *out, struct error *err)
{
	autofree char *path = xasprintf("data/%s", app);
	autoclose int data_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, path, &data_fd, err) == -1 ||
	    fs_ensure_dir(data_fd, "backups", 0750, &fd, err) == -1 ||
	    give_to_runner(node, app, fd, err) == -1 || fs_sync(data_fd, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

static int check_name(const char *name, struct error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._";
	autofree char *shown = name_printable(name);

	if (*name && *name != '.' && *name != '-' && strlen(name) <= NAME_MAX_BYTES &&
	    strspn(name, plain) == strlen(name) && str_ends(name, ENDING))
		return 0;
	return error_set(
		err, E_USAGE,
		"'%s' is no name of a backup: letters, digits, '-', '.' and '_', and '" ENDING
		"' at the end",
		shown);
}

static char *name_by_time(void)
{
	time_t now = (time_t)(clock_utc_ms() / 1000);
	struct tm tm;
	char text[32];

	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	return xasprintf("%s" ENDING, text);
}

/* One at a time: whoever has the directory's lock may remove what one that was cut off left. */
static int begin_writing(int dir_fd, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (flock(dir_fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK
			       ? error_set(err, E_BUSY,
					   "another backup of this app is being written")
			       : error_sys(err, errno, "cannot lock the backups");
	if (fs_list(dir_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new") &&
		    fs_unlink(dir_fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

static int write_file(const struct node *node, const char *app, const struct parts *parts,
		      int dir_fd, const char *name, struct error *err)
{
	autofree char *fresh = xasprintf(".%s.new", name);
	autoclose int fd = -1;

	if (fs_open(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL, 0640, &fd, err) == -1 ||
	    give_to_runner(node, app, fd, err) == -1)
		return -1;
	if (pack(node, app, parts, fd, err) == -1 || fs_sync(fd, err) == -1) {
		struct error left = ERROR_INIT;

		if (fs_unlink(dir_fd, fresh, &left) == -1)
			tell("%s", left.text);
		return -1;
	}
	return fs_rename_sync(dir_fd, fresh, dir_fd, name, err);
}

static int keep(const struct node *node, const char *app, const struct parts *parts,
		const char *name, struct error *err)
{
	autoclose int dir_fd = -1;

	if (open_backups(node, app, &dir_fd, err) == -1 || begin_writing(dir_fd, err) == -1)
		return -1;
	if (write_file(node, app, parts, dir_fd, name, err) == -1)
		return error_prefix(err, "writing '%s'", name);
	return 0;
}

int backup_take(const struct node *node, const char *app, const char *name, struct error *err)
{
	autoparts struct parts parts = {.n = 0};
	autofree char *by_time = name_by_time();
	bool to_stdout = name && strcmp(name, "-") == 0;

	if (!name)
		name = by_time;
	if (name_check_app(app, err) == -1 || (!to_stdout && check_name(name, err) == -1) ||
	    dump_all(node, app, &parts, err) == -1)
		return -1;
	if (to_stdout)
		return pack(node, app, &parts, STDOUT_FILENO, err);
	if (keep(node, app, &parts, name, err) == -1)
		return -1;
	printf("%s/data/%s/backups/%s\n", node->dir, app, name);
	return 0;
}

int backup_list(const struct node *node, const char *app, struct error *err)
{
	autofree char *path = xasprintf("data/%s/backups", app);
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (name_check_app(app, err) == -1)
		return -1;
	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct error bad = ERROR_INIT;
		struct stat st;

		if (check_name(names.v[i], &bad) == 0 &&
		    fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			printf("%-40s %lld bytes\n", names.v[i], (long long)st.st_size);
	}
	return 0;
}

/* Restore */

static int spool_input(const struct node *node, int *out, struct error *err)
{
	autofree char *buf = xmalloc(CHUNK);
	autoclose int fd = -1;
	ssize_t n;

	if (make_spool(node, &fd, err) == -1)
		return -1;
	while ((n = read(STDIN_FILENO, buf, CHUNK)) > 0)
		if (fs_write_all(fd, buf, (size_t)n, err) == -1)
			return -1;
	if (n == -1)
		return error_sys(err, errno, "cannot read the archive");
	*out = steal_fd(&fd);
	return 0;
}

static int open_archive(const struct node *node, const char *app, const char *name, int *out,
			struct error *err)
{
	autofree char *path = xasprintf("data/%s/backups/%s", app, name);
	struct stat st;

	if (strcmp(name, "-") == 0)
		return spool_input(node, out, err);
	if (check_name(name, err) == -1)
		return -1;
	if (fs_open(node->fd, path, O_RDONLY | O_NONBLOCK, 0, out, err) == -1)
		return err->code == E_NOTFOUND
			       ? error_set(err, E_NOTFOUND,
					   "'%s' has no backup '%s': `silver backup %s --list`",
					   app, name, app)
			       : -1;
	if (fstat(*out, &st) == -1 || !S_ISREG(st.st_mode))
		return error_set(err, E_REFUSED, "'%s' is no file", name);
	return 0;
}

/* silver-service unpack, as the app's runner: what it parses may come from anybody. take NULL: the
 * whole archive is looked at, and *answer is what it holds. */
static int unpack(const struct node *node, const char *app, int archive_fd, const char *take,
		  int take_fd, struct strbuf *answer, struct error *err)
{
	const char *const words[] = {"unpack", app, take, NULL};
	const struct proc_fd fds[] = {{archive_fd, 3}, {take_fd, 4}};
	struct own_server_call call = {.words = words,
				       .in = -1,
				       .fds = fds,
				       .n_fds = take ? 2 : 1,
				       .answer = answer,
				       .timeout_ms = -1};

	if (runner_find(node, app, &call.user, err) == -1)
		return -1;
	return own_server_call(node, &call, err);
}

/* "NAME VALUE": an app that has postgresql cannot hold what postgis did. */
static int match_part(const struct node *node, const char *app, const char *line, struct parts *has,
		      struct parts *wanted, struct error *err)
{
	autofree char *name = xstrndup(line, strcspn(line, " ")), *record = NULL;
	const char *value = line + strlen(name) + (line[strlen(name)] == ' ');
	const struct part *part = part_named(has, name);
	bool value_counts = strcmp(value, "postgis") == 0;
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (!part || wanted->n == PARTS)
		return error_set(err, E_REFUSED,
				 "the archive holds data of '%s', which '%s' does not have: write "
				 "'service.%s =' into app.ini and push",
				 name, app, strcmp(value, "-") ? value : name);
	record = xasprintf("apps/%s/services/%s", app, name);
	if (value_counts && (fs_read_file(node->fd, record, 1 << 20, &text, err) == -1 ||
			     strcmp(strbuf_str(&text) + (text.len > 0), value) != 0))
		return error_set(err, E_REFUSED,
				 "the archive holds data of '%s', and '%s' has '%s' without it: "
				 "write 'service.%s =' into app.ini and push",
				 value, app, name, value);
	wanted->v[wanted->n++] = (struct part){part->service, NULL, -1};
	return 0;
}

static int match_parts(const struct node *node, const char *app, const char *answer,
		       struct parts *wanted, struct error *err)
{
	autoparts struct parts has = {.n = 0};
	const char *line = answer + strcspn(answer, "\n");

	if (find_parts(node, app, &has, err) == -1)
		return -1;
	tell("the archive is whole: of %.*s", (int)strcspn(answer, "\n"), answer);
	while (*line == '\n' && line[1]) {
		autofree char *one = xstrndup(line + 1, strcspn(line + 1, "\n"));

		if (match_part(node, app, one, &has, wanted, err) == -1)
			return -1;
		line += 1 + strlen(one);
	}
	for (size_t i = 0; i < has.n; i++)
		if (!part_named(wanted, has.v[i].service->record))
			tell("%s: not in the archive, stays as it is", has.v[i].service->record);
	return 0;
}

/* An app at rest: nothing is pushed, nothing of it runs. */
struct rest {
	int lock_fd;
	unsigned release; /* that is live and has processes; 0: none */
};

static int begin_rest(const struct node *node, const char *app, const char *why, struct rest *rest,
		      struct error *err)
{
	struct error none = ERROR_INIT;
	autofree char *service = NULL;
	autoclose int app_fd = -1;

	*rest = (struct rest){-1, 0};
	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    fs_open(app_fd, "lock", O_RDWR, 0, &rest->lock_fd, err) == -1 ||
	    lock_take(rest->lock_fd, why, node->lock_wait_ms, err) == -1)
		return -1;
	if (launch_current(node, app, &rest->release, &none) == -1)
		rest->release = 0;
	service = xasprintf("run/service/%s.%u", app, rest->release);
	if (!fs_exists(node->fd, service)) /* static files need no process */
		rest->release = 0;
	return 0;
}

static int stop_app(const struct node *node, const char *app, struct error *err)
{
	return s6_stop_app(node, app, node->drain_ms, err);
}

/* Whatever happened meanwhile. Workers and clocks are started by the settle that follows. */
static int end_rest(const struct node *node, const char *app, struct rest *rest, int result,
		    struct error *err)
{
	struct error start = ERROR_INIT;

	if (rest->release && s6_start(node, app, rest->release, &start) == -1) {
		if (result == 0)
			error_set(err, start.code,
				  "the data are there, but release %u does not start: %s",
				  rest->release, start.text);
		else
			tell("release %u does not start: %s", rest->release, start.text);
		result = -1;
	}
	fd_close(&rest->lock_fd);
	return result;
}

static int put_part(const struct node *node, const char *app, struct part *part, struct error *err)
{
	int64_t start = clock_ms();

	if (rewind_fd(part->fd, err) == -1 ||
	    provide_data(node, app, part->service, "restore", part->fd, NULL, err) == -1)
		return error_prefix(err, "restoring '%s'", part->service->record);
	tell("%s: restored, %lld ms", part->service->record, (long long)(clock_ms() - start));
	return 0;
}

/* What it was, for the first n of the parts. */
static void put_back(const struct node *node, const char *app, const struct parts *wanted, size_t n,
		     struct parts *before)
{
	for (size_t i = 0; i < n; i++) {
		struct part *old = part_named(before, wanted->v[i].service->record);
		struct error lost = ERROR_INIT;

		tell("%s: putting back what was there", wanted->v[i].service->record);
		if (old && put_part(node, app, old, &lost) == -1)
			tell("%s\nsilver: what was there is in data/%s/backups/" BEFORE, lost.text,
			     app);
	}
}

static int put_all(const struct node *node, const char *app, int archive_fd, struct parts *wanted,
		   struct parts *before, struct error *err)
{
	for (size_t i = 0; i < wanted->n; i++) {
		struct part *part = &wanted->v[i];

		if (make_spool(node, &part->fd, err) == -1 ||
		    unpack(node, app, archive_fd, part->service->record, part->fd, NULL, err) ==
			    -1 ||
		    put_part(node, app, part, err) == -1) {
			put_back(node, app, wanted, i + 1, before);
			return -1;
		}
		fd_close(&part->fd);
	}
	return 0;
}

static int restore_at_rest(const struct node *node, const char *app, int archive_fd,
			   struct parts *wanted, struct error *err)
{
	autoparts struct parts before = {.n = 0};

	if (stop_app(node, app, err) == -1)
		return -1;
	tell("keeping what is there as " BEFORE);
	if (dump_all(node, app, &before, err) == -1 || keep(node, app, &before, BEFORE, err) == -1)
		return -1;
	return put_all(node, app, archive_fd, wanted, &before, err);
}

int backup_restore(const struct node *node, const char *app, const char *name, struct error *err)
{
	autoparts struct parts wanted = {.n = 0};
	autostrbuf struct strbuf answer = STRBUF_INIT;
	autoclose int archive_fd = -1;
	struct rest rest;
	int r;

	if (name_check_app(app, err) == -1 ||
	    open_archive(node, app, name, &archive_fd, err) == -1 ||
	    unpack(node, app, archive_fd, NULL, -1, &answer, err) == -1 ||
	    match_parts(node, app, strbuf_str(&answer), &wanted, err) == -1)
		return error_prefix(err, "nothing was changed");
	r = begin_rest(node, app, "silver restore", &rest, err);
	if (r == 0) {
		r = restore_at_rest(node, app, archive_fd, &wanted, err);
		r = end_rest(node, app, &rest, r, err);
	}
	fd_close(&rest.lock_fd);
	if (r == 0)
		printf("%s has the data of the archive; what it had is in data/%s/backups/" BEFORE
		       "\n",
		       app, app);
	return r;
}

/* Clear */

static int clear_at_rest(const struct node *node, const char *app, const char *service,
			 const struct parts *parts, struct error *err)
{
	if (stop_app(node, app, err) == -1)
		return -1;
	for (size_t i = 0; i < parts->n; i++) {
		const struct part *part = &parts->v[i];

		if (service && strcmp(part->service->record, service) != 0)
			continue;
		if (provide_data(node, app, part->service, "clear", -1, NULL, err) == -1)
			return error_prefix(err, "clearing '%s'", part->service->record);
		tell("%s: cleared", part->service->record);
	}
	return 0;
}

int backup_clear(const struct node *node, const char *app, const char *service, struct error *err)
{
	autoparts struct parts parts = {.n = 0};
	const struct service *row = service ? service_named(service) : NULL;
	struct rest rest;
	int r;

	if (name_check_app(app, err) == -1 || find_parts(node, app, &parts, err) == -1)
		return -1;
	if (service && (!row || !part_named(&parts, row->record)))
		return error_set(err, E_NOTFOUND, "'%s' has no service of that name", app);
	r = begin_rest(node, app, "silver clear", &rest, err);
	if (r == 0) {
		r = clear_at_rest(node, app, row ? row->record : NULL, &parts, err);
		r = end_rest(node, app, &rest, r, err);
	}
	fd_close(&rest.lock_fd);
	return r;
}
