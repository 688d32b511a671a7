/* install.h - asks the node to see to packages (docs/CONTRACT.md, "Packages"), and hears what it
 * says meanwhile.
 *
 * Where silverd is root that is `silver-root packages`, which has apt install them on the machine;
 * elsewhere it is `silver-packages`, which fills the node's own store. */
#pragma once
#include "buildless/app.h"

/* What comes back, a line each; members may be NULL. Progress goes to stderr. */
struct install_ears {
	void (*entry)(void *ctx, const char *name, const char *version, const char *arch);
	void (*refuse)(void *ctx, const char *name, const char *text);
	void *ctx;
};
/* verb: "simulate", "install". Names that were refused by `refuse` are no error; without it they
 * are E_REFUSED. E_BUSY: somebody else is at it; E_SYSTEM: apt failed, with its words. */
MUST_CHECK int install_ask(const char *verb, const struct strv *names,
			   const struct install_ears *ears, struct error *err);
/* Does this node have a store of its own, because silverd is not root? */
bool install_is_private(const struct app *app);
