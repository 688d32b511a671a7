/* renewal.h - the clock of the certificates: a look each hour at which of them are due.
 *
 * The first is some minutes after the start, so that the nodes of one power cut do not all ask at
 * once. What is due, and when a failure is tried again, silver-tls knows (receiver/tls.c). */
#pragma once
#include "common/node.h"
#include "receiver/loop.h"

/* Nothing on a node without an address for TLS. Goes on until the process ends. */
void renewal_start(struct loop *loop, const struct node *node);
