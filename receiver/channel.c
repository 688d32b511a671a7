#include "receiver/channel.h"
#include <fcntl.h>
#include <unistd.h>
#include "common/log.h"
#include "common/names.h"
#include "common/wire.h"
#include "receiver/errand.h"
#include "runtime/location.h"

enum {
	ERRAND_MS = 60000,
	SERVER_MS = 300000,
	DATA_MS = 86400000,
	RELEASE_MAX = 999999999,
	VALUE_MAX = 1000,
	PACKAGES_MAX = 300
};

struct question;

struct channel {
	struct loop *loop;
	const struct node *node;
	int fd;
	char app[APP_NAME_MAX + 1];
	bool may_ask;
	struct watch *watch; /* NULL while a request is being served: the next one waits in the
				socket; but of a TASK, whether the asker is still there */
	struct errand *errand;
	const struct question *asked; /* what the errand is for */
	void (*gone)(void *ctx);
	void *ctx;
};

/* One row is one request: what its words must be, and how long it may take. */
struct question {
	const char *name;
	enum { RELEASE, WORKERS, TASK, LOCATION, SERVICE, GIVEN, PACKAGES, KEEP, UNDO } takes;
	/* RELEASE: N; WORKERS: N WORD..., which silver-root checks: once begun it is done, whether
	 * or not somebody waits for the answer; TASK: N WORD..., a command whose output goes to the
	 * asker's pipe; SERVICE: NAME VALUE; GIVEN: NAME; PACKAGES: VERB NAME..., and a pipe as for
	 * TASK; KEEP: N, and as long as the data are large; UNDO: a word, the same */
	bool drains; /* takes drain_ms more than ERRAND_MS */
};

static const struct question questions[] = {
	{"start", RELEASE, false},     {"only", RELEASE, true},    {"stop", RELEASE, true},
	{"locate", LOCATION, false},   {"task", TASK, false},      {"provision", SERVICE, false},
	{"packages", PACKAGES, false}, {"workers", WORKERS, true}, {"renew", GIVEN, false},
	{"retire", GIVEN, false},      {"checkpoint", KEEP, true}, {"undo", UNDO, true},
};

/* `force`: the node stops. */
static void give_up_errand(struct channel *c, bool force)
{
	if (c->errand && c->asked->takes == WORKERS && !force)
		errand_leave(&c->errand);
	else
		errand_end(&c->errand);
}

void channel_drop(struct channel *c)
{
	loop_unwatch(&c->watch);
	give_up_errand(c, false);
	fd_close(&c->fd);
	c->gone(c->ctx);
	free(c);
}

static void answer_error(struct channel *c, enum error_code code, const char *text)
{
	autofree char *number = xasprintf("%d", code);
	struct error err = ERROR_INIT;

	log_line("%s: %s", c->app, text);
	if (WIRE_SEND(c->fd, &err, "error", number, text) == -1)
		log_line("%s: no answer: %s", c->app, err.text);
}

static void on_request(void *ctx);

static void errand_done(void *ctx, int status, const char *text)
{
	struct channel *c = ctx;
	struct error err = ERROR_INIT;

	loop_unwatch(&c->watch);
	if (status != 0)
		answer_error(c, c->asked->takes == TASK ? E_REFUSED : error_code_from(status),
			     text);
	else if (WIRE_SEND(c->fd, &err, "ok") == -1)
		log_line("%s: no answer: %s", c->app, err.text);
	c->watch = loop_watch(c->loop, c->fd, EPOLLIN, on_request, c);
}

static const struct question *question_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		if (!strcmp(questions[i].name, name))
			return &questions[i];
	return NULL;
}

/* What a service is called, and takes, is silver-root's to check. */
static int check_service(const struct wire_message *m, struct error *err)
{
	if (strlen(m->word[2]) > VALUE_MAX)
		return error_set(err, E_USAGE, "the value is longer than %d bytes", VALUE_MAX);
	return name_check_service(m->word[1], err);
}

static int check_packages(const struct wire_message *m, struct error *err)
{
	if (strcmp(m->word[1], "simulate") != 0 && strcmp(m->word[1], "install") != 0)
		return error_set(err, E_USAGE, "packages are simulated, or installed");
	if (m->n > PACKAGES_MAX)
		return error_set(err, E_REFUSED, "more than %d packages", PACKAGES_MAX);
	for (size_t i = 2; i < m->n; i++)
		if (!name_is_package(m->word[i]))
			return error_set(err, E_USAGE, "a package whose name is none");
	return 0;
}

static int check_request(const struct channel *c, const struct question *q,
			 const struct wire_message *m, struct error *err)
{
	autolocation struct location location = {0};
	uint64_t release;

	if (!c->may_ask)
		return error_set(err, E_DENIED, "'%s' is not for a program that changes nothing",
				 q->name);
	if (q->takes == SERVICE)
		return check_service(m, err);
	if (q->takes == GIVEN || q->takes == UNDO)
		return name_check_service(m->word[1], err);
	if (q->takes == PACKAGES)
		return check_packages(m, err);
	if (q->takes == LOCATION)
		return location_parse(m->word[1], &location, err);
	if (!str_to_uint(m->word[1], RELEASE_MAX, &release) || !release)
		return error_set(err, E_USAGE, "'%s' of a release that is no number", q->name);
	return 0;
}

static int start_root(struct channel *c, const struct question *q, const struct wire_message *m,
		      struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	struct errand_order order = {
		.program = "silver-root",
		.output_fd = -1,
		.deadline_ms = q->takes == KEEP || q->takes == UNDO ? DATA_MS
			       : q->takes == SERVICE || q->takes == GIVEN
				       ? SERVER_MS
				       : ERRAND_MS + (q->drains ? c->node->drain_ms : 0)};

	strv_add(&words, q->name);
	strv_add(&words, c->app);
	for (size_t i = 1; i < m->n; i++)
		strv_add(&words, m->word[i]);
	order.words = (const char *const *)words.v;
	order.n_words = words.n;
	return errand_start(c->loop, c->node, &c->errand, &order, errand_done, c, err);
}

/* `task` N WORD...: as `silver run` does it, but in release N. */
static int start_task(struct channel *c, const struct wire_message *m, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	struct errand_order order = {
		.program = "silver-exec", .output_fd = m->fd[0], .deadline_ms = c->node->task_ms};

	strv_add(&words, c->app);
	strv_add(&words, m->word[1]);
	strv_add(&words, "--");
	for (size_t i = 2; i < m->n; i++)
		strv_add(&words, m->word[i]);
	order.words = (const char *const *)words.v;
	order.n_words = words.n;
	return errand_start(c->loop, c->node, &c->errand, &order, errand_done, c, err);
}

/* `packages` VERB NAME...: on the machine, or without root in the node's own store. */
static int start_packages(struct channel *c, const struct wire_message *m, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	bool as_root = geteuid() == 0;
	struct errand_order order = {.program = as_root ? "silver-root" : "silver-packages",
				     .output_fd = m->fd[0],
				     .deadline_ms = 2 * c->node->packages.apt_ms +
						    c->node->packages.lock_ms + ERRAND_MS};

	for (size_t i = as_root ? 0 : 1; i < m->n; i++)
		strv_add(&words, m->word[i]);
	order.words = (const char *const *)words.v;
	order.n_words = words.n;
	return errand_start(c->loop, c->node, &c->errand, &order, errand_done, c, err);
}

static int start_question(struct channel *c, const struct question *q, const struct wire_message *m,
			  struct error *err)
{
	if (q->takes == PACKAGES)
		return start_packages(c, m, err);
	return q->takes == TASK ? start_task(c, m, err) : start_root(c, q, m, err);
}

static bool is_whole(const struct question *q, const struct wire_message *m)
{
	if (q->takes == TASK || q->takes == PACKAGES)
		return m->n >= 3 && m->n_fds == 1;
	if (q->takes == WORKERS)
		return m->n >= 2 && m->n_fds == 0;
	return m->n == (q->takes == SERVICE ? 3 : 2) && m->n_fds == 0;
}

/* A command of the app ends with the push that wanted it: what recovery does then, to the data too,
 * it would spoil. */
static void on_hangup(void *ctx)
{
	channel_drop(ctx);
}

static int serve(struct channel *c, const struct wire_message *m, struct error *err)
{
	const struct question *q = question_named(m->word[0]);

	if (!q || !is_whole(q, m))
		return error_set(err, E_USAGE, "a request that nobody knows");
	if (check_request(c, q, m, err) == -1 || start_question(c, q, m, err) == -1)
		return -1;
	c->asked = q;
	loop_unwatch(&c->watch);
	if (q->takes == TASK)
		c->watch = loop_watch(c->loop, c->fd, 0, on_hangup, c);
	return 0;
}

static void on_request(void *ctx)
{
	static struct wire_message message; /* large, and there is one thread */
	struct channel *c = ctx;
	struct error err = ERROR_INIT;
	int got = wire_recv(c->fd, &message, &err);

	if (got == -1 && err.code == E_BUSY)
		return;
	if (got == -1)
		log_line("%s: channel: %s", c->app, err.text);
	if (got != 1) {
		channel_drop(c);
		return;
	}
	if (serve(c, &message, &err) == -1)
		answer_error(c, err.code, err.text);
	wire_release(&message);
}

struct channel *channel_new(struct loop *loop, const struct node *node, int fd, const char *app,
			    bool may_ask, void (*gone)(void *ctx), void *ctx)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	fcntl(fd, F_SETFL, O_NONBLOCK);
	*c = (struct channel){
		.loop = loop, .node = node, .fd = fd, .may_ask = may_ask, .gone = gone, .ctx = ctx};
	snprintf(c->app, sizeof(c->app), "%s", app);
	c->watch = loop_watch(loop, fd, EPOLLIN, on_request, c);
	return c;
}

void channel_end_errand(struct channel *c, bool force)
{
	if (!c->errand)
		return;
	give_up_errand(c, force);
	loop_unwatch(&c->watch);
	c->watch = loop_watch(c->loop, c->fd, EPOLLIN, on_request, c);
}
