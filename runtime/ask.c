#include "runtime/ask.h"

#include "common/wire.h"

int ask_channel(int *fd, struct error *err)
{
	const char *text = getenv("SILVER_MONITOR_FD");
	uint64_t number;

	if (!text || !str_to_uint(text, INT32_MAX, &number))
		return error_set(err, E_SYSTEM,
				 "there is no channel to silverd (SILVER_MONITOR_FD)");
	*fd = (int)number;
	return 0;
}

/* `ok`, or `error` CODE TEXT, whose code and text become ours. */
static int read_answer(const struct wire_message *m, struct error *err)
{
	uint64_t code;

	if (m->n == 1 && strcmp(m->word[0], "ok") == 0)
		return 0;
	if (m->n == 3 && strcmp(m->word[0], "error") == 0 && str_to_uint(m->word[1], 255, &code))
		return error_set(err, error_code_from((int)code), "%s", m->word[2]);
	return error_set(err, E_SYSTEM, "silverd gave an answer that is none");
}

/* verb and word: what was asked, for the words of an error. */
static int wait_for_answer(int fd, const char *verb, const char *word, struct error *err)
{
	static struct wire_message m; /* 64 kB: not for the stack */
	int got = wire_recv(fd, &m, err), rc;

	if (got == -1)
		return error_prefix(err, "asking silverd to %s %s", verb, word);
	if (got == 0)
		return error_set(err, E_SYSTEM, "silverd is gone; asked to %s %s", verb, word);
	rc = read_answer(&m, err);
	wire_release(&m);
	return rc;
}

static int ask(const char *verb, const char *word, struct error *err)
{
	int fd = -1;

	if (ask_channel(&fd, err) == -1)
		return -1;
	if (WIRE_SEND(fd, err, verb, word) == -1)
		return error_prefix(err, "asking silverd to %s %s", verb, word);
	return wait_for_answer(fd, verb, word, err);
}

int ask_task(unsigned release, const struct strv *words, int output_fd, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	int fd = -1;

	strv_add(&all, "task");
	strv_addf(&all, "%u", release);
	for (size_t i = 0; i < words->n; i++)
		strv_add(&all, words->v[i]);
	if (ask_channel(&fd, err) == -1 ||
	    wire_send(fd, (const char *const *)all.v, all.n, &output_fd, 1, err) == -1)
		return error_prefix(err, "asking silverd to run '%s'", words->v[0]);
	return 0;
}

int ask_task_answer(struct error *err)
{
	int fd = -1;

	if (ask_channel(&fd, err) == -1)
		return -1;
	return wait_for_answer(fd, "run", "a command", err);
}

int ask_packages(const char *verb, const struct strv *names, int output_fd, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	int fd = -1;

	strv_add(&all, "packages");
	strv_add(&all, verb);
	for (size_t i = 0; i < names->n; i++)
		strv_add(&all, names->v[i]);
	if (ask_channel(&fd, err) == -1 ||
	    wire_send(fd, (const char *const *)all.v, all.n, &output_fd, 1, err) == -1)
		return error_prefix(err, "asking silverd to see to packages");
	return 0;
}

int ask_packages_answer(struct error *err)
{
	int fd = -1;

	if (ask_channel(&fd, err) == -1)
		return -1;
	return wait_for_answer(fd, "see to", "packages", err);
}

static int ask_number(const char *verb, unsigned release, struct error *err)
{
	autofree char *number = xasprintf("%u", release);

	return ask(verb, number, err);
}

int ask_start(unsigned release, struct error *err)
{
	return ask_number("start", release, err);
}

int ask_only(unsigned release, struct error *err)
{
	return ask_number("only", release, err);
}

int ask_stop(unsigned release, struct error *err)
{
	return ask_number("stop", release, err);
}

int ask_workers(unsigned release, const struct strv *words, struct error *err)
{
	autofree char *number = xasprintf("%u", release);
	autostrv struct strv all = STRV_INIT;
	int fd = -1;

	strv_add(&all, "workers");
	strv_add(&all, number);
	for (size_t i = 0; i < words->n; i++)
		strv_add(&all, words->v[i]);
	if (ask_channel(&fd, err) == -1)
		return -1;
	if (wire_send(fd, (const char *const *)all.v, all.n, NULL, 0, err) == -1)
		return error_prefix(err, "asking silverd for the workers of release %u", release);
	return 0;
}

int ask_workers_answer(struct error *err)
{
	int fd = -1;

	if (ask_channel(&fd, err) == -1)
		return -1;
	return wait_for_answer(fd, "start", "workers", err);
}

int ask_locate(const char *host, struct error *err)
{
	return ask("locate", host, err);
}

int ask_provision(const char *service, const char *value, struct error *err)
{
	int fd = -1;

	if (ask_channel(&fd, err) == -1 || WIRE_SEND(fd, err, "provision", service, value) == -1)
		return error_prefix(err, "asking silverd for the service");
	return wait_for_answer(fd, "provide", service, err);
}

int ask_rotate(const char *service, struct error *err)
{
	return ask("renew", service, err);
}

int ask_retire(const char *service, struct error *err)
{
	return ask("retire", service, err);
}

int ask_checkpoint(unsigned release, struct error *err)
{
	return ask_number("checkpoint", release, err);
}

int ask_undo(const char *how, struct error *err)
{
	return ask("undo", how, err);
}
