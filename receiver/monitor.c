#include "receiver/monitor.h"
#include <errno.h>
#include <fcntl.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/wire.h"
#include "receiver/errand.h"
#include "receiver/intake.h"
#include "receiver/pipes.h"

enum { OFFERS_MAX = 64, CREATE_MS = 60000, SCREEN_MAX = 10000, KEY_MAX = 16384 };

enum state {
	UNKNOWN = 1 << 0,   /* may offer keys, and claim one */
	LOGGED_IN = 1 << 1, /* may ask for one thing */
	ASKED = 1 << 2,     /* waits for the answer, or for the end of its job */
	REFUSED = 1 << 3,   /* its one claim was wrong, or it gave up */
};

/* What was asked, kept while the app is being made. */
struct asked {
	struct request request;
	char *name; /* for the log: the verb and what it is about; no words that may be secret */
	char *git_protocol, *term;
	unsigned cols, rows;
	int64_t start_us;
	int given[3]; /* a local client's own */
};

struct client {
	struct monitor *m;
	unsigned number;
	bool local;
	int fd;
	struct watch *watch;
	enum state state;
	unsigned offers;
	char *peer;
	struct user user;
	struct asked asked;
	struct errand *creation;
	struct job *job;
	client_gone_fn gone;
	void *ctx;
};

struct monitor {
	struct loop *loop;
	const struct node *node;
	struct users *users;
	struct jobs *jobs;
};

struct monitor *monitor_new(struct loop *loop, const struct node *node, struct users *users,
			    struct jobs *jobs)
{
	struct monitor *m = xcalloc(1, sizeof(*m));

	*m = (struct monitor){loop, node, users, jobs};
	return m;
}

bool client_has_logged_in(const struct client *c)
{
	return c->state & (LOGGED_IN | ASKED);
}

bool client_has_job(const struct client *c)
{
	return c->job || c->creation;
}

void client_drop(struct client **slot)
{
	struct client *c = *slot;

	if (!c)
		return;
	*slot = NULL;
	loop_unwatch(&c->watch);
	fd_close(&c->fd);
	errand_end(&c->creation);
	job_leave(&c->job);
	request_release(&c->asked.request);
	free(c->asked.name);
	free(c->asked.git_protocol);
	free(c->asked.term);
	for (int i = 0; i < 3; i++)
		fd_close(&c->asked.given[i]);
	user_release(&c->user);
	free(c->peer);
	free(c);
}

static void client_end(struct client *c, bool broken)
{
	client_gone_fn gone = c->gone;
	void *ctx = c->ctx;

	client_drop(&c);
	gone(ctx, broken);
}

static void client_log(const struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void client_log(const struct client *c, const char *fmt, ...)
{
	autofree char *text = NULL;
	autostrbuf struct strbuf line = STRBUF_INIT;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	name_add_printable(&line, text, strlen(text));
	log_line("%s %u: %s%s%s", c->local ? "local" : "session", c->number,
		 c->user.name ? c->user.name : "", c->user.name ? ": " : "", strbuf_str(&line));
}

/* An answer that does not go out means that the client is gone or reads nothing; its end is noticed
 * by the loop. */
static void answered(const struct client *c, int result, const struct error *err)
{
	if (result == -1)
		client_log(c, "%s", err->text);
}

static void refuse(struct client *c, const struct error *why)
{
	autofree char *code = xasprintf("%d", why->code);
	struct error err = ERROR_INIT;

	client_log(c, "refused: %.*s", (int)strcspn(why->text, "\n"), why->text);
	answered(c, WIRE_SEND(c->fd, &err, "no", code, why->text), &err);
}

static int on_key(struct client *c, struct wire_message *m, struct error *err)
{
	bool known;

	if (++c->offers > OFFERS_MAX || strlen(m->word[1]) > KEY_MAX)
		return error_set(err, E_REFUSED, "too many keys");
	known = users_by_key(c->m->users, m->word[1], NULL) != NULL;
	return WIRE_SEND(c->fd, err, known ? "yes" : "no");
}

static int on_login(struct client *c, struct wire_message *m, struct error *err)
{
	const char *fingerprint = "";
	const struct user *user = users_by_key(c->m->users, m->word[1], &fingerprint);

	if (!user) {
		c->state = REFUSED; /* one claim, whatever came of it */
		client_log(c, "login with a key of nobody from %s", c->peer);
		return WIRE_SEND(c->fd, err, "no");
	}
	user_copy(&c->user, user);
	c->state = LOGGED_IN;
	client_log(c, "logged in from %s as %s%s%s", c->peer, role_name(user->role),
		   *fingerprint ? " with " : "", fingerprint);
	return WIRE_SEND(c->fd, err, "yes", user->name);
}

static int on_failed(struct client *c, struct wire_message *m, struct error *err)
{
	autostrbuf struct strbuf offered = STRBUF_INIT;

	(void)err;
	for (size_t i = 1; i < m->n && i <= 16; i++)
		strbuf_addf(&offered, " %.80s", m->word[i]);
	c->state = REFUSED;
	client_log(c, "no login from %s, offered:%s", c->peer,
		   offered.len ? strbuf_str(&offered) : " nothing");
	return 0;
}

static void job_ended(void *ctx, int status)
{
	struct client *c = ctx;
	autofree char *number = xasprintf("%d", status);
	struct error err = ERROR_INIT;

	client_log(c, "%s: status %d after %lld ms", c->asked.name, status,
		   (long long)((clock_us() - c->asked.start_us) / 1000));
	answered(c, WIRE_SEND(c->fd, &err, "exit", number), &err);
}

/* What the session does when its client vanishes, or is silent (docs/CONTRACT.md). */
static const char *mode_of(const struct command *command)
{
	if (command->flags & INPUT)
		return "seal";
	if (command->flags & DRAIN)
		return "drain";
	return command->flags & PATIENT ? "stay" : "close";
}

static int launch(struct client *c, struct error *err)
{
	struct asked *a = &c->asked;
	struct job_order order = {.request = &a->request,
				  .user = c->user.name,
				  .peer = c->peer,
				  .git_protocol = a->git_protocol,
				  .term = a->term,
				  .cols = a->cols,
				  .rows = a->rows,
				  .start_us = a->start_us,
				  .given = c->local ? a->given : NULL};
	struct job_ends ends = JOB_ENDS_INIT;
	const char *words[] = {"run", mode_of(a->request.command)};
	struct error lost = ERROR_INIT;

	if (job_start(c->m->jobs, &order, &ends, &c->job, job_ended, c, err) == -1)
		return -1;
	client_log(c, "%s", a->name);
	answered(c, wire_send(c->fd, words, 2, ends.fd, ends.n, &lost), &lost);
	job_ends_close(&ends);
	for (int i = 0; i < 3; i++)
		fd_close(&a->given[i]);
	return 0;
}

static void created(void *ctx, int status, const char *text)
{
	struct client *c = ctx;
	struct error err = ERROR_INIT;

	if (status != 0)
		error_set(&err, error_code_from(status), "%s", text);
	else if (launch(c, &err) == 0)
		return;
	refuse(c, &err);
}

/* An app that a push names and that is not there is made first. */
static int create_first(struct client *c, struct error *err)
{
	const char *const words[] = {"create", c->asked.request.app};
	const struct errand_order order = {.program = "silver-root",
					   .words = words,
					   .n_words = ARRAY_SIZE(words),
					   .output_fd = -1,
					   .deadline_ms = CREATE_MS};

	client_log(c, "creates app %s", c->asked.request.app);
	return errand_start(c->m->loop, c->m->node, &c->creation, &order, created, c, err);
}

/* An answer of our own, as if a program had printed it. A local client prints it itself: silverd
 * never writes to what may be a full pipe. */
static int tell(struct client *c, const char *text, struct error *err)
{
	int child[3] = {-1, -1, -1};
	struct job_ends ends = JOB_ENDS_INIT;
	int result;

	if (c->local)
		return WIRE_SEND(c->fd, err, "say", text) == 0 ? WIRE_SEND(c->fd, err, "exit", "0")
							       : -1;
	if (pipes_make(child, &ends, err) == -1)
		return -1;
	result = fs_write_all(child[1], text, strlen(text), err); /* a fresh pipe holds it */
	for (int i = 0; i < 3; i++)
		fd_close(&child[i]);
	if (result == 0)
		result = wire_send(c->fd, (const char *const[]){"run", "close"}, 2, ends.fd, ends.n,
				   err);
	job_ends_close(&ends);
	return result == 0 ? WIRE_SEND(c->fd, err, "exit", "0") : -1;
}

static int help(struct client *c, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (c->asked.request.words.n == 1) {
		if (command_help(&text, c->asked.request.words.v[0], err) == -1)
			return -1;
	} else {
		strbuf_addf(&text, "You are %s, with the role '%s'. You may:\n\n", c->user.name,
			    role_name(c->user.role));
		commands_help(&text, c->user.role, c->local);
		strbuf_addstr(&text, "\nand push to, fetch from and clone an app by its name.\n");
	}
	return tell(c, strbuf_str(&text), err);
}

/* What a verb would take away; the caller frees. */
static char *loss_of(const struct client *c)
{
	const struct node *node = c->m->node;
	const char *app = c->asked.request.app, *verb = c->asked.request.command->name;
	autofree char *path = xasprintf("apps/%s/releases", app);
	autostrv struct strv releases = STRV_INIT;
	autoclose int fd = -1;
	struct error ignored = ERROR_INIT;

	if (!strcmp(verb, "restore"))
		return xstrdup("would stop its processes for a while, and put the data of the "
			       "backup in place of what it has");
	if (!strcmp(verb, "clear"))
		return xstrdup("would stop its processes for a while, and remove the data of its "
			       "services for ever");
	if (fs_open_dir(node->fd, path, &fd, &ignored) == 0 && fs_list(fd, &releases, &ignored))
		releases.n = 0;
	return xasprintf("would end its processes and remove its repository, %zu releases, its "
			 "locations, its logs, and its data below %s/data/%s",
			 releases.n, node->dir, app);
}

/* What would be lost, and how to say that it is meant. */
static int ask_to_confirm(const struct client *c, struct error *err)
{
	const struct request *r = &c->asked.request;
	autofree char *loss = loss_of(c);
	autostrbuf struct strbuf words = STRBUF_INIT;

	for (size_t i = 0; i < r->words.n; i++) {
		strbuf_addch(&words, ' ');
		name_add_printable(&words, r->words.v[i], strlen(r->words.v[i]));
	}
	return error_set(err, E_REFUSED,
			 "nothing was changed: '%s %s' %s\nif that is meant: silver %s%s %s %s%s "
			 "--yes",
			 r->command->name, r->app, loss, c->local ? "--dir " : "--node ",
			 c->local ? c->m->node->dir : "HOST:PORT", r->command->name, r->app,
			 strbuf_str(&words));
}

static int do_asked(struct client *c, struct error *err)
{
	const struct request *r = &c->asked.request;
	autoclose int app_fd = -1;

	if (request_allow(r, &c->user, c->local, err) == -1)
		return -1;
	if (r->command->as == AS_NOBODY)
		return help(c, err);
	if ((r->command->flags & CREATES) && intake_check(c->m->node, r->app, err) == -1)
		return -1;
	if (r->app[0] && node_open_app(c->m->node, r->app, &app_fd, err) == -1) {
		if (err->code != E_NOTFOUND)
			return -1;
		if (r->command->flags & CREATES)
			return create_first(c, err);
		if (!(r->command->flags & MISSING_OK))
			return -1;
	}
	if ((r->command->flags & CONFIRM) && !request_has(r, "--yes"))
		return ask_to_confirm(c, err);
	return launch(c, err);
}

/* `apps` answers for the apps that the user may see. */
static void limit_apps(struct client *c)
{
	struct request *r = &c->asked.request;

	if (strcmp(r->command->name, "apps") != 0 || c->user.role == ROLE_ADMIN)
		return;
	for (size_t i = 0; i < c->user.apps.n; i++)
		strv_add(&r->words, c->user.apps.v[i]);
}

static bool only_of(const char *text, size_t max, const char *more)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		bool plain = (text[i] >= 'a' && text[i] <= 'z') ||
			     (text[i] >= 'A' && text[i] <= 'Z') ||
			     (text[i] >= '0' && text[i] <= '9');

		if (i >= max || (!plain && !strchr(more, text[i])))
			return false;
	}
	return true;
}

/* What goes into environments is dropped if it is not what such a value looks like. */
static void take_settings(struct asked *a, char *const *word)
{
	uint64_t n;

	a->git_protocol = xstrdup(only_of(word[1], 64, "=:.-") ? word[1] : "");
	a->term = xstrdup(only_of(word[2], 64, "+._-") ? word[2] : "dumb");
	a->cols = str_to_uint(word[3], SCREEN_MAX, &n) ? (unsigned)n : 80;
	a->rows = str_to_uint(word[4], SCREEN_MAX, &n) ? (unsigned)n : 24;
}

static int take_given(struct client *c, struct wire_message *m, struct error *err)
{
	if (m->n_fds != (c->local ? 3 : 0))
		return error_set(err, E_USAGE, "'exec' with %zu descriptors", m->n_fds);
	for (size_t i = 0; i < m->n_fds; i++)
		c->asked.given[i] = steal_fd(&m->fd[i]);
	return 0;
}

static char *name_of(const struct request *r)
{
	const char *what = r->app;

	if (!strcmp(r->command->name, "user") && r->words.n > 0)
		what = r->words.v[0];
	return xasprintf("%s%s%s", r->command->name, *what ? " " : "", what);
}

static int on_exec(struct client *c, struct wire_message *m, struct error *err)
{
	struct error why = ERROR_INIT;

	if (take_given(c, m, err) == -1)
		return -1;
	c->state = ASKED;
	c->asked.start_us = clock_us();
	take_settings(&c->asked, m->word);
	if (request_parse(&c->asked.request, m->word + 5, m->n - 5, &why) == 0) {
		c->asked.name = name_of(&c->asked.request);
		limit_apps(c);
		if (do_asked(c, &why) == 0)
			return 0;
	}
	refuse(c, &why);
	return 0;
}

/* The whole of what a client can say, and when. */
static const struct {
	const char *name;
	unsigned states;
	size_t min, max; /* words behind the name */
	int (*fn)(struct client *c, struct wire_message *m, struct error *err);
} messages[] = {
	{"key", UNKNOWN, 1, 1, on_key},
	{"login", UNKNOWN, 1, 1, on_login},
	{"failed", UNKNOWN | REFUSED, 0, WIRE_STRINGS, on_failed},
	{"exec", LOGGED_IN, 4, WIRE_STRINGS, on_exec},
};

static int on_words(struct client *c, struct wire_message *m, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		if (strcmp(messages[i].name, m->word[0]) != 0)
			continue;
		if (!(messages[i].states & c->state) || m->n - 1 < messages[i].min ||
		    m->n - 1 > messages[i].max)
			break;
		return messages[i].fn(c, m, err);
	}
	return error_set(err, E_REFUSED, "'%.40s' out of turn", m->word[0]);
}

static void on_message(void *ctx)
{
	static struct wire_message message; /* large, and there is one thread */
	struct client *c = ctx;
	struct error err = ERROR_INIT;
	int got = wire_recv(c->fd, &message, &err);
	bool broken = got == -1 && err.code != E_BUSY;

	if (got == 1) {
		broken = on_words(c, &message, &err) == -1;
		wire_release(&message);
	}
	if (broken)
		client_log(c, "ended: %s", err.text);
	if (broken || got == 0)
		client_end(c, broken);
}

static struct client *client_new(struct monitor *m, int fd, unsigned number, client_gone_fn gone,
				 void *ctx)
{
	struct client *c = xcalloc(1, sizeof(*c));

	fcntl(fd, F_SETFL, O_NONBLOCK);
	*c = (struct client){.m = m,
			     .number = number,
			     .fd = fd,
			     .state = UNKNOWN,
			     .asked.given = {-1, -1, -1},
			     .gone = gone,
			     .ctx = ctx};
	c->watch = loop_watch(m->loop, fd, EPOLLIN, on_message, c);
	return c;
}

struct client *monitor_add_session(struct monitor *m, int fd, unsigned number, const char *peer,
				   client_gone_fn gone, void *ctx)
{
	struct client *c = client_new(m, fd, number, gone, ctx);

	c->peer = xstrdup(peer);
	return c;
}

struct client *monitor_add_local(struct monitor *m, int fd, unsigned number, const char *user,
				 client_gone_fn gone, void *ctx)
{
	struct client *c = client_new(m, fd, number, gone, ctx);

	c->local = true;
	c->state = LOGGED_IN;
	c->peer = xstrdup("local");
	c->user.name = xstrdup(user);
	c->user.role = ROLE_ADMIN;
	return c;
}
