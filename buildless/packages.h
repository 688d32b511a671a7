/* packages.h - the Debian packages that an app asks for (docs/PACKAGES.md).
 *
 *	gate:	packages_check	what is missing is simulated: findings, no change
 *	stage:	packages_ready	... and installed; what there is then goes into the record
 *
 * Where silverd is root they are packages of the machine, installed by apt. Elsewhere those that
 * the machine has not are entries of the node's own store (store.h), and the release's environment
 * leads there. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"
#include "common/ini.h"

/* What a release has: section [packages] of its record. */
struct packages {
	struct strv installed; /* "NAME VERSION" of each that was asked for, sorted */
	struct strv store; /* "NAME_VERSION_ARCH": entries of the store that its environment uses */
	char *stamp;       /* dpkg_stamp() then; NULL: nothing was asked for */
};
void packages_copy(struct packages *out, const struct packages *from);
void packages_release(struct packages *packages);
/* Appends [packages], where there is anything. */
void packages_format(const struct packages *packages, struct strbuf *out);
/* From a record's ini; empty where it has none. */
void packages_read(const struct ini *ini, struct packages *out);

/* Findings go to errors, as "app.ini:LINE: ..."; what there is, and what would be installed, to
 * `have`: "NAME VERSION, installed". -1 is the machine's fault. */
MUST_CHECK int packages_check(const struct app *app, const struct appini *ini, struct strv *errors,
			      struct strv *have, struct error *err);
/* A kept release goes live again: what its record names is there on return, in the store the very
 * versions, on the machine those of today. E_REFUSED, E_SYSTEM. */
MUST_CHECK int packages_return(const struct app *app, const struct packages *packages,
			       struct error *err);
/* All of them are there on return, and *out says which. Progress goes to stderr; *changed:
 * something was installed. The caller releases *out. */
MUST_CHECK int packages_ready(const struct app *app, const struct appini *ini, struct packages *out,
			      bool *changed, struct error *err);
