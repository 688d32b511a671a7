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
	char *host; /* canonical host name: the shortest that leads here (runtime/location.h) */
	char *path; /* where the app begins there: "" or "/blog" */
	int64_t start_ms;       /* clock_ms() when the request arrived */
	struct account account; /* begun then */
};

MUST_CHECK int app_open_from_environment(struct app *app, struct error *err);
/* `silver disable`: nginx answers for it (disable.c). */
#define APP_DISABLED "disabled"
bool app_is_disabled(const struct app *app);
/* Where people reach it. The caller frees. */
char *app_url(const struct app *app);
void app_release(struct app *app);
