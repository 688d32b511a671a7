#include "buildless/config_verbs.h"

#include <fcntl.h>
#include "buildless/config.h"
#include "buildless/config_text.h"
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "common/fs.h"
#include "common/input.h"
#include "common/json.h"
#include "common/names.h"

#define RELEASE_MAX 999999999

/* Reading what is asked */

static int refuse_twice(const struct strv *set, const char *name, struct error *err)
{
	autofree char *start = xasprintf("%s=", name);

	for (size_t i = 0; i < set->n; i++)
		if (str_starts(set->v[i], start))
			return error_set(err, E_USAGE, "%s is set twice", name);
	return 0;
}

static int check_entries(const struct strv *set, struct error *err)
{
	struct strv seen = {.v = set->v};

	for (; seen.n < set->n; seen.n++) {
		autofree char *name = xstrndup(set->v[seen.n], strcspn(set->v[seen.n], "="));

		if (config_check_name(name, err) == -1 || refuse_twice(&seen, name, err) == -1)
			return -1;
	}
	return 0;
}

static int read_value(struct verb_call *call, const char *name, struct error *err)
{
	struct strbuf *input = &call->input;

	if (config_check_name(name, err) == -1 || input_read(input, CONFIG_VALUE_MAX, err) == -1)
		return -1;
	if (memchr(strbuf_str(input), '\0', input->len))
		return error_set(err, E_REFUSED,
				 "%s: the value holds a NUL, which no variable can; `silver config "
				 "put` takes any file",
				 name);
	if (input->len == 0)
		return error_set(err, E_USAGE,
				 "nothing came on standard input; an empty value is written '%s='",
				 name);
	strv_addf(&call->set, "%s=%s", name, input->buf);
	if (str_ends(input->buf, "\n"))
		report_step("%s ends in a line break, as it came (printf writes none)", name);
	return 0;
}

static int read_text(struct verb_call *call, struct error *err)
{
	autostrv struct strv errors = STRV_INIT;

	/* quoting may take four bytes for one */
	if (input_read(&call->input, 4 * (size_t)CONFIG_ALL_MAX, err) == -1)
		return -1;
	if (config_text_parse(strbuf_str(&call->input), call->input.len, "standard input",
			      &call->set, &errors)) {
		report_findings(&errors, NULL);
		return error_set(err, E_USAGE, "nothing was taken of it");
	}
	return check_entries(&call->set, err);
}

int config_read_set(struct verb_call *call, struct error *err)
{
	const char *asked = NULL;

	for (int i = 0; i < call->argc; i++) {
		if (strchr(call->argv[i], '='))
			strv_add(&call->set, call->argv[i]);
		else if (asked)
			return error_set(err, E_USAGE,
					 "standard input has one value, for '%s' or for '%s'?",
					 asked, call->argv[i]);
		else
			asked = call->argv[i];
	}
	if (call->argc == 0 && read_text(call, err) == -1)
		return -1;
	if (call->argc == 0 && call->set.n == 0)
		return error_set(err, E_USAGE,
				 "set what? NAME=VALUE, or such lines on standard "
				 "input, of which none came");
	if (asked && read_value(call, asked, err) == -1)
		return -1;
	return check_entries(&call->set, err);
}

int config_read_load(struct verb_call *call, struct error *err)
{
	return read_text(call, err);
}

int config_read_put(struct verb_call *call, struct error *err)
{
	if (call->argc != 1)
		return error_set(err, E_USAGE, "which file? its content comes on standard input");
	if (config_check_file(call->argv[0], err) == -1)
		return -1;
	return input_read(&call->input, CONFIG_FILE_MAX, err);
}

/* Changing */

struct change {
	struct verb_call *call;
	struct config old, new;
};
#define autochange __attribute__((cleanup(change_release)))

static void change_release(struct change *c)
{
	config_release(&c->old);
	config_release(&c->new);
}

/* What there is now, when whoever came first has finished. */
static int begin(struct change *c, struct verb_call *call, struct error *err)
{
	*c = (struct change){.call = call};
	if (transaction_recover(call->app, call->repo, false, err) == -1 ||
	    config_read_live(call->app, &c->old, err) == -1)
		return -1;
	return config_read_live(call->app, &c->new, err);
}

static int nothing_changed(const struct app *app)
{
	unsigned live = release_current(app);

	if (live)
		report_step("nothing changed: the configuration is so already; release %u is live",
			    live);
	else
		report_step("nothing changed: the configuration is so already");
	return 0;
}

static int keep_waiting(const struct app *app, const struct config *config, const char *what,
			struct error *err)
{
	if (config_write_waiting(app, config, err) == -1)
		return -1;
	report_step("%s: %s; the first release will have it", app->name, what);
	return 0;
}

static int finish(struct change *c, struct error *err)
{
	autorelease struct release_info release = RELEASE_INFO_INIT;
	autostrbuf struct strbuf what = STRBUF_INIT;
	autofree char *subject = NULL;
	struct app *app = c->call->app;

	config_describe(&c->old, &c->new, &what);
	if (what.len == 0)
		return nothing_changed(app);
	if (!release_current(app))
		return keep_waiting(app, &c->new, what.buf, err);
	subject = xasprintf("config: %s", what.buf);
	report_step("%s", subject);
	if (transaction_configure(app, c->call->repo, &c->new, subject, &release, err) == -1)
		return -1;
	report_live(app, &release, true);
	return 0;
}

static int set_all(struct config *config, const struct strv *set, struct error *err)
{
	for (size_t i = 0; i < set->n; i++) {
		autofree char *name = xstrndup(set->v[i], strcspn(set->v[i], "="));

		if (config_set(config, name, strchr(set->v[i], '=') + 1, err) == -1)
			return -1;
	}
	return 0;
}

int verb_config_set(struct verb_call *call, struct error *err)
{
	autochange struct change c = {.call = NULL};

	if (begin(&c, call, err) == -1 || set_all(&c.new, &call->set, err) == -1)
		return -1;
	return finish(&c, err);
}

int verb_config_unset(struct verb_call *call, struct error *err)
{
	autochange struct change c = {.call = NULL};

	if (call->argc == 0)
		return error_set(err, E_USAGE, "unset what? `silver config show %s` lists them",
				 call->app->name);
	for (int i = 0; i < call->argc; i++)
		if (config_check_name(call->argv[i], err) == -1)
			return -1;
	if (begin(&c, call, err) == -1)
		return -1;
	for (int i = 0; i < call->argc; i++)
		if (!config_unset(&c.new, call->argv[i]))
			report_step("%s was not set", call->argv[i]);
	return finish(&c, err);
}

static int parse_release(const char *text, unsigned *number, struct error *err)
{
	uint64_t value;

	if (!str_to_uint(text, RELEASE_MAX, &value) || value == 0)
		return error_set(err, E_USAGE, "'%s' is no release number", text);
	*number = (unsigned)value;
	return 0;
}

static int read_kept(const struct app *app, unsigned number, struct config *out, struct error *err)
{
	if (!release_is_live(app, number))
		return error_set(err, E_NOTFOUND,
				 "%s has no release %u; `silver releases %s` lists them", app->name,
				 number, app->name);
	return config_read(app, number, out, err);
}

/* What was edited is the configuration of release `was`. */
static int check_base(const struct change *c, const char *was, struct error *err)
{
	autoconfig struct config base = CONFIG_INIT;
	char then[OID_HEX], now[OID_HEX];
	unsigned number = 0;

	if (parse_release(was, &number, err) == -1 ||
	    read_kept(c->call->app, number, &base, err) == -1)
		return -1;
	config_digest(&base, then);
	config_digest(&c->old, now);
	if (strcmp(then, now) == 0)
		return 0;
	return error_set(err, E_REFUSED,
			 "somebody has changed the configuration since release %u; edit it again",
			 number);
}

int verb_config_load(struct verb_call *call, struct error *err)
{
	bool based = call->argc == 2 && strcmp(call->argv[0], "--was") == 0;
	autochange struct change c = {.call = NULL};

	if (call->argc && !based)
		return error_set(err, E_USAGE, "config load APP [--was RELEASE] < FILE");
	if (begin(&c, call, err) == -1 || (based && check_base(&c, call->argv[1], err) == -1))
		return -1;
	strv_free_p(&c.new.set);
	if (set_all(&c.new, &call->set, err) == -1)
		return -1;
	return finish(&c, err);
}

int verb_config_put(struct verb_call *call, struct error *err)
{
	autochange struct change c = {.call = NULL};

	if (begin(&c, call, err) == -1 ||
	    config_put(&c.new, call->argv[0], strbuf_str(&call->input), call->input.len, err) == -1)
		return -1;
	return finish(&c, err);
}

int verb_config_remove(struct verb_call *call, struct error *err)
{
	autochange struct change c = {.call = NULL};

	if (call->argc == 0)
		return error_set(err, E_USAGE, "which file? `silver config show %s` lists them",
				 call->app->name);
	for (int i = 0; i < call->argc; i++)
		if (config_check_file(call->argv[i], err) == -1)
			return -1;
	if (begin(&c, call, err) == -1)
		return -1;
	for (int i = 0; i < call->argc; i++)
		if (!config_remove_file(&c.new, call->argv[i]))
			report_step("there was no file %s", call->argv[i]);
	return finish(&c, err);
}

int verb_config_revert(struct verb_call *call, struct error *err)
{
	autochange struct change c = {.call = NULL};
	unsigned number = 0;

	if (call->argc != 1)
		return error_set(err, E_USAGE, "to that of which release? `silver releases %s`",
				 call->app->name);
	if (parse_release(call->argv[0], &number, err) == -1 || begin(&c, call, err) == -1)
		return -1;
	config_release(&c.new);
	if (read_kept(call->app, number, &c.new, err) == -1)
		return -1;
	return finish(&c, err);
}

/* Showing */

struct shown {
	const char *name, *release;
	bool json;
};

static int parse_show(struct verb_call *call, struct shown *s, struct error *err)
{
	*s = (struct shown){.name = NULL};
	for (int i = 0; i < call->argc; i++) {
		if (strcmp(call->argv[i], "--json") == 0)
			s->json = true;
		else if (strcmp(call->argv[i], "--release") == 0 && i + 1 < call->argc)
			s->release = call->argv[++i];
		else if (s->name)
			return error_set(err, E_USAGE, "one name, or none for all");
		else
			s->name = call->argv[i];
	}
	return 0;
}

static int print_bytes(const char *bytes, size_t len, struct error *err)
{
	if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) == EOF)
		return error_set(err, E_SYSTEM, "cannot write to standard output");
	return 0;
}

/* To the byte: a value, or a file. */
static int show_one(const struct app *app, const struct config *c, const char *name,
		    struct error *err)
{
	autofree char *path = c->place ? xasprintf("%s/config.d/%s", c->place, name) : NULL;
	autostrbuf struct strbuf content = STRBUF_INIT;
	const char *value = config_get(c, name);

	if (value)
		return print_bytes(value, strlen(value), err);
	if (!config_find_file(c, name)) {
		if (config_is_name(name))
			return error_set(err, E_NOTFOUND, "%s is not set", name);
		return config_check_file(name, err) == -1
			       ? -1
			       : error_set(err, E_NOTFOUND, "there is no file %s", name);
	}
	if (fs_read_file(app->fd, path, CONFIG_FILE_MAX, &content, err) == -1)
		return -1;
	return print_bytes(strbuf_str(&content), content.len, err);
}

static bool is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t n, left = strlen(text); left; p += n, left -= n) {
		n = utf8_length(p, left);
		if (n == 0)
			return false;
	}
	return true;
}

/* What JSON cannot hold is {"hex": "ff00"}. */
static void json_value(struct json *j, const char *name, const char *value)
{
	autostrbuf struct strbuf hex = STRBUF_INIT;

	if (is_utf8(value)) {
		json_str(j, name, value);
		return;
	}
	for (; *value; value++)
		strbuf_addf(&hex, "%02x", (unsigned char)*value);
	json_open(j, name, '{');
	json_str(j, "hex", hex.buf);
	json_close(j, '}');
}

static void show_json(const struct app *app, const struct config *c, unsigned release,
		      struct strbuf *out)
{
	struct json j = {.out = out};

	json_open(&j, NULL, '{');
	json_str(&j, "app", app->name);
	if (release)
		json_int(&j, "release", release);
	else
		json_str(&j, "release", NULL);
	json_open(&j, "set", '{');
	for (size_t i = 0; i < c->set.n; i++) {
		autofree char *name = xstrndup(c->set.v[i], strcspn(c->set.v[i], "="));

		json_value(&j, name, strchr(c->set.v[i], '=') + 1);
	}
	json_close(&j, '}');
	json_open(&j, "files", '[');
	for (size_t i = 0; i < c->n_files; i++)
		json_str(&j, NULL, c->file[i].name);
	json_close(&j, ']');
	json_close(&j, '}');
	strbuf_addch(out, '\n');
}

static void show_text(const struct app *app, const struct config *c, unsigned release,
		      struct strbuf *out)
{
	if (release)
		strbuf_addf(out, "# %s, release %u\n", app->name, release);
	else
		strbuf_addf(out, "# %s, for its first release\n", app->name);
	for (size_t i = 0; i < c->set.n; i++) {
		autofree char *name = xstrndup(c->set.v[i], strcspn(c->set.v[i], "="));

		config_text_add(out, name, strchr(c->set.v[i], '=') + 1);
	}
	for (size_t i = 0; i < c->n_files; i++)
		strbuf_addf(out, "# file %s: silver config show %s %s\n", c->file[i].name,
			    app->name, c->file[i].name);
}

int verb_config_show(struct verb_call *call, struct error *err)
{
	autoconfig struct config c = CONFIG_INIT;
	autostrbuf struct strbuf out = STRBUF_INIT;
	unsigned release = release_current(call->app);
	struct shown s;

	if (parse_show(call, &s, err) == -1 ||
	    (s.release && parse_release(s.release, &release, err) == -1))
		return -1;
	if ((s.release ? read_kept(call->app, release, &c, err)
		       : config_read_live(call->app, &c, err)) == -1)
		return -1;
	if (s.name)
		return show_one(call->app, &c, s.name, err);
	if (s.json)
		show_json(call->app, &c, release, &out);
	else
		show_text(call->app, &c, release, &out);
	return print_bytes(strbuf_str(&out), out.len, err);
}
