#include "common/mem.h"

#include <errno.h>
#include <unistd.h>

void mem_free_p(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void mem_close_p(int *fd)
{
	fd_close(fd);
}

void mem_closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void mem_fclose_p(FILE **file)
{
	if (*file)
		fclose(*file);
}

int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

void *steal_ptr(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;
	void *stolen = *p;

	*p = NULL;
	return stolen;
}

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/* The last words of a process that cannot go on; what it left half done is recovered. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	static const char text[] = "silver: out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) == -1)
		abort(); /* nobody listens */
	abort();
}

static void *or_abort(void *p)
{
	if (!p)
		out_of_memory();
	return p;
}

void *xmalloc(size_t size)
{
	return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc_array(void *p, size_t count, size_t size)
{
	return or_abort(reallocarray(p, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return or_abort(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return or_abort(strndup(s, n));
}

char *xvasprintf(const char *fmt, va_list args)
{
	char *out = NULL;

	if (vasprintf(&out, fmt, args) == -1)
		out_of_memory();
	return out;
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *out;

	va_start(args, fmt);
	out = xvasprintf(fmt, args);
	va_end(args);
	return out;
}

void strbuf_release(struct strbuf *s)
{
	free(s->buf);
	*s = (struct strbuf)STRBUF_INIT;
}

static void strbuf_grow(struct strbuf *s, size_t more)
{
	size_t need;

	if (__builtin_add_overflow(s->len, more, &need) || __builtin_add_overflow(need, 1, &need))
		abort();
	if (need <= s->cap)
		return;
	s->cap = need < 64 ? 64 : need + need / 2;
	s->buf = xrealloc_array(s->buf, s->cap, 1);
	s->buf[s->len] = '\0';
}

void strbuf_reset(struct strbuf *s)
{
	s->len = 0;
	strbuf_grow(s, 0);
	s->buf[0] = '\0';
}

void strbuf_add(struct strbuf *s, const void *data, size_t len)
{
	strbuf_grow(s, len);
	if (len)
		memcpy(s->buf + s->len, data, len);
	s->len += len;
	s->buf[s->len] = '\0';
}

void strbuf_addstr(struct strbuf *s, const char *str)
{
	strbuf_add(s, str, strlen(str));
}

void strbuf_addch(struct strbuf *s, char c)
{
	strbuf_add(s, &c, 1);
}

void strbuf_addf(struct strbuf *s, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	strbuf_addstr(s, text);
}

const char *strbuf_str(const struct strbuf *s)
{
	return s->buf ? s->buf : "";
}

char *strbuf_detach(struct strbuf *s)
{
	char *out;

	strbuf_grow(s, 0);
	out = s->buf;
	*s = (struct strbuf)STRBUF_INIT;
	return out;
}

int strbuf_read_fd(struct strbuf *s, int fd, size_t max_bytes, struct error *err)
{
	size_t start = s->len;

	for (;;) {
		ssize_t n;

		strbuf_grow(s, 8192);
		n = read(fd, s->buf + s->len, s->cap - s->len - 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(err, errno, "cannot read");
		if (n == 0)
			return 0;
		s->len += (size_t)n;
		s->buf[s->len] = '\0';
		if (s->len - start > max_bytes)
			return error_set(err, E_REFUSED, "more than %zu bytes", max_bytes);
	}
}

static void strv_take(struct strv *s, char *str)
{
	if (s->n + 2 > s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->v = xrealloc_array(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
}

void strv_add(struct strv *s, const char *str)
{
	strv_take(s, xstrdup(str));
}

void strv_addf(struct strv *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	strv_take(s, xvasprintf(fmt, args));
	va_end(args);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), compare_strings);
}

bool strv_has(const struct strv *s, const char *str)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], str) == 0)
			return true;
	return false;
}

char *const *strv_argv(struct strv *s)
{
	if (!s->v) {
		s->cap = 8;
		s->v = xcalloc(s->cap, sizeof(*s->v));
	}
	return s->v;
}

void strv_free_p(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv)STRV_INIT;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && strcmp(s + len - n, suffix) == 0;
}

bool str_to_uint(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n) || n > max)
			return false;
	}
	*out = n;
	return true;
}
