/* mem.h - memory and descriptors that release themselves, and strings that grow.
 *
 * Out of memory aborts: a process is one connection or one deploy, and a crash is recovered from.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <dirent.h>
#include "common/error.h"

#define autofree      __attribute__((cleanup(mem_free_p)))
#define autoclose     __attribute__((cleanup(mem_close_p)))
#define autodir       __attribute__((cleanup(mem_closedir_p)))
#define autofile      __attribute__((cleanup(mem_fclose_p)))
#define autostrv      __attribute__((cleanup(strv_free_p)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void mem_free_p(void *pointer_to_pointer);
void mem_close_p(int *fd); /* nothing at -1; errno is kept */
void mem_closedir_p(DIR **dir);
void mem_fclose_p(FILE **file);
int steal_fd(int *fd);                     /* returns *fd and sets it to -1 */
void *steal_ptr(void *pointer_to_pointer); /* returns the pointer and sets it to NULL */
void fd_close(int *fd);                    /* closes now, sets -1; nothing at -1 */

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc_array(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list args) PRINTF_LIKE(1, 0);

/* A growing byte string, always with a NUL behind buf[len]. Zero-initialise with STRBUF_INIT. */
struct strbuf {
	char *buf; /* never NULL after the first call */
	size_t len, cap;
};
#define STRBUF_INIT                                                                                \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}
#define autostrbuf __attribute__((cleanup(strbuf_release)))
void strbuf_release(struct strbuf *s);
void strbuf_reset(struct strbuf *s); /* len 0, keeps the memory */
void strbuf_add(struct strbuf *s, const void *data, size_t len);
void strbuf_addstr(struct strbuf *s, const char *str);
void strbuf_addch(struct strbuf *s, char c);
void strbuf_addf(struct strbuf *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *strbuf_str(const struct strbuf *s); /* "" when nothing was added */
char *strbuf_detach(struct strbuf *s);          /* the caller's; never NULL */
/* Reads fd to its end, at most max_bytes (more: E_REFUSED). */
MUST_CHECK int strbuf_read_fd(struct strbuf *s, int fd, size_t max_bytes, struct error *err);

/* A NULL-terminated list of strings that it owns (argv, envp). */
struct strv {
	char **v; /* NULL-terminated once anything was added; strv_argv() for always */
	size_t n, cap;
};
#define STRV_INIT                                                                                  \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}
void strv_add(struct strv *s, const char *str);
void strv_addf(struct strv *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strv_sort(struct strv *s); /* by bytes */
bool strv_has(const struct strv *s, const char *str);
char *const *strv_argv(struct strv *s);
void strv_free_p(struct strv *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Decimal digits only, no sign, no leading zero (but "0"), at most max. */
bool str_to_uint(const char *s, uint64_t max, uint64_t *out);
