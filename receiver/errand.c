#include "receiver/errand.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include "common/proc.h"

enum { TEXT_MAX = 4096 };

struct errand {
	struct errand **slot;
	struct child *child;
	struct timer *deadline;
	int said_fd; /* its stderr: a file in memory, which never fills and needs no watching; -1:
			somebody else has its output */
	int deadline_ms;
	bool overdue;
	errand_fn fn;
	void *ctx;
};

static void errand_free(struct errand *e)
{
	*e->slot = NULL;
	loop_cancel(&e->deadline);
	fd_close(&e->said_fd);
	free(e);
}

/* What it said, as the text of an error: no "silver: " in front of the lines, no newline at the
 * end. */
static char *said(int fd)
{
	char text[TEXT_MAX + 1];
	struct strbuf s = STRBUF_INIT;
	ssize_t n = fd == -1 ? 0 : pread(fd, text, TEXT_MAX, 0);

	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");
		size_t skip = str_starts(at, "silver: ") ? strlen("silver: ") : 0;

		if (s.len)
			strbuf_addch(&s, '\n');
		strbuf_add(&s, at + skip, len - skip);
		at += len + (at[len] == '\n');
	}
	return strbuf_detach(&s);
}

/* How it ended, where it said nothing itself. The caller frees. */
static char *how_it_ended(const struct errand *e, int status)
{
	if (e->overdue)
		return xasprintf("did not end within %d s", e->deadline_ms / 1000);
	if (status > 128)
		return xasprintf("was ended by signal %d (%s)", status - 128,
				 strsignal(status - 128));
	return xasprintf("ended with status %d", status);
}

static void ended(void *ctx, int status)
{
	struct errand *e = ctx;
	autofree char *text = said(e->said_fd);
	errand_fn fn = e->fn;
	void *fn_ctx = e->ctx;

	if (status != 0 && !*text) {
		free(text);
		text = how_it_ended(e, status);
	}
	errand_free(e);
	fn(fn_ctx, status, text);
}

static void overdue(void *ctx)
{
	struct errand *e = ctx;

	e->overdue = true;
	child_signal(e->child, SIGKILL);
}

static int start(const struct node *node, const struct errand_order *order, int said_fd, pid_t *pid,
		 struct error *err)
{
	autofree char *program = proc_program(order->program);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = program,
				 .in = -1,
				 .out = order->output_fd,
				 .err = said_fd == -1 ? order->output_fd : said_fd,
				 .new_session = true};

	strv_add(&argv, order->program);
	strv_add(&argv, "--dir");
	strv_add(&argv, node->dir);
	for (size_t i = 0; i < order->n_words; i++)
		strv_add(&argv, order->words[i]);
	strv_add(&env, "PATH=" CHILD_PATH);
	strv_add(&env, "LANG=C.UTF-8");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	return proc_start(&spec, pid, err);
}

int errand_start(struct loop *loop, const struct node *node, struct errand **slot,
		 const struct errand_order *order, errand_fn fn, void *ctx, struct error *err)
{
	autoclose int said_fd = -1;
	struct errand *e;
	pid_t pid;

	if (order->output_fd == -1 && (said_fd = memfd_create(order->program, MFD_CLOEXEC)) == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (start(node, order, said_fd, &pid, err) == -1)
		return -1;
	e = xcalloc(1, sizeof(*e));
	*e = (struct errand){.slot = slot,
			     .said_fd = steal_fd(&said_fd),
			     .deadline_ms = order->deadline_ms,
			     .fn = fn,
			     .ctx = ctx};
	*slot = e;
	loop_child(loop, &e->child, pid, true, ended, e);
	loop_timer(loop, &e->deadline, order->deadline_ms, overdue, e);
	return 0;
}

void errand_end(struct errand **slot)
{
	struct errand *e = *slot;

	if (!e)
		return;
	child_signal(e->child, SIGTERM);
	child_forget(&e->child);
	errand_free(e);
}

void errand_leave(struct errand **slot)
{
	struct errand *e = *slot;

	if (!e)
		return;
	child_forget(&e->child);
	errand_free(e);
}
