/* intake.h - what a push may bring, by what is free on the node's disk. */
#pragma once
#include "common/node.h"

/* E_REFUSED, with numbers and what is live: not even the reserve (common/room.h) is whole, so
 * nothing is received; what takes space away (rollback, destroy) still finds that reserve. */
MUST_CHECK int intake_check(const struct node *node, const char *app, struct error *err);
/* receive.maxInputSize: max_push_bytes, or less where less is free. A pack that cannot fit is
 * refused while it comes, before it has filled the disk for everybody. */
uint64_t intake_limit_bytes(const struct node *node);
