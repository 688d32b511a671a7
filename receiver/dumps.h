/* dumps.h - what an app keeps in its services, as dumps, and an archive of them; silver-root's
 * part.
 *
 * silver-service, never root, makes and reads the dumps and the archive (services/archive.h); what
 * passes between the two is files without a name, which end with this process. */
#pragma once
#include "common/node.h"
#include "services/catalog.h"

#define DUMPS_MAX 16

/* A service of the app, and what it held or is to hold. */
struct dump {
	const struct service *service;
	char *server; /* that made the dump; NULL: not known */
	int fd;       /* the dump; -1: none */
	uint64_t bytes;
};

struct dumps {
	struct dump v[DUMPS_MAX];
	size_t n;
};
#define DUMPS_INIT                                                                                 \
	{                                                                                          \
		.n = 0                                                                             \
	}
#define autodumps __attribute__((cleanup(dumps_release)))
void dumps_release(struct dumps *d);

/* The services that the app has, by its records; nothing is dumped yet. */
MUST_CHECK int dumps_find(const struct node *node, const char *app, struct dumps *out,
			  struct error *err);
struct dump *dumps_named(struct dumps *d, const char *record); /* NULL: none */
/* What their servers say that they take, all together; a service that does not say counts as 0. */
uint64_t dumps_size(const struct node *node, const char *app, const struct dumps *d);
/* Each of them into a file of its own, told as it goes. */
MUST_CHECK int dumps_take(const struct node *node, const char *app, struct dumps *d,
			  struct error *err);
/* The archive of them, as the app's runner; out may be a pipe. */
MUST_CHECK int dumps_pack(const struct node *node, const char *app, const struct dumps *d, int out,
			  struct error *err);
/* Reads all of an archive, as the app's runner: what it parses may come from anybody. The dump of
 * the service `take` (NULL: none) goes to take_fd. *answer (may be NULL): "APP TIME", then
 * "SERVICE VALUE" lines. E_REFUSED: it is cut, damaged, or none. */
MUST_CHECK int dumps_unpack(const struct node *node, const char *app, int archive_fd,
			    const char *take, int take_fd, struct strbuf *answer,
			    struct error *err);
/* One of an archive takes the place of what the service holds. */
MUST_CHECK int dumps_put(const struct node *node, const char *app, int archive_fd,
			 const struct service *service, struct error *err);
/* A new file on the node's disk, without a name. */
MUST_CHECK int dumps_spool(const struct node *node, int *out, struct error *err);

/* A person waits: a line on stderr. */
void data_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
void data_tell_nothing(void); /* from now on: what we say is the reason of an error */
