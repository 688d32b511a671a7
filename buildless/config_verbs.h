/* config_verbs.h - `silver config`: each change is a release of its own (docs/CONFIG.md). */
#pragma once
#include "buildless/verbs.h"

/* Before the app's lock is taken: words are checked, and what comes on standard input is read, so
 * that nobody waits for somebody who types. */
int config_read_set(struct verb_call *call, struct error *err);
int config_read_load(struct verb_call *call, struct error *err);
int config_read_put(struct verb_call *call, struct error *err);

int verb_config_set(struct verb_call *call, struct error *err);
int verb_config_unset(struct verb_call *call, struct error *err);
int verb_config_load(struct verb_call *call, struct error *err);
int verb_config_put(struct verb_call *call, struct error *err);
int verb_config_remove(struct verb_call *call, struct error *err);
int verb_config_revert(struct verb_call *call, struct error *err);
int verb_config_show(struct verb_call *call, struct error *err);
