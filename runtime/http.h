/* http.h - one HTTP GET over a UNIX socket, bounded in time; for health checks, update_fetch and
 * the front.
 *
 * A release is told that a request is the node's own by the header X-Silver-Internal, which nginx
 * takes out of whatever comes from outside.
 *
 * It never blocks past its deadline, whatever the other side does, and looks away from the socket
 * at least every HTTP_TICK_MS to ask `give_up` (may be NULL) whether waiting still makes sense. */
#pragma once
#include "common/mem.h"

#define HTTP_TICK_MS 20

struct http_get {
	int dir_fd;         /* where the socket is */
	const char *socket; /* its name there */
	const char *host, *path;
	const char
		*internal;   /* what the request is for: "health", "update"; NULL: no such header */
	int64_t deadline_ms; /* on clock_ms() */
	bool (*give_up)(void *ctx);
	/* Gets the whole body as it comes, and http_get() waits for its end; NULL: a beginning will
	 * do. */
	void (*on_body)(void *ctx, const char *bytes, size_t len);
	void *ctx;
};

enum http_outcome {
	HTTP_ANSWERED,  /* status and head are set */
	HTTP_NO_SOCKET, /* nothing there, or nobody listens */
	HTTP_TIMEOUT,   /* silent until the deadline, or part of an answer */
	HTTP_GAVE_UP,   /* give_up said so */
	HTTP_GARBAGE,   /* what came, or its early end, is no answer: `line` says what */
};

struct http_answer {
	unsigned status;
	char line[160];  /* the status line, or words for what came instead; printable */
	char body[1024]; /* without on_body: its beginning, as far as it came with the head or
			    within HTTP_TICK_MS of it */
	size_t body_len;
};

enum http_outcome http_get(const struct http_get *get, struct http_answer *out);
