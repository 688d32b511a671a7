/* names.h - names that come from outside, checked once at the boundary.
 *
 * What passes here is safe as a path component, an argument and a line of output. */
#pragma once
#include "common/mem.h"

#define APP_NAME_MAX     31
#define SERVICE_NAME_MAX 31

/* [a-z][a-z0-9-]{0,30}, no dash at the end. The error says which rule, E_USAGE. */
MUST_CHECK int name_check_app(const char *name, struct error *err);
/* [a-z][a-z0-9_-]{0,30}: a service. */
MUST_CHECK int name_check_service(const char *name, struct error *err);
/* [A-Za-z0-9][A-Za-z0-9._@-]{0,63}: a user of the node. */
MUST_CHECK int name_check_user(const char *name, struct error *err);
/* Lower-case DNS name, labels of [a-z0-9-], at most 80 bytes (sun_path, see runtime/front.h). */
MUST_CHECK int name_check_host(const char *host, struct error *err);
/* The app a push URL names: "app", "/app", "app.git", "/app.git", "~/app"; out holds APP_NAME_MAX +
 * 1 bytes. */
MUST_CHECK int name_from_url_path(const char *path, char *out, struct error *err);
/* Debian's rule for package names (policy 5.6.1), with ":ARCH" behind where one is given. None ends
 * with '-', which apt-get takes for a wish to remove it. */
bool name_is_package(const char *s);
/* "*" stands for anything; what else a pattern holds, for itself. */
bool name_matches(const char *name, const char *pattern);
/* Does it match one of `patterns`, which have blanks between them? */
bool name_is_listed(const char *name, const char *patterns);
/* 40 lower-case hex digits. */
bool name_is_oid(const char *s);
/* The candidate nearest to `word` by edit distance, or NULL when none is near. */
const char *name_nearest(const char *word, const char *const *candidates, size_t n);
/* Bytes of the UTF-8 character at p (RFC 3629), of which `left` bytes are there; 0 where there is
 * none. */
size_t utf8_length(const unsigned char *p, size_t left);
/* Appends bytes from outside for a terminal: printable ASCII and valid UTF-8 as is, the rest as
 * \xNN. */
void name_add_printable(struct strbuf *s, const char *bytes, size_t len);
/* A name from outside, as it may be printed. The caller frees. */
char *name_printable(const char *name);
/* The same as one word of a shell command to paste. The caller frees. */
char *name_shell_quoted(const char *name);
/* "master" for "refs/heads/master", any other ref whole; points into ref. */
const char *name_branch(const char *ref);
