/* devel.h - the node that `silver serve` makes on a developer's machine: DIR/devel.ini is there.
 *
 * Its section [environment] holds variables that count over those of every release. */
#pragma once
#include "common/node.h"

#define DEVEL_INI "devel.ini"

/* Puts them into *env, and "devel/" into SILVER_VERSION; nothing on any other node. E_REFUSED: a
 * name that is none. */
MUST_CHECK int devel_override(const struct node *node, struct strv *env, struct error *err);
