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
/* nginx may pass through data/APP where the app has a writable_root there, for nginx to serve. */
MUST_CHECK int provision_let_front_in(const struct node *node, const char *app, struct error *err);
