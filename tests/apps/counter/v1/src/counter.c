/* An HTTP server of one thread on the socket that it inherits: counts what it answered. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "version.h"

static volatile sig_atomic_t ending;

static void end(int sig)
{
	(void)sig;
	ending = 1;
}

static void answer(int fd, unsigned long count)
{
	char request[4096], body[512], head[256];
	size_t n = 0;

	while (n < sizeof(request) - 1) {
		ssize_t got = read(fd, request + n, sizeof(request) - 1 - n);

		if (got <= 0)
			return;
		n += (size_t)got;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	if (strncmp(request, "GET /crash ", 11) == 0)
		raise(SIGSEGV);
	snprintf(body, sizeof(body), "version %s of %s, release %s, answer %lu\n", VERSION,
		 getenv("SILVER_APP_NAME"), getenv("SILVER_RELEASE"), count);
	snprintf(head, sizeof(head),
		 "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
		 strlen(body));
	if (write(fd, head, strlen(head)) > 0 && write(fd, body, strlen(body)) > 0)
		shutdown(fd, SHUT_WR);
}

int main(void)
{
	const char *fds = getenv("LISTEN_FDS");
	struct sigaction on_term = {.sa_handler = end};
	unsigned long count = 0;

#ifdef DIES
	fprintf(stderr, "counter: no configuration, giving up\n");
	return 78;
#endif
	if (!fds || strcmp(fds, "1") != 0) {
		fprintf(stderr, "counter: no socket was handed over\n");
		return 1;
	}
	sigaction(SIGTERM, &on_term, NULL);
	signal(SIGPIPE, SIG_IGN);
	while (!ending) {
		struct pollfd p = {.fd = 3, .events = POLLIN};
		int fd;

		if (poll(&p, 1, 100) != 1 || (fd = accept(3, NULL, NULL)) == -1)
			continue;
		answer(fd, ++count);
		close(fd);
	}
	return 0;
}
