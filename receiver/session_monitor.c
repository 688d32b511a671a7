#include "receiver/session_monitor.h"

#include <limits.h>

static const char *word(const struct session_monitor *m, size_t i)
{
	return i < m->message.n ? m->message.word[i] : "";
}

static int take_fd(struct session_monitor *m, size_t i)
{
	return steal_fd(&m->message.fd[i]);
}

static int bad_message(struct session_monitor *m, struct error *err)
{
	error_set(err, E_SYSTEM, "the monitor's message '%.20s' is out of turn", word(m, 0));
	wire_release(&m->message);
	return -1;
}

static bool word_is_int(const struct session_monitor *m, size_t i, int *out)
{
	uint64_t n;

	if (!str_to_uint(word(m, i), INT_MAX, &n))
		return false;
	*out = (int)n;
	return true;
}

static int receive(struct session_monitor *m, struct error *err)
{
	int r = wire_recv(m->fd, &m->message, err);

	m->gone = r != 1;
	return r;
}

/* Sends, and receives the answer. */
static int ask(struct session_monitor *m, const char *const *words, size_t n, struct error *err)
{
	int r;

	if (wire_send(m->fd, words, n, NULL, 0, err) == -1)
		return -1;
	r = receive(m, err);
	if (r == 0)
		return error_set(err, E_SYSTEM, "the monitor is gone");
	return r == 1 ? 0 : -1;
}

int session_monitor_wait(struct session_monitor *m, struct session_serve *out, struct error *err)
{
	int r = receive(m, err);

	if (r != 1)
		return r;
	if (m->message.n != 5 || strcmp(word(m, 0), "serve") != 0 || m->message.n_fds != 1 ||
	    !word_is_int(m, 3, &out->grace_ms) || !word_is_int(m, 4, &out->idle_ms))
		return bad_message(m, err);
	out->peer = xstrdup(word(m, 1));
	out->host_key = xstrdup(word(m, 2));
	out->fd = take_fd(m, 0);
	return 1;
}

static int ask_about_key(struct session_monitor *m, const char *question, const char *key,
			 bool *yes, struct error *err)
{
	if (ask(m, (const char *const[]){question, key}, 2, err) == -1)
		return -1;
	*yes = strcmp(word(m, 0), "yes") == 0;
	if (m->message.n_fds != 0 || (!*yes && strcmp(word(m, 0), "no") != 0))
		return bad_message(m, err);
	return 0;
}

int session_monitor_knows(struct session_monitor *m, const char *key, bool *known,
			  struct error *err)
{
	return ask_about_key(m, "key", key, known, err);
}

int session_monitor_login(struct session_monitor *m, const char *key, bool *granted,
			  struct error *err)
{
	return ask_about_key(m, "login", key, granted, err);
}

int session_monitor_failed(struct session_monitor *m, const struct strv *fingerprints,
			   struct error *err)
{
	const char *words[WIRE_STRINGS] = {"failed"};
	size_t n = 1;

	for (size_t i = 0; i < fingerprints->n && n < WIRE_STRINGS; i++)
		words[n++] = fingerprints->v[i];
	return wire_send(m->fd, words, n, NULL, 0, err);
}

static int take_run(struct session_monitor *m, struct session_run *out, struct error *err)
{
	out->seal = strcmp(word(m, 1), "seal") == 0;
	out->drain = out->seal || strcmp(word(m, 1), "drain") == 0;
	out->patient = strcmp(word(m, 1), "stay") == 0;
	if (m->message.n != 2 ||
	    (!out->drain && !out->patient && strcmp(word(m, 1), "close") != 0) ||
	    (m->message.n_fds != 3 && m->message.n_fds != 1))
		return bad_message(m, err);
	out->accepted = true;
	out->pty = m->message.n_fds == 1;
	out->in = take_fd(m, 0);
	out->out = out->pty ? out->in : take_fd(m, 1);
	out->err = out->pty ? -1 : take_fd(m, 2);
	return 0;
}

int session_monitor_exec(struct session_monitor *m, const struct session_exec *exec,
			 struct session_run *out, struct error *err)
{
	autofree char *cols = xasprintf("%u", exec->cols);
	autofree char *rows = xasprintf("%u", exec->rows);
	const char *words[WIRE_STRINGS] = {"exec", exec->git_protocol, exec->term, cols, rows};
	size_t n = 5;

	for (size_t i = 0; i < exec->words->n && n < WIRE_STRINGS; i++)
		words[n++] = exec->words->v[i];
	*out = (struct session_run){.in = -1, .out = -1, .err = -1};
	if (ask(m, words, n, err) == -1)
		return -1;
	if (strcmp(word(m, 0), "run") == 0)
		return take_run(m, out, err);
	if (m->message.n != 3 || strcmp(word(m, 0), "no") != 0 || m->message.n_fds != 0 ||
	    !word_is_int(m, 1, &out->code))
		return bad_message(m, err);
	out->text = xstrdup(word(m, 2));
	return 0;
}

int session_monitor_exit(struct session_monitor *m, int *status, struct error *err)
{
	int r = receive(m, err);

	if (r != 1)
		return r;
	if (m->message.n != 2 || strcmp(word(m, 0), "exit") != 0 || m->message.n_fds != 0 ||
	    !word_is_int(m, 1, status))
		return bad_message(m, err);
	return 1;
}
