/* service_check.c - `silver service check PROGRAM`: does a plug-in service (services/plugin.h) keep
 * the rules of docs/SERVICES.md?
 *
 * Runs it as a node would for two apps, below a directory of its own in /tmp; as root it runs as
 * nobody. A table of rules in the order in which one needs the other: the first that is broken of
 * those that `stops` ends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cli/command.h"
#include "common/fs.h"
#include "common/json.h"
#include "common/names.h"
#include "services/plugin.h"
#include "services/record.h"

#define NOBODY  65534
#define TOP     "/tmp/silver-service.XXXXXX"
#define PROBE   "silver-probe"
#define CONTENT "what silver service check put here\n"
#define MS_MAX  (60 * 60 * 1000)

struct player { /* an app that asks for the service */
	const char *app;
	char *dir;       /* SILVER_SERVICE_DIR */
	struct strv env; /* as `env` told first */
	char *probe;     /* a directory of its data, below the top; NULL: it names none */
};

struct check {
	char *path, *name; /* of the program */
	const char *value;
	int timeout_ms, top_fd, dump_fd;
	char top[sizeof(TOP)];
	struct player a, b;
	struct json *json; /* NULL: for people */
	size_t passed, failed;
};

static int add_player(struct check *c, struct player *p, const char *app, struct error *err)
{
	autofree char *name = xasprintf("service.%s", c->name);
	autoclose int app_fd = -1, fd = -1;

	*p = (struct player){.app = app, .dir = xasprintf("%s/%s/%s", c->top, app, name)};
	if (fs_ensure_dir(c->top_fd, app, 0755, &app_fd, err) == -1 ||
	    fs_ensure_dir(app_fd, name, 0750, &fd, err) == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, NOBODY, NOBODY) == -1)
		return error_sys(err, errno, "cannot give '%s' to nobody", p->dir);
	return 0;
}

static int run_verb(const struct check *c, const struct player *p, const char *verb, int in,
		    /* NOLINTNEXTLINE(readability-non-const-parameter): plugin_run() writes to it */
		    int out, struct strbuf *answer, int *status, struct error *err)
{
	autostrv struct strv env = STRV_INIT;
	autostrbuf struct strbuf ignored = STRBUF_INIT;
	struct plugin_run run = {.path = c->path,
				 .verb = verb,
				 .env = &env,
				 .cwd = p->dir,
				 .in = in,
				 .out = out,
				 .answer = answer ? answer : &ignored,
				 .timeout_ms = c->timeout_ms,
				 .status = status,
				 .drop = geteuid() == 0,
				 .uid = NOBODY,
				 .gid = NOBODY};

	strv_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strv_add(&env, "LC_ALL=C.UTF-8");
	strv_addf(&env, "HOME=%s", p->dir);
	strv_addf(&env, "SILVER_APP_NAME=%s", p->app);
	strv_add(&env, "SILVER_NODE_ID=0123456789abcdef");
	strv_addf(&env, "SILVER_SERVICE=%s", c->name);
	strv_addf(&env, "SILVER_SERVICE_VALUE=%s", c->value);
	strv_addf(&env, "SILVER_SERVICE_DIR=%s", p->dir);
	for (size_t i = 0; i < p->env.n; i++)
		strv_add(&env, p->env.v[i]);
	return plugin_run(&run, err);
}

static int facts(const struct check *c, const struct player *p, const char *verb, struct error *err)
{
	autostrbuf struct strbuf answer = STRBUF_INIT, out = STRBUF_INIT;

	if (run_verb(c, p, verb, -1, -1, &answer, NULL, err) == -1)
		return -1;
	if (plugin_read_facts(&answer, &out, err) == -1)
		return error_prefix(err, "'%s'", verb);
	return 0;
}

static int ask_env(const struct check *c, const struct player *p, struct strv *env,
		   struct error *err)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;

	if (run_verb(c, p, "env", -1, -1, &answer, NULL, err) == -1 ||
	    plugin_read_env(&answer, env, err) == -1)
		return -1;
	strv_sort(env);
	return 0;
}

static bool same(const struct strv *a, const struct strv *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return a->n == b->n;
}

/* Rules */

static int rule_file(struct check *c, struct error *err)
{
	autofree char *dir = xstrndup(c->path, (size_t)(strrchr(c->path, '/') - c->path) + 1);
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, err) == -1)
		return -1;
	return plugin_check_file(fd, c->name, err);
}

static int rule_name(struct check *c, struct error *err)
{
	if (name_check_service(c->name, err) == -1)
		return -1;
	if (strlen(c->name) <= PLUGIN_NAME_MAX)
		return 0;
	return error_set(err, E_REFUSED, "'%s' has more than %d characters", c->name,
			 PLUGIN_NAME_MAX);
}

static int rule_unknown_verb(struct check *c, struct error *err)
{
	struct error said = ERROR_INIT;
	int status = 0;

	if (run_verb(c, &c->a, "no-such-verb", -1, -1, NULL, &status, &said) == -1 && status > 0)
		return 0;
	return status == 0
		       ? error_set(err, E_REFUSED, "a verb that it cannot know ends with status 0")
		       : error_set(err, E_REFUSED, "%s", said.text);
}

static int rule_check(struct check *c, struct error *err)
{
	return facts(c, &c->a, "check", err);
}

static int rule_check_changes_nothing(struct check *c, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, c->a.dir, &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	return names.n == 0 ? 0
			    : error_set(err, E_REFUSED, "'check' made '%s' before 'provision'",
					names.v[0]);
}

static int rule_provision(struct check *c, struct error *err)
{
	if (facts(c, &c->a, "provision", err) == -1)
		return -1;
	return facts(c, &c->b, "provision", err);
}

/* A variable whose value is a directory below the player's own, as a path below the top. */
static void find_probe(const struct check *c, struct player *p)
{
	for (size_t i = 0; i < p->env.n && !p->probe; i++) {
		const char *value = strchr(p->env.v[i], '=') + 1;
		struct error none = ERROR_INIT;
		autoclose int fd = -1;

		if (str_starts(value, p->dir) &&
		    fs_open_dir(c->top_fd, value + strlen(c->top) + 1, &fd, &none) == 0)
			p->probe = xstrdup(value + strlen(c->top) + 1);
	}
}

static int rule_env(struct check *c, struct error *err)
{
	if (ask_env(c, &c->a, &c->a.env, err) == -1 || ask_env(c, &c->b, &c->b.env, err) == -1)
		return -1;
	find_probe(c, &c->a);
	find_probe(c, &c->b);
	return c->a.env.n ? 0 : error_set(err, E_REFUSED, "'env' names no variable");
}

static int env_is_kept(const struct check *c, const char *after, struct error *err)
{
	autostrv struct strv again = STRV_INIT;

	if (ask_env(c, &c->a, &again, err) == -1)
		return -1;
	return same(&again, &c->a.env)
		       ? 0
		       : error_set(err, E_REFUSED, "after %s 'env' says other than before", after);
}

static int rule_twice(struct check *c, struct error *err)
{
	if (facts(c, &c->a, "provision", err) == -1)
		return -1;
	return env_is_kept(c, "a second 'provision'", err);
}

static int rule_apart(struct check *c, struct error *err)
{
	return same(&c->a.env, &c->b.env)
		       ? error_set(err, E_REFUSED, "two apps are given the same, '%.200s'",
				   c->a.env.v[0])
		       : 0;
}

static int put_probe(const struct check *c, const struct player *p, struct error *err)
{
	autofree char *path = p->probe ? xasprintf("%s/" PROBE, p->probe) : NULL;
	autoclose int fd = -1;

	if (!path)
		return 0;
	if (fs_open(c->top_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0640, &fd, err) == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, NOBODY, NOBODY) == -1)
		return error_sys(err, errno, "cannot give '%s' to nobody", path);
	return fs_write_all(fd, CONTENT, strlen(CONTENT), err);
}

static int expect_probe(const struct check *c, const struct player *p, bool there, const char *when,
			struct error *err)
{
	autofree char *path = p->probe ? xasprintf("%s/" PROBE, p->probe) : NULL;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	bool is;

	if (!path)
		return 0;
	is = fs_read_file(c->top_fd, path, 4096, &text, &none) == 0 &&
	     strcmp(strbuf_str(&text), CONTENT) == 0;
	return is == there ? 0
			   : error_set(err, E_REFUSED, "%s the data of app '%s' are %s", when,
				       p->app, there ? "not as they were" : "still there");
}

static int rule_backup(struct check *c, struct error *err)
{
	if (put_probe(c, &c->a, err) == -1 || put_probe(c, &c->b, err) == -1)
		return -1;
	c->dump_fd = memfd_create("dump", MFD_CLOEXEC);
	if (c->dump_fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (run_verb(c, &c->a, "backup", -1, c->dump_fd, NULL, NULL, err) == -1)
		return -1;
	return expect_probe(c, &c->a, true, "after 'backup'", err);
}

static int rule_clear(struct check *c, struct error *err)
{
	if (facts(c, &c->a, "clear", err) == -1 ||
	    expect_probe(c, &c->a, false, "after 'clear'", err) == -1)
		return -1;
	return env_is_kept(c, "'clear'", err);
}

static int rule_restore(struct check *c, struct error *err)
{
	if (lseek(c->dump_fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the dump");
	if (run_verb(c, &c->a, "restore", c->dump_fd, -1, NULL, NULL, err) == -1)
		return -1;
	return expect_probe(c, &c->a, true, "after 'restore'", err);
}

static int rule_cut(struct check *c, struct error *err)
{
	off_t size = lseek(c->dump_fd, 0, SEEK_END);
	struct error said = ERROR_INIT;
	int status = 0;

	if (size < 2)
		return 0;
	if (ftruncate(c->dump_fd, size / 2) == -1 || lseek(c->dump_fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot cut the dump");
	if (run_verb(c, &c->a, "restore", c->dump_fd, -1, NULL, &status, &said) == 0)
		return error_set(err, E_REFUSED, "'restore' takes half a dump for a whole one");
	if (status <= 0)
		return error_set(err, E_REFUSED, "%s", said.text);
	return expect_probe(c, &c->a, true, "after a 'restore' of half a dump", err);
}

static int rule_other_app(struct check *c, struct error *err)
{
	autostrv struct strv again = STRV_INIT;

	if (ask_env(c, &c->b, &again, err) == -1 ||
	    expect_probe(c, &c->b, true, "after all this", err) == -1)
		return -1;
	return same(&again, &c->b.env)
		       ? 0
		       : error_set(err, E_REFUSED, "the environment of app '%s' changed", c->b.app);
}

static const struct rule {
	const char *name, *what, *next;
	bool stops; /* nothing else can be said where it is broken */
	int (*run)(struct check *c, struct error *err);
} rules[] = {
	{"file", "its program is a regular file that all may execute and only its owner may write",
	 "mend its owner and mode as it says", true, rule_file},
	{"name", "its name is a-z, 0-9, '_', '-', a letter first, 23 characters at most",
	 "rename the program: its name is that of the service", true, rule_name},
	{"unknown-verb", "a verb that it does not know ends with a status other than 0",
	 "print to standard error what is wrong, and exit 1", false, rule_unknown_verb},
	{"check", "check: status 0 and one JSON object, also before the first provision",
	 "print {} where there is nothing to say", true, rule_check},
	{"check-only", "check changes nothing", "make in 'provision' what has to be made", false,
	 rule_check_changes_nothing},
	{"provision", "provision: status 0 and one JSON object",
	 "print {} when what the app needs is there", true, rule_provision},
	{"env", "env: one JSON object, of CONFIG_... and ..._URL and their values",
	 "print what an app has to know, for instance {\"CONFIG_KV_DIR\": \"...\"}", true,
	 rule_env},
	{"twice", "a second provision changes nothing", "keep what is there: pushes repeat it",
	 false, rule_twice},
	{"apart", "two apps are not given the same",
	 "make each app's own, from SILVER_APP_NAME or SILVER_SERVICE_DIR", false, rule_apart},
	{"backup", "backup: status 0, the dump on standard output, the data as they were",
	 "write all of the data to standard output, and nothing else", true, rule_backup},
	{"clear", "clear: as after the first provision, with the same environment",
	 "remove the data, keep the names", false, rule_clear},
	{"restore", "restore: what backup wrote is there again",
	 "read standard input to its end, and put it in place of what is there", false,
	 rule_restore},
	{"cut", "restore refuses half a dump, and keeps what is there",
	 "let 'backup' write an end, and let 'restore' look for it before it changes anything",
	 false, rule_cut},
	{"other-app", "none of this touched the other app", "look at every path that it uses",
	 false, rule_other_app},
};

static void tell(struct check *c, const struct rule *rule, const struct error *err)
{
	if (c->json) {
		json_open(c->json, NULL, '{');
		json_str(c->json, "rule", rule->name);
		json_str(c->json, "what", rule->what);
		json_bool(c->json, "ok", !err);
		json_str(c->json, "problem", err ? err->text : NULL);
		json_str(c->json, "next", err ? rule->next : NULL);
		json_close(c->json, '}');
		return;
	}
	printf("%-6s %-13s %s\n", err ? "BROKEN" : "ok", rule->name, rule->what);
	if (err)
		printf("                     %s\n                     next: %s\n", err->text,
		       rule->next);
}

static void check_all(struct check *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct error err = ERROR_INIT;
		bool good = rules[i].run(c, &err) == 0;

		tell(c, &rules[i], good ? NULL : &err);
		*(good ? &c->passed : &c->failed) += 1;
		if (!good && rules[i].stops)
			return;
	}
}

static int read_options(struct call *call, struct check *c, struct error *err)
{
	const char *seconds = args_value(&call->args, "--timeout");
	const char *value = args_value(&call->args, "--value");
	uint64_t s = PLUGIN_MS / 1000;

	if (seconds && (!str_to_uint(seconds, MS_MAX / 1000, &s) || s == 0))
		return error_set(err, E_USAGE, "--timeout is 1 to %d seconds", MS_MAX / 1000);
	c->timeout_ms = (int)s * 1000;
	c->value = value ? value : "";
	return plugin_check_value(c->value, err);
}

static int find_program(struct call *call, struct check *c, struct error *err)
{
	autofree char *dir = xstrdup(call->args.words.v[0]);
	char *slash = strrchr(dir, '/');
	const char *base = slash ? slash + 1 : dir;
	autofree char *real = NULL;

	c->name = xstrdup(base);
	if (slash)
		slash[slash == dir] = '\0';
	real = realpath(slash ? dir : ".", NULL);
	if (!real || !*c->name)
		return error_set(err, E_NOTFOUND, "there is no '%s'", call->args.words.v[0]);
	c->path = xasprintf("%s/%s", strcmp(real, "/") == 0 ? "" : real, c->name);
	if (access(c->path, F_OK) == -1)
		return error_sys(err, errno, "'%s'", c->path);
	return 0;
}

static void forget_player(struct player *p)
{
	free(p->dir);
	free(p->probe);
	strv_free_p(&p->env);
}

static int play(struct check *c, struct error *err)
{
	autoclose int tmp_fd = -1;
	struct error left = ERROR_INIT;
	int r;

	if (!mkdtemp(c->top) || chmod(c->top, 0711) == -1)
		return error_sys(err, errno, "cannot make a directory in /tmp");
	r = fs_open_dir(AT_FDCWD, c->top, &c->top_fd, err);
	if (r == 0)
		r = add_player(c, &c->a, "one", err);
	if (r == 0)
		r = add_player(c, &c->b, "two", err);
	if (r == 0)
		check_all(c);
	fd_close(&c->top_fd);
	fd_close(&c->dump_fd);
	if (fs_open_dir(AT_FDCWD, "/tmp", &tmp_fd, &left) == -1 ||
	    fs_remove_tree(tmp_fd, c->top + strlen("/tmp/"), &left) == -1)
		fprintf(stderr, "silver: '%s' is left: %s\n", c->top, left.text);
	return r;
}

static void tell_all(struct check *c, struct strbuf *out)
{
	if (c->json) {
		json_close(c->json, ']');
		printf("%s\n", strbuf_str(out));
		return;
	}
	if (!c->a.probe)
		printf("no variable names a directory below SILVER_SERVICE_DIR: what the data were "
		       "was not looked at\n");
	printf("%s: %zu rules kept, %zu broken\n", c->name, c->passed, c->failed);
}

int cmd_service_check(struct call *call, struct error *err)
{
	struct check c = {.top = TOP, .top_fd = -1, .dump_fd = -1};
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct json json = {.out = &out};
	int r;

	if (args_has(&call->args, "--json")) {
		c.json = &json;
		json_open(&json, NULL, '[');
	}
	r = read_options(call, &c, err);
	if (r == 0)
		r = find_program(call, &c, err);
	if (r == 0)
		r = play(&c, err);
	if (r == 0)
		tell_all(&c, &out);
	call->status = c.failed ? E_REFUSED : 0;
	forget_player(&c.a);
	forget_player(&c.b);
	free(c.path);
	free(c.name);
	return r;
}
