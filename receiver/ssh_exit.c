#include "receiver/ssh_exit.h"

#include <libssh/server.h>
#include "common/proc.h"

#define SILENT_MS 5000 /* a client that gives no sign for so long is not waited for */

/* In raw mode (it asked for a pty) a terminal needs the carriage return too. */
static void add_lines(struct strbuf *s, const char *text, bool raw)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (!str_starts(text, "silver: "))
			strbuf_addstr(s, "silver: ");
		strbuf_add(s, text, len);
		strbuf_addstr(s, raw ? "\r\n" : "\n");
		text += len + (text[len] == '\n');
	}
}

void ssh_exit_tell(struct ssh_conn *c, const struct ssh_request *r, const char *text)
{
	int64_t deadline = clock_ms() + SILENT_MS;
	autostrbuf struct strbuf s = STRBUF_INIT;
	size_t at = 0;

	add_lines(&s, text, r->term[0] != '\0');
	while (at < s.len && !c->gone && !r->closed && clock_ms() < deadline) {
		int n = ssh_channel_write_stderr(r->channel, s.buf + at, (uint32_t)(s.len - at));

		if (n < 0)
			return;
		at += (size_t)n;
		if (at < s.len) /* no window, or a re-key */
			ssh_conn_wait(c, (int)(deadline - clock_ms()));
	}
}

void ssh_exit_send(struct ssh_conn *c, const struct ssh_request *r, int status, int max_ms)
{
	int64_t end = clock_ms() + max_ms, silent = clock_ms() + SILENT_MS;

	if (c->gone || r->closed)
		return;
	(void)ssh_channel_request_send_exit_status(r->channel, status);
	(void)ssh_channel_send_eof(
		r->channel); /* by itself: ssh_channel_close() stops when it clogs */
	(void)ssh_channel_close(r->channel);
	while (!c->gone) {
		int64_t now = clock_ms();
		struct pollfd p = ssh_conn_pollfd(c);

		if (now >= end || now >= silent)
			break;
		if (poll(&p, 1, (int)((end < silent ? end : silent) - now)) <= 0)
			continue;
		silent = clock_ms() + SILENT_MS;
		ssh_conn_turn(c, p.revents);
	}
}
