/* s6name.h - the names of an app's services, below DIR/run/service:
 *
 *	APP.N		what serves the requests of release N
 *	APP.N.NAME.I	the I-th process of [process:NAME], from 1
 *	APP.N.cron-NAME	the command of [cron:NAME]
 *
 * A service that is being ended is called ".SERVICE.gone". What stands behind "APP." is also the
 * name of its log below log/APP. Names of processes hold no dot, so each name is read in one way.
 */
#pragma once
#include "common/names.h"

enum s6_kind { S6_WEB, S6_WORKER, S6_CRON };

#define S6_BIT(kind) (1U << (kind))
#define S6_BEHIND    (S6_BIT(S6_WORKER) | S6_BIT(S6_CRON))
#define S6_ALL       (S6_BIT(S6_WEB) | S6_BEHIND)

struct s6name {
	char app[APP_NAME_MAX + 1];
	unsigned release;
	enum s6_kind kind;
	char name[APP_NAME_MAX + 1]; /* "" of S6_WEB */
	unsigned index;              /* of S6_WORKER; else 0 */
};

/* False: no name of ours. */
bool s6name_parse(const char *text, struct s6name *out);
/* The entry of a directory: the same, also where it is being ended. */
bool s6name_parse_entry(const char *entry, struct s6name *out);
/* What is behind "APP.": "12", "12.mail.2". */
bool s6name_parse_part(const char *app, const char *part, struct s6name *out);
/* The caller frees. */
char *s6name_format(const struct s6name *s);
/* "web", "mail.2", "cron-tidy": as people name it. The caller frees. */
char *s6name_label(const struct s6name *s);

/* One word asks for all processes of a name: "mail.3" are mail.1 to mail.3, "cron-tidy" is itself.
 * Adds the names of the services of release N; E_USAGE where it is no such word. */
MUST_CHECK int s6name_expand(const char *app, unsigned release, const char *word, struct strv *out,
			     struct error *err);
