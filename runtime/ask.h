/* ask.h - what the owner's programs ask of the monitor over the channel they inherit.
 *
 * The app is implied by the channel (docs/CONTRACT.md, "Channel"). Each call waits for its answer;
 * an error keeps the code and text that the other side gave. Without a channel (SILVER_MONITOR_FD
 * unset): E_SYSTEM. */
#pragma once
#include "common/error.h"

MUST_CHECK int ask_start(unsigned release,
			 struct error *err); /* supervised on return, healthy or not */
MUST_CHECK int ask_only(unsigned release,
			struct error *err); /* all others drained and gone on return */
MUST_CHECK int ask_stop(unsigned release, struct error *err);   /* ended and gone on return */
MUST_CHECK int ask_locate(const char *host, struct error *err); /* E_REFUSED: another app has it */
