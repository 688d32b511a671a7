/* app.h - one app on this node, as its owner's programs see it: opened once from the environment of
 * docs/CONTRACT.md. */
#pragma once
#include "buildless/account.h"
#include "common/node.h"

struct app {
	struct node node;
	char name[32];
	int fd;          /* apps/APP */
	int lock_fd;     /* inherited */
	char *user;      /* who asks */
	char *repo_path; /* absolute */
	char *host; /* canonical host name: APP.DOMAIN, or the shortest of hosts/ that leads here */
	int64_t start_ms;       /* clock_ms() when the request arrived */
	struct account account; /* begun then */
};

MUST_CHECK int app_open_from_environment(struct app *app, struct error *err);
void app_release(struct app *app);
