/* provision.h - what exists for a node and for an app before anything runs: users, directories,
 * locations.
 *
 * Called by silver-root only, one short process per call. When it is root every app gets an owner
 * and a runner of its own (accounts.h); else all belongs to who calls. Every call may be
 * interrupted anywhere and repeated. */
#pragma once
#include "common/node.h"

/* The directories of a node and, as root, the users silver-session and silver-web; what interrupted
 * calls for an app left is gone. E_REFUSED: as root in a directory that other users cannot pass. */
MUST_CHECK int provision_node(const struct node *node, struct error *err);
/* apps/APP with an empty repository, data/APP, log/APP and hosts/APP.DOMAIN; repairs what is
 * missing. E_REFUSED: another app has that host. */
MUST_CHECK int provision_create(const struct node *node, const char *app, struct error *err);
/* hosts/HOST leads to APP. E_REFUSED: another app has it. */
MUST_CHECK int provision_locate(const struct node *node, const char *app, const char *host,
				struct error *err);
/* The app that hosts/HOST leads to, or E_NOTFOUND. The caller frees. */
MUST_CHECK int provision_app_of_host(const struct node *node, const char *host, char **app,
				     struct error *err);
