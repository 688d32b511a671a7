#include "buildless/refusal.h"

#include <errno.h>
#include "buildless/release.h"
#include "common/fs.h"
#include "common/proc.h"

#define NAME     "refused"
#define TEXT_MAX (1u << 20)

void refusal_release(struct refusal *r)
{
	free(r->who);
	free(r->what);
	free(r->text);
	*r = (struct refusal){0};
}

void refusal_write(const struct app *app, const char *what, const char *text)
{
	struct error ignored = ERROR_INIT;
	autofree char *whole = xasprintf("%lld %u %s %s\n%s", (long long)(clock_utc_ms() / 1000),
					 release_current(app), app->user, what, text);

	if (fs_replace_file(app->fd, NAME, whole, strlen(whole), 0644, &ignored) == -1)
		return;
}

static int broken(struct error *err)
{
	return error_set(err, E_SYSTEM, "'" NAME "' is damaged; the next refusal replaces it");
}

/* The bytes up to `end`, which *at is moved behind; NULL: there is none. */
static char *take_word(const char **at, char end)
{
	const char *stop = *at ? strchr(*at, end) : NULL;
	char *word = stop ? xstrndup(*at, (size_t)(stop - *at)) : NULL;

	*at = stop ? stop + 1 : NULL;
	return word;
}

int refusal_read(const struct app *app, struct refusal *out, struct error *err)
{
	autostrbuf struct strbuf whole = STRBUF_INIT;
	autofree char *when = NULL, *live = NULL;
	const char *at;
	uint64_t seconds, number;

	*out = (struct refusal){0};
	if (fs_read_file(app->fd, NAME, TEXT_MAX, &whole, err) == -1)
		return -1;
	at = strbuf_str(&whole);
	when = take_word(&at, ' ');
	live = take_word(&at, ' ');
	out->who = take_word(&at, ' ');
	out->what = take_word(&at, '\n');
	if (!at || !str_to_uint(when, INT64_MAX, &seconds) ||
	    !str_to_uint(live, UINT32_MAX, &number))
		return broken(err);
	out->when = (int64_t)seconds;
	out->live = (unsigned)number;
	out->text = xstrdup(at);
	return 0;
}
