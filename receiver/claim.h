/* claim.h - who makes an app or ends it is alone at that: what one of them writes below .APP.new,
 * data/APP and log/APP is what another would remove.
 *
 * A range of DIR/run/claims for each app's name (fcntl(2), F_OFD_SETLK), so nothing is left of it
 * and apps do not wait for each other. Below silver-root alone; taken before the app's own lock. */
#pragma once
#include "common/node.h"

/* Waits as long as an end of an app may take. *out holds the claim until it is closed: the
 * caller's. Not to be taken twice. E_BUSY: somebody else still has it. */
MUST_CHECK int claim_app(const struct node *node, const char *app, int *out, struct error *err);
