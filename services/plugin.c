#include "services/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/json_read.h"
#include "common/names.h"
#include "common/proc.h"
#include "common/room.h"

#define SAID_MAX     600 /* the end of what it said that is shown */
#define KEY_MAX      64
#define VARIABLES    100
#define CHUNK        65536
#define ROOM_EACH    ((uint64_t)16 << 20) /* bytes of a dump between two looks at the disk */
#define LEFT_OVER_MS 200 /* for what is in the pipes when it has ended, and a child keeps them */

int plugin_check_file(int dir_fd, const char *name, struct error *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? error_set(err, E_NOTFOUND, "there is no '%s'", name)
				       : error_sys(err, errno, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, E_REFUSED,
				 "its program '%s' is no regular file (links are not followed)",
				 name);
	if (st.st_uid != 0 && st.st_uid != geteuid() && geteuid() == 0)
		return error_set(err, E_REFUSED,
				 "its program '%s' does not belong to root: "
				 "`chown root`",
				 name);
	if (st.st_mode & 022)
		return error_set(err, E_REFUSED,
				 "others than its owner may write its program '%s': `chmod go-w`",
				 name);
	if (st.st_mode & 07000)
		return error_set(err, E_REFUSED,
				 "its program '%s' is setuid, setgid or sticky: "
				 "`chmod 755`",
				 name);
	if ((st.st_mode & 0111) != 0111)
		return error_set(err, E_REFUSED, "its program '%s' is not executable: `chmod 755`",
				 name);
	return 0;
}

static int check_name(const char *name, struct error *err)
{
	if (name_check_service(name, err) == -1)
		return -1;
	if (strlen(name) <= PLUGIN_NAME_MAX)
		return 0;
	return error_set(err, E_USAGE, "the name of a plug-in has at most %d characters",
			 PLUGIN_NAME_MAX);
}

int plugin_find(const struct node *node, const char *name, struct error *err)
{
	autoclose int fd = -1;

	if (check_name(name, err) == -1) {
		err->code = E_NOTFOUND;
		return -1;
	}
	if (fs_open_dir(node->fd, PLUGIN_DIR, &fd, err) == -1)
		return -1;
	return plugin_check_file(fd, name, err);
}

int plugin_list(const struct node *node, struct strv *names, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, PLUGIN_DIR, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct error none = ERROR_INIT;

		if (check_name(all.v[i], &none) == 0)
			strv_add(names, all.v[i]);
	}
	return 0;
}

int plugin_check_value(const char *value, struct error *err)
{
	const unsigned char *p = (const unsigned char *)value;
	size_t left = strlen(value), n;

	if (left > PLUGIN_VALUE_MAX)
		return error_set(err, E_REFUSED, "its value has %zu bytes, and may have %d", left,
				 PLUGIN_VALUE_MAX);
	for (; left; p += n, left -= n) {
		n = utf8_length(p, left);
		if (n == 0 || *p < 0x20 || *p == 0x7f)
			return error_set(err, E_REFUSED,
					 "its value is not one line of printable UTF-8");
	}
	return 0;
}

/* A run */

struct running {
	const struct plugin_run *run;
	pid_t pid;
	int watch, out, said; /* a pidfd, and what it writes to */
	uint64_t bytes, looked;
	struct strbuf words;
};

/* The last words only. */
static void keep_words(struct strbuf *words, const char *bytes, size_t n)
{
	strbuf_add(words, bytes, n);
	if (words->len <= SAID_MAX)
		return;
	memmove(words->buf, words->buf + words->len - SAID_MAX, SAID_MAX);
	words->len = SAID_MAX;
	words->buf[words->len] = '\0';
}

static int check_room(struct running *r, struct error *err)
{
	struct room room;

	if (r->bytes < r->looked + ROOM_EACH)
		return 0;
	r->looked = r->bytes;
	if (room_read(r->run->out, &room, err) == -1)
		return -1;
	return room.bytes > ROOM_EACH ? 0
				      : error_set(err, E_REFUSED,
						  "its dump would fill the disk; it was ended "
						  "after %llu bytes",
						  (unsigned long long)r->bytes);
}

static int take_out(struct running *r, const char *bytes, size_t n, struct error *err)
{
	r->bytes += n;
	if (r->run->out != -1)
		return check_room(r, err) == -1 ? -1 : fs_write_all(r->run->out, bytes, n, err);
	if (r->bytes > PLUGIN_ANSWER_MAX)
		return error_set(err, E_REFUSED,
				 "it printed more than %zu bytes on standard output and was ended",
				 PLUGIN_ANSWER_MAX);
	strbuf_add(r->run->answer, bytes, n);
	return 0;
}

/* 0: this pipe is at its end, and closed. */
static int take(struct running *r, int *fd, struct error *err)
{
	char chunk[CHUNK];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0) {
		fd_close(fd);
		return 0;
	}
	if (fd == &r->said)
		keep_words(&r->words, chunk, (size_t)n);
	else if (take_out(r, chunk, (size_t)n, err) == -1)
		return -1;
	return 1;
}

/* Until it has ended and its pipes are empty, or the deadline has passed. */
static int attend(struct running *r, struct error *err)
{
	int64_t deadline = clock_ms() + r->run->timeout_ms;

	while (r->watch != -1 || r->out != -1 || r->said != -1) {
		struct pollfd p[] = {
			{r->watch, POLLIN, 0}, {r->out, POLLIN, 0}, {r->said, POLLIN, 0}};
		int64_t left = deadline - clock_ms();
		int n = poll(p, ARRAY_SIZE(p), left > 0 ? (int)left : 0);

		if (n == -1 && errno != EINTR)
			return error_sys(err, errno, "cannot wait for it");
		if (n == 0 || left <= 0) {
			if (r->watch == -1) /* a child that it left holds them */
				return 0;
			return error_set(err, E_REFUSED,
					 "it did not end within %d ms and was ended",
					 r->run->timeout_ms);
		}
		if (n == -1)
			continue;
		if (p[1].revents && take(r, &r->out, err) == -1)
			return -1;
		if (p[2].revents && take(r, &r->said, err) == -1)
			return -1;
		if (p[0].revents) {
			fd_close(&r->watch);
			deadline = clock_ms() + LEFT_OVER_MS;
		}
	}
	return 0;
}

static int start(struct running *r, struct error *err)
{
	const struct plugin_run *run = r->run;
	struct strv env = *run->env; /* strv_argv() wants one that it may change */
	autofree char *path = xstrdup(run->path), *verb = xstrdup(run->verb);
	char *const argv[] = {path, verb, NULL};
	int out[2], said[2];
	struct proc_spec spec = {.path = path,
				 .argv = argv,
				 .envp = strv_argv(&env),
				 .in = run->in,
				 .cwd = run->cwd,
				 .new_session = true,
				 .drop = run->drop,
				 .uid = run->uid,
				 .gid = run->gid};
	int started;

	if (pipe2(out, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	r->out = out[0];
	if (pipe2(said, O_CLOEXEC) == -1) {
		error_sys(err, errno, "cannot make a pipe");
		close(out[1]);
		return -1;
	}
	r->said = said[0];
	spec.out = out[1];
	spec.err = said[1];
	started = proc_start(&spec, &r->pid, err);
	close(out[1]);
	close(said[1]);
	if (started == -1) {
		err->code = E_REFUSED;
		return -1;
	}
	r->watch = pidfd_open(r->pid, 0);
	return r->watch == -1 ? error_sys(err, errno, "cannot watch it") : 0;
}

/* Its words, made printable, behind what is wrong. */
static int blame(const struct running *r, int status, struct error *err)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;
	size_t len = r->words.len;

	while (len && strchr("\n\r ", r->words.buf[len - 1]))
		len--;
	if (len)
		name_add_printable(&shown, r->words.buf, len);
	if (status >= 128 && status < 128 + SIGRTMIN)
		return error_set(err, E_REFUSED, "'%s' was killed by signal %d%s%s", r->run->verb,
				 status - 128, shown.len ? ": " : "", strbuf_str(&shown));
	return error_set(err, E_REFUSED, "'%s' ended with status %d: %s", r->run->verb, status,
			 shown.len ? shown.buf : "it says nothing on standard error");
}

int plugin_run(const struct plugin_run *run, struct error *err)
{
	struct running r = {.run = run, .pid = -1, .watch = -1, .out = -1, .said = -1};
	struct error late = ERROR_INIT;
	int status = 0, result = start(&r, err);

	if (result == 0)
		result = attend(&r, err);
	if (r.pid > 0) { /* a group has its number as long as anybody is in it */
		kill(-r.pid, SIGKILL);
		if (proc_wait(r.pid, -1, &status, &late) == -1 && result == 0)
			result = error_set(err, E_SYSTEM, "%s", late.text);
	}
	fd_close(&r.watch);
	fd_close(&r.out);
	fd_close(&r.said);
	if (run->status)
		*run->status = result == 0 ? status : -1;
	if (result == 0 && status != 0)
		result = blame(&r, status, err);
	else if (result == -1)
		error_prefix(err, "'%s'", run->verb);
	strbuf_release(&r.words);
	return result;
}

/* What it printed */

struct reading {
	struct strv *env;
	struct strbuf *facts;
	struct error problem;
};

static bool is_variable(const char *key)
{
	size_t len = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (key[len] || len > KEY_MAX)
		return false;
	return (str_starts(key, "CONFIG_") && len > strlen("CONFIG_")) ||
	       (str_ends(key, "_URL") && key[0] >= 'A' && key[0] <= 'Z');
}

static void take_variable(void *ctx, size_t object, const char *key, const char *value)
{
	struct reading *r = (struct reading *)ctx;
	autofree char *shown = name_printable(key);

	(void)object;
	if (r->problem.code)
		return;
	if (!is_variable(key))
		error_set(
			&r->problem, E_REFUSED,
			"'env': '%.80s' is no name of a variable: they are CONFIG_... or ..._URL, "
			"of A-Z, 0-9 and '_'",
			shown);
	else if (r->env->n == VARIABLES)
		error_set(&r->problem, E_REFUSED, "'env': more than %d variables", VARIABLES);
	else
		strv_addf(r->env, "%s=%s", key, value);
}

static void take_fact(void *ctx, size_t object, const char *key, const char *value)
{
	struct reading *r = (struct reading *)ctx;
	autofree char *name = name_printable(key), *text = name_printable(value);

	(void)object;
	strbuf_addf(r->facts, "%s %s\n", name, text);
}

static int read_object(const struct strbuf *answer, json_value_fn fn, struct reading *r,
		       struct error *err)
{
	size_t n = 0;

	if (json_read(strbuf_str(answer), answer->len, fn, r, &n, err) == -1) {
		err->code = E_REFUSED;
		return error_prefix(err, "what it printed is no JSON object");
	}
	if (n != 1)
		return error_set(err, E_REFUSED, "it printed %zu JSON objects, not one", n);
	if (r->problem.code)
		*err = r->problem;
	return r->problem.code ? -1 : 0;
}

int plugin_read_env(const struct strbuf *answer, struct strv *env, struct error *err)
{
	struct reading r = {.env = env, .problem = ERROR_INIT};

	return read_object(answer, take_variable, &r, err);
}

int plugin_read_facts(const struct strbuf *answer, struct strbuf *out, struct error *err)
{
	struct reading r = {.facts = out, .problem = ERROR_INIT};

	return read_object(answer, take_fact, &r, err);
}
