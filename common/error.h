/* error.h - errors as values.
 *
 * A function that can fail returns int, 0 or -1, and takes `struct error *err` last. The callee
 * says what failed; the caller may prefix what it was doing; only main() prints. Reporting
 * allocates nothing and cannot fail; a text that is too long is cut.
 *
 *	if (fs_replace_file(dir, "record.ini", s.buf, s.len, 0640, err) == -1)
 *		return error_prefix(err, "release %u", number);
 *
 * The codes are also the exit statuses of every program (silver(1), "Exit status"). */
#pragma once
#include <stdarg.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum error_code {
	E_OK = 0,
	E_REFUSED = 1,  /* the request was understood and breaks a rule */
	E_USAGE = 2,    /* the request was not understood */
	E_BUSY = 3,     /* somebody else is at it: try again */
	E_NOTFOUND = 4, /* no such app, release, user */
	E_DENIED = 5,   /* the key's role does not allow it */
	E_SYSTEM = 6,   /* the machine: disk, process, configuration of the node */
};

struct error {
	enum error_code code;
	char text[1024];
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		E_OK, ""                                                                           \
	}

/* All return -1, so that `return error_set(...)` reads as what it does. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* E_SYSTEM with strerror(saved_errno) behind the text. */
int error_sys(struct error *err, int saved_errno, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "text: " in front of what err says; keeps its code. */
int error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sets err from a code that came from elsewhere (an exit status, a message); unknown ones are
 * E_SYSTEM. */
enum error_code error_code_from(int number);
/* Prints "silver: TEXT\n" on stderr, each line of a text of several with the prefix; returns the
 * code as exit status. */
int error_report(const struct error *err);
