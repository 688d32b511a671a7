#include "runtime/http.h"

#include <errno.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/names.h"
#include "common/proc.h"

#define HEAD_MAX 16384

struct exchange {
	const struct http_get *get;
	struct http_answer *out;
	struct strbuf in;
	int fd;
};

/* Waits for `events` in ticks; HTTP_ANSWERED: ready. */
static enum http_outcome wait_for(const struct exchange *x, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = x->fd, .events = events};
		int64_t left = deadline - clock_ms();

		if (left <= 0)
			return HTTP_TIMEOUT;
		if (x->get->give_up && x->get->give_up(x->get->ctx))
			return HTTP_GAVE_UP;
		if (poll(&p, 1, left < HTTP_TICK_MS ? (int)left : HTTP_TICK_MS) > 0)
			return HTTP_ANSWERED;
	}
}

/* The way through /proc keeps sun_path short wherever the directory is. */
static enum http_outcome connect_to(struct exchange *x)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
			 x->get->dir_fd, x->get->socket);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return HTTP_NO_SOCKET;
	x->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->fd == -1)
		return HTTP_NO_SOCKET;
	/* EAGAIN is a full backlog: busy, and to be asked again like one that is not there yet */
	return connect(x->fd, (const struct sockaddr *)&address, sizeof(address)) == -1
		       ? HTTP_NO_SOCKET
		       : HTTP_ANSWERED;
}

static enum http_outcome send_request(const struct exchange *x)
{
	const struct http_get *get = x->get;
	/* HTTP/1.0 where the whole body is wanted: it comes as it is, not in chunks */
	autofree char *request =
		xasprintf("GET %s HTTP/1.%c\r\nHost: %s\r\nUser-Agent: silver\r\n"
			  "Accept: */*\r\n%s%s%sConnection: close\r\n\r\n",
			  get->path, get->on_body ? '0' : '1', get->host,
			  get->internal ? "X-Forwarded-For: 127.0.0.1\r\nX-Silver-Internal: " : "",
			  get->internal ? get->internal : "", get->internal ? "\r\n" : "");
	size_t len = strlen(request), done = 0;

	while (done < len) {
		ssize_t n = send(x->fd, request + done, len - done, MSG_NOSIGNAL);
		enum http_outcome wait;

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return HTTP_NO_SOCKET;
		wait = wait_for(x, POLLOUT, x->get->deadline_ms);
		if (wait != HTTP_ANSWERED)
			return wait;
	}
	return HTTP_ANSWERED;
}

/* One read into x->in. HTTP_GARBAGE: the other side has closed or reset. */
static enum http_outcome receive(struct exchange *x, int64_t deadline)
{
	char chunk[4096];
	enum http_outcome wait = wait_for(x, POLLIN, deadline);
	ssize_t n;

	if (wait != HTTP_ANSWERED)
		return wait;
	n = read(x->fd, chunk, sizeof(chunk));
	if (n > 0)
		strbuf_add(&x->in, chunk, (size_t)n);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return HTTP_ANSWERED;
	return n > 0 ? HTTP_ANSWERED : HTTP_GARBAGE;
}

static void set_line(struct http_answer *out, const char *prefix, const char *bytes, size_t len)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	strbuf_addstr(&s, prefix);
	name_add_printable(&s, bytes, len < 80 ? len : 80);
	snprintf(out->line, sizeof(out->line), "%s", strbuf_str(&s));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x NNN" at the beginning of a head. */
static bool parse_status(const char *head, struct http_answer *out)
{
	size_t line_len = strcspn(head, "\r\n");

	if (!str_starts(head, "HTTP/1.") || line_len < 12 || !is_digit(head[7]) || head[8] != ' ')
		return false;
	if (!is_digit(head[9]) || !is_digit(head[10]) || !is_digit(head[11]))
		return false;
	out->status = (unsigned)(head[9] - '0') * 100 + (unsigned)(head[10] - '0') * 10 +
		      (unsigned)(head[11] - '0');
	set_line(out, "", head + 9, line_len - 9);
	return true;
}

/* Length of the head with its empty line, 0 if it is not whole yet. */
static size_t head_length(const struct strbuf *in)
{
	const char *end = in->len ? memmem(in->buf, in->len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - in->buf) + 4 : 0;
}

static enum http_outcome garbage(struct exchange *x)
{
	if (x->in.len == 0)
		set_line(x->out, "it closed the connection without an answer", "", 0);
	else if (str_starts(x->in.buf, "HTTP/1."))
		set_line(x->out, "an answer that breaks off: ", x->in.buf,
			 strcspn(x->in.buf, "\r\n"));
	else
		set_line(x->out, "no HTTP: ", x->in.buf, x->in.len);
	return HTTP_GARBAGE;
}

/* Up to the end of the final head; informational ones (1xx) before it are skipped. */
static enum http_outcome read_head(struct exchange *x, size_t *head_len)
{
	for (;;) {
		enum http_outcome got;

		while ((*head_len = head_length(&x->in)) > 0) {
			if (!parse_status(x->in.buf, x->out))
				return garbage(x);
			if (x->out->status >= 200)
				return HTTP_ANSWERED;
			x->in.len -= *head_len;
			memmove(x->in.buf, x->in.buf + *head_len, x->in.len + 1);
		}
		if (x->in.len > HEAD_MAX)
			return garbage(x);
		got = receive(x, x->get->deadline_ms);
		if (got == HTTP_GARBAGE)
			return garbage(x);
		if (got != HTTP_ANSWERED)
			return got;
	}
}

static void read_body(struct exchange *x, size_t head_len)
{
	int64_t deadline = clock_ms() + HTTP_TICK_MS;
	size_t n;

	while (x->in.len - head_len < sizeof(x->out->body) - 1)
		if (receive(x, deadline) != HTTP_ANSWERED)
			break;
	n = x->in.len - head_len;
	x->out->body_len = n < sizeof(x->out->body) - 1 ? n : sizeof(x->out->body) - 1;
	memcpy(x->out->body, x->in.buf + head_len, x->out->body_len);
	x->out->body[x->out->body_len] = '\0';
}

/* The value of Content-Length in a head; INT64_MAX: none, the body ends with the connection. */
static int64_t content_length(const char *head, size_t head_len)
{
	static const char name[] = "content-length:";

	for (const char *line = head; line < head + head_len;) {
		const char *end = memchr(line, '\n', (size_t)(head + head_len - line));

		if (!end)
			break;
		if (strncasecmp(line, name, sizeof(name) - 1) == 0)
			return strtoll(line + sizeof(name) - 1, NULL, 10);
		line = end + 1;
	}
	return INT64_MAX;
}

static enum http_outcome stream_body(struct exchange *x, size_t head_len)
{
	int64_t left = content_length(x->in.buf, head_len);

	x->in.len -= head_len;
	memmove(x->in.buf, x->in.buf + head_len, x->in.len + 1);
	for (;;) {
		enum http_outcome got;

		x->get->on_body(x->get->ctx, strbuf_str(&x->in), x->in.len);
		left -= (int64_t)x->in.len;
		strbuf_reset(&x->in);
		if (left <= 0)
			return HTTP_ANSWERED;
		got = receive(x, x->get->deadline_ms);
		if (got == HTTP_GARBAGE) /* the end; one that comes too early counts as one */
			return HTTP_ANSWERED;
		if (got != HTTP_ANSWERED)
			return got;
	}
}

enum http_outcome http_get(const struct http_get *get, struct http_answer *out)
{
	struct exchange x = {.get = get, .out = out, .in = STRBUF_INIT, .fd = -1};
	size_t head_len = 0;
	enum http_outcome outcome;

	memset(out, 0, sizeof(*out));
	outcome = connect_to(&x);
	if (outcome == HTTP_ANSWERED)
		outcome = send_request(&x);
	if (outcome == HTTP_ANSWERED)
		outcome = read_head(&x, &head_len);
	if (outcome == HTTP_ANSWERED && get->on_body)
		outcome = stream_body(&x, head_len);
	else if (outcome == HTTP_ANSWERED)
		read_body(&x, head_len);
	fd_close(&x.fd);
	strbuf_release(&x.in);
	return outcome;
}
