/* channel.h - what the owner's programs ask of the monitor (docs/CONTRACT.md, "Channel"), one
 * request after the other.
 *
 * The app is implied: a program can ask for its own app and for no other. */
#pragma once
#include "common/node.h"
#include "receiver/loop.h"

struct channel;
/* Takes fd. `gone` is called once, when nobody holds the other end; the channel is freed then.
 * Without `may_ask` every request is answered with E_DENIED. */
struct channel *channel_new(struct loop *loop, const struct node *node, int fd, const char *app,
			    bool may_ask, void (*gone)(void *ctx), void *ctx);
/* Ends the request that is being served, or lets it end where it must be done (`force`: not even
 * then); it gets no answer. */
void channel_end_errand(struct channel *channel, bool force);
/* Gives up the channel while others hold it; `gone` is called. */
void channel_drop(struct channel *channel);
