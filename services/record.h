/* record.h - what an app was given: apps/APP/services/NAME.
 *
 *	=VALUE\0		what was asked for
 *	NAME=VALUE\0 ...	the environment that it was given
 *
 * Written by root, on disk before anybody is told; the app's owner reads it, so that a push whose
 * services are there asks nobody. It holds passwords: 0640. */
#pragma once
#include "common/mem.h"

/* Beside it while a password that was rotated is still good: "NAME.old", a file without content. */
#define SERVICE_OLD_MARK "%s.old"

struct service_record {
	char *value; /* NULL: there is no record */
	struct strv env;
};
#define autorecord __attribute__((cleanup(service_record_release)))
void service_record_release(struct service_record *r);
/* app_fd is apps/APP. No record is no error: value is NULL. */
MUST_CHECK int service_record_read(int app_fd, const char *name, struct service_record *out,
				   struct error *err);
/* From its text. E_SYSTEM: it is none. */
MUST_CHECK int service_record_parse(struct service_record *out, const char *bytes, size_t len,
				    struct error *err);
void service_record_format(const struct service_record *r, struct strbuf *out);
/* Does the record give what service.NAME = VALUE asks for? */
bool service_record_gives(const struct service_record *r, const char *name, const char *value);
/* The value of a variable, or NULL. */
const char *service_env_get(const struct strv *env, const char *name);
