/* store.h - Debian packages without root: DIR/packages, where each has a directory of its own.
 *
 *	packages/NAME_VERSION_ARCH/	the files of one package; complete, on disk, never changed
 *	packages/.NAME_VERSION_ARCH.new	being unpacked; .gone: being deleted; do not count
 *	packages/lock			shared: held by whoever chose entries and has not recorded
 *them packages/apt/			apt's lists and cache of this node
 *
 * An entry belongs to the releases whose records name it; when none does, settling removes it. */
#pragma once
#include "buildless/app.h"

/* "NAME_VERSION_ARCH", the version's ':' as "%3a", which divides paths. The caller frees. */
char *store_entry_name(const char *name, const char *version, const char *arch);
bool store_is_entry(const char *name);
bool store_has(const struct node *node, const char *entry);
bool store_has_all(const struct node *node, const struct strv *entries);
/* From here to the end of the process nothing is removed from the store. */
MUST_CHECK int store_hold(const struct node *node, struct error *err);
/* Leads the variables of an environment (PATH, PYTHONPATH, LD_LIBRARY_PATH ...) to the entries. */
MUST_CHECK int store_compose(const struct node *node, const struct strv *entries, struct strv *env,
			     struct error *err);
/* Removes entries that no release of any app names. Somebody is at work: nothing happens. */
MUST_CHECK int store_prune(const struct node *node, struct error *err);
