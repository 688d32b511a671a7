#include "common/lock.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>
#include "common/names.h"
#include "common/proc.h"

#define POLL_MS    10
#define HOLDER_MAX 200

/* The lock file's text is "UTC-milliseconds holder"; only a person reads it, so it is not synced.
 */
static void write_holder(int fd, const char *holder)
{
	autofree char *text = xasprintf("%lld %.*s", (long long)clock_utc_ms(), HOLDER_MAX, holder);

	if (ftruncate(fd, 0) == -1 || pwrite(fd, text, strlen(text), 0) == -1)
		return; /* the lock holds all the same; a waiter is told less */
}

static int busy_error(int fd, const char *what, struct error *err)
{
	autostrbuf struct strbuf who = STRBUF_INIT;
	char text[HOLDER_MAX + 32], *name = NULL;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long long since, age;

	text[n > 0 ? n : 0] = '\0';
	since = strtoll(text, &name, 10);
	if (*name != ' ')
		return error_set(err, E_BUSY, "%s", what);
	age = clock_utc_ms() - since;
	name_add_printable(&who, name + 1, strlen(name + 1));
	return error_set(err, E_BUSY, "%s since %lld s: %s; try again later", what,
			 age > 0 ? age / 1000 : 0,
			 strbuf_str(&who)); /* the clock may have gone back */
}

int lock_take_named(int fd, const char *what, const char *holder, int wait_ms, struct error *err)
{
	int64_t deadline = clock_ms() + wait_ms;

	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_sys(err, errno, "cannot take the lock");
		if (clock_ms() >= deadline)
			return busy_error(fd, what, err);
		usleep(POLL_MS * 1000);
	}
	write_holder(fd, holder);
	return 0;
}

int lock_take(int fd, const char *holder, int wait_ms, struct error *err)
{
	return lock_take_named(fd, "another deploy of this app is under way", holder, wait_ms, err);
}

void lock_drop(int fd)
{
	flock(fd, LOCK_UN);
}
