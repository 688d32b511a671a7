#include "receiver/commands.h"

static const struct command commands[] = {
	{"apps", "[--json]", "list the apps you may see and their live release", ROLE_READ, 0,
	 "silver-root", AS_ROOT, "--json", 0},
	{"status", "[APP] [--json]", "what is live, since when, who pushed it, and how it runs",
	 ROLE_READ, MAY_APP, "silver-deploy", AS_OWNER, "--json", 0},
	{"releases", "APP [--json]", "list the releases that are kept", ROLE_READ, NEED_APP,
	 "silver-deploy", AS_OWNER, "--json", 0},
	{"rollback", "APP [N]", "make the previous release, or release N, live again", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 1},
	{"activate", "APP N", "make release N live", ROLE_DEPLOY, NEED_APP | CHANGES | DRAIN,
	 "silver-deploy", AS_OWNER, NULL, 1},
	{"redeploy", "APP", "deploy the live commit once more, as a new release", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 0},
	{"logs", "APP [-f] [-n LINES] [--process P] [--release N | --access]",
	 "print what the app wrote, or the requests for it; -f goes on", ROLE_READ,
	 NEED_APP | PATIENT, "silver-deploy", AS_OWNER, "-f -n= --process= --release= --access", 0},
	{"why", "APP [--json]", "repeat what was said of the last push that was refused", ROLE_READ,
	 NEED_APP, "silver-deploy", AS_OWNER, "--json", 0},
	{"run", "APP COMMAND...", "run a command in the live release, with its environment",
	 ROLE_DEPLOY, NEED_APP | TTY | RAW | PATIENT, "silver-exec", AS_ROOT, NULL, 0},
	{"verify", "APP [--release N | --all] [--repair] [--json]",
	 "compare the live files, or all, with their commits, and mend them", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, "--release= --all --repair --json",
	 0},
	{"env", "APP [--values]", "names in the live environment; --values, for admins: all of it",
	 ROLE_READ, NEED_APP, "silver-deploy", AS_OWNER, "--values", 0},
	{"rotate", "APP SERVICE", "another password for a service, in a new release", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 1},
	{"branch", "APP [NAME]", "show or set the branch that a push deploys", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 1},
	{"config set", "APP NAME=VALUE... | APP NAME < VALUE | APP < FILE",
	 "set variables of the app's environment, in a release of its own", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN | SECRET | INPUT, "silver-deploy", AS_OWNER, NULL, 250},
	{"config unset", "APP NAME...", "take variables away again", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 250},
	{"config show", "APP [NAME] [--release N] [--json]",
	 "print what is set, or one value or file to the byte", ROLE_DEPLOY, NEED_APP,
	 "silver-deploy", AS_OWNER, "--release= --json", 1},
	{"config revert", "APP N", "set what release N had", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 1},
	{"config load", "APP [--was N] < FILE",
	 "set the NAME=VALUE lines of FILE, and nothing else", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN | INPUT, "silver-deploy", AS_OWNER, "--was=", 0},
	{"config put", "APP FILE < FILE", "bring a file for the app's configuration directory",
	 ROLE_DEPLOY, NEED_APP | CHANGES | DRAIN | INPUT, "silver-deploy", AS_OWNER, NULL, 1},
	{"config remove", "APP FILE...", "remove files of the configuration directory", ROLE_DEPLOY,
	 NEED_APP | CHANGES | DRAIN, "silver-deploy", AS_OWNER, NULL, 250},
	{"disable", "APP", "answer 503 instead of the app, from the next request on", ROLE_DEPLOY,
	 NEED_APP | DRAIN, "silver-deploy", AS_OWNER, NULL, 0},
	{"deactivate", "APP", "the old name of disable", ROLE_DEPLOY, NEED_APP | DRAIN,
	 "silver-deploy", AS_OWNER, NULL, 0},
	{"enable", "APP", "let the app answer again", ROLE_DEPLOY, NEED_APP | DRAIN,
	 "silver-deploy", AS_OWNER, NULL, 0},
	{"location add", "APP LOCATION [--redirect TO | --previous]",
	 "HOST, HOST/PATH, .DOMAIN or '*' leads to the app, to its previous release, or redirects",
	 ROLE_ADMIN, NEED_APP | DRAIN, "silver-root", AS_ROOT, "--redirect= --previous", 1},
	{"location remove", "APP LOCATION", "take a location from the app", ROLE_ADMIN,
	 NEED_APP | CHANGES | DRAIN, "silver-root", AS_ROOT, NULL, 1}, /* its release may end */
	{"location list", "APP [--json]", "list what leads to the app", ROLE_READ, NEED_APP,
	 "silver-root", AS_ROOT, "--json", 0},
	{"location body", "APP [SIZE|default]",
	 "show or set how large a request's body may be; more is answered 413", ROLE_ADMIN,
	 NEED_APP | DRAIN, "silver-root", AS_ROOT, NULL, 1},
	{"create", "APP", "make an app without a push", ROLE_DEPLOY, NEED_APP | MISSING_OK | DRAIN,
	 "silver-root", AS_ROOT, NULL, 0},
	{"destroy", "APP --yes", "remove an app: repository, releases, processes, data", ROLE_ADMIN,
	 NEED_APP | DRAIN | CONFIRM, "silver-root", AS_ROOT, "--yes", 0},
	{"backup", "APP [NAME | - | --list]",
	 "keep the app's data on the node, or write them to standard output", ROLE_DEPLOY,
	 NEED_APP | PATIENT, "silver-root", AS_ROOT, "- --list", 1},
	{"restore", "APP NAME|- --yes", "put the data of a backup in place of what the app has",
	 ROLE_ADMIN, NEED_APP | CHANGES | DRAIN | CONFIRM, "silver-root", AS_ROOT, "- --yes", 1},
	{"clear", "APP [SERVICE] --yes", "remove the data of the app, or of one of its services",
	 ROLE_ADMIN, NEED_APP | CHANGES | DRAIN | CONFIRM, "silver-root", AS_ROOT, "--yes", 1},
	{"user", "add NAME [--role R] [--app A]... | list [--json] | remove NAME",
	 "who may do what; add reads public keys from standard input", ROLE_ADMIN, RAW | DRAIN,
	 "silver-root", AS_ROOT, NULL, 0},
	{"key set", "NAME < FILE", "keep a key of the node, for apps that it is granted to",
	 ROLE_ADMIN, DRAIN | INPUT, "silver-root", AS_ROOT, NULL, 1},
	{"key grant", "NAME APP", "let an app read a key", ROLE_ADMIN, DRAIN, "silver-root",
	 AS_ROOT, NULL, 2},
	{"key revoke", "NAME APP", "take a key from an app again", ROLE_ADMIN, DRAIN, "silver-root",
	 AS_ROOT, NULL, 2},
	{"key list", "[--json]", "list the keys, and which apps have them", ROLE_ADMIN, 0,
	 "silver-root", AS_ROOT, "--json", 0},
	{"key remove", "NAME", "take a key from all apps, and forget it", ROLE_ADMIN, DRAIN,
	 "silver-root", AS_ROOT, NULL, 1},
	{"tls list", "[--json]", "list the certificates, how long they last, and what is wrong",
	 ROLE_ADMIN, 0, "silver-root", AS_ROOT, "--json", 0},
	{"tls on", "HOST [--redirect]",
	 "serve https://HOST with a certificate that renews itself; --redirect: http:// leads "
	 "there",
	 ROLE_ADMIN, DRAIN | PATIENT, "silver-root", AS_ROOT, "--redirect", 1},
	{"tls set", "HOST [--redirect] < PEM",
	 "serve https://HOST with a key and certificate of your own", ROLE_ADMIN, DRAIN | INPUT,
	 "silver-root", AS_ROOT, "--redirect", 1},
	{"tls off", "HOST", "serve https://HOST no more", ROLE_ADMIN, DRAIN, "silver-root", AS_ROOT,
	 NULL, 1},
	{"tls renew", "[HOST]", "renew now what renews itself", ROLE_ADMIN, DRAIN | PATIENT,
	 "silver-root", AS_ROOT, NULL, 1},
	{"fsck", "[APP] [--json]", "do names, records, refs, slots and links agree", ROLE_ADMIN, 0,
	 "silver-root", AS_ROOT, "--json", 1},
	{"help", "[VERB]", "print this, or how to use one verb", ROLE_NONE, 0, NULL, AS_NOBODY,
	 NULL, 1},

	{"access", "APP [-f] [-n LINES] --access", "print the access log", ROLE_READ,
	 NEED_APP | PATIENT | HIDDEN, "silver-root", AS_ROOT, "-f -n= --access", 0},
	{"git-receive-pack", "APP", "push", ROLE_DEPLOY,
	 NEED_APP | URL_PATH | CHANGES | DRAIN | CREATES | HIDDEN, "git", AS_OWNER, NULL, 0},
	{"git-upload-pack", "APP", "fetch", ROLE_READ, NEED_APP | URL_PATH | HIDDEN, "git",
	 AS_OWNER, NULL, 0},
	{"git-upload-archive", "APP", "archive", ROLE_READ, NEED_APP | URL_PATH | HIDDEN, "git",
	 AS_OWNER, NULL, 0},
};

const struct command *command_at(size_t i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* The first two words may be the verb: `config set`, and `git receive-pack` of newer clients. */
const struct command *command_of_words(char *const *words, size_t n, size_t *used)
{
	bool is_git = !strcmp(words[0], "git");
	autofree char *both = NULL;
	const struct command *c;

	*used = 1;
	if (n < 2)
		return n ? command_named(words[0]) : NULL;
	both = xasprintf("%s%c%s", words[0], is_git ? '-' : ' ', words[1]);
	c = command_named(both);
	if (c)
		*used = 2;
	return c ? c : command_named(words[0]);
}

char *command_usage(const struct command *c)
{
	return xasprintf("usage: %s%s%s", c->name, *c->usage ? " " : "", c->usage);
}

/* "config" for "config set": what is behind the first word, or NULL. */
static const char *second_word(const struct command *c, const char *first)
{
	size_t len = strlen(first);

	return !strncmp(c->name, first, len) && c->name[len] == ' ' ? c->name + len + 1 : NULL;
}

bool command_is_group(const char *first)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (second_word(&commands[i], first))
			return true;
	return false;
}

/* The verbs of two words that begin with `first`, a line each as help has them; 0: none. */
static size_t list_group(const char *first, struct strbuf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!second_word(&commands[i], first))
			continue;
		strbuf_addf(out, "%s%s %s", n++ ? "\n" : "", commands[i].name, commands[i].usage);
	}
	return n;
}

static int unknown_verb(const char *verb, struct error *err)
{
	const char *known[ARRAY_SIZE(commands)];
	autostrbuf struct strbuf shown = STRBUF_INIT, list = STRBUF_INIT;
	const char *near;
	size_t n = 0;

	if (list_group(verb, &list))
		return error_set(err, E_USAGE, "'%s' wants one of:\n%s", verb, strbuf_str(&list));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].flags & HIDDEN)
			continue;
		known[n++] = commands[i].name;
		strbuf_addf(&list, "%s%s", list.len ? ", " : "", commands[i].name);
	}
	name_add_printable(&shown, verb, strnlen(verb, 40));
	near = name_nearest(verb, known, n);
	return error_set(err, E_USAGE,
			 "unknown verb '%s'%s%s%s\nverbs: %s\n`git push`, `fetch` and `clone` work "
			 "with the app's name as the path",
			 strbuf_str(&shown), near ? " (did you mean '" : "", near ? near : "",
			 near ? "'?)" : "", strbuf_str(&list));
}

void commands_help(struct strbuf *out, enum role role, bool local)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		autofree char *head = xasprintf("%s %s", c->name, c->usage);

		if ((c->flags & HIDDEN) || c->role > role || ((c->flags & LOCAL_ONLY) && !local))
			continue;
		if (strlen(head) > 36)
			strbuf_addf(out, "  %s\n  %-36s  %s\n", head, "", c->help);
		else
			strbuf_addf(out, "  %-36s  %s\n", head, c->help);
	}
}

int command_help(struct strbuf *out, const char *verb, struct error *err)
{
	const struct command *c = command_named(verb);
	autofree char *usage = NULL;

	if (!c && list_group(verb, out)) {
		strbuf_addch(out, '\n');
		return 0;
	}
	if (!c)
		return unknown_verb(verb, err);
	usage = command_usage(c);
	strbuf_addf(out, "%s\n%s\n", usage, c->help);
	if (c->role != ROLE_NONE)
		strbuf_addf(out, "role: %s%s\n", role_name(c->role),
			    c->role == ROLE_ADMIN ? "" : " or above");
	return 0;
}

void request_release(struct request *r)
{
	strv_free_p(&r->words);
}

bool request_has(const struct request *r, const char *word)
{
	return strv_has(&r->words, word);
}

static int bad_use(const struct command *c, struct error *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static int bad_use(const struct command *c, struct error *err, const char *fmt, ...)
{
	autofree char *usage = command_usage(c);
	autofree char *what = NULL;
	va_list args;

	va_start(args, fmt);
	what = xvasprintf(fmt, args);
	va_end(args);
	return error_set(err, E_USAGE, "%s\n%s", what, usage);
}

enum option { UNKNOWN, FLAG, WITH_VALUE };

static enum option option_kind(const struct command *c, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = c->options ? c->options : ""; *at;) {
		size_t n = strcspn(at, " ");
		bool valued = at[n - 1] == '=';

		if (n - valued == len && !memcmp(at, word, len))
			return valued ? WITH_VALUE : FLAG;
		at += n + strspn(at + n, " ");
	}
	return UNKNOWN;
}

static int bad_option(const struct command *c, const char *word, struct error *err)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;

	name_add_printable(&shown, word, strnlen(word, 40));
	return bad_use(c, err, "unknown option '%s'", strbuf_str(&shown));
}

size_t command_app_at(const struct command *c, char *const *words, size_t n)
{
	size_t i = 0;

	while (i < n && words[i][0] == '-' && !(c->flags & RAW))
		i += option_kind(c, words[i]) == WITH_VALUE ? 2 : 1;
	return i < n ? i : n;
}

/* Sorts words into options (to out->words) and the others. */
static int split_words(struct request *out, struct strv *others, char *const *words, size_t n,
		       struct error *err)
{
	const struct command *c = out->command;

	for (size_t i = 0; i < n; i++) {
		enum option kind = words[i][0] == '-' ? option_kind(c, words[i]) : FLAG;

		if (kind == UNKNOWN)
			return bad_option(c, words[i], err);
		if (kind == WITH_VALUE && i + 1 == n)
			return bad_use(c, err, "%s wants a value", words[i]);
		strv_add(words[i][0] == '-' ? &out->words : others, words[i]);
		if (kind == WITH_VALUE)
			strv_add(&out->words, words[++i]);
	}
	return 0;
}

static int take_app(struct request *out, const char *word, struct error *err)
{
	if (out->command->flags & URL_PATH)
		return name_from_url_path(word, out->app, err);
	if (name_check_app(word, err) == -1)
		return -1;
	snprintf(out->app, sizeof(out->app), "%s", word);
	return 0;
}

/* RAW: the first word may be the app, the rest goes on unread. */
static int parse_raw(struct request *out, char *const *words, size_t n, struct error *err)
{
	size_t i = 0;

	if (out->command->flags & NEED_APP) {
		if (n < 2)
			return bad_use(out->command, err, n ? "which command?" : "which app?");
		if (take_app(out, words[i++], err) == -1)
			return -1;
	}
	for (; i < n; i++)
		strv_add(&out->words, words[i]);
	return 0;
}

static int parse_words(struct request *out, char *const *words, size_t n, struct error *err)
{
	const struct command *c = out->command;
	autostrv struct strv others = STRV_INIT;
	size_t i = 0;

	if (split_words(out, &others, words, n, err) == -1)
		return -1;
	if ((c->flags & NEED_APP) && others.n == 0)
		return bad_use(c, err, "which app?");
	if ((c->flags & (NEED_APP | MAY_APP)) && others.n > 0 &&
	    take_app(out, others.v[i++], err) == -1)
		return -1;
	if (others.n - i > c->max_words)
		return bad_use(c, err, "too many words");
	for (; i < others.n; i++)
		strv_add(&out->words, others.v[i]);
	return 0;
}

/* The access log is nginx's, so another program reads it than what the app wrote. */
static int take_access(struct request *out, struct error *err)
{
	if (request_has(out, "--release"))
		return bad_use(out->command, err, "the access log is one for all releases");
	out->command = command_named("access");
	return 0;
}

int request_parse(struct request *out, char *const *words, size_t n, struct error *err)
{
	size_t used = 1;
	int result;

	*out = (struct request){0};
	if (n == 0)
		return error_set(
			err, E_USAGE,
			"there is no shell here: `git push` deploys, `help` lists the verbs");
	out->command = command_of_words(words, n, &used);
	if (!out->command)
		return unknown_verb(words[0], err);
	result = (out->command->flags & RAW) ? parse_raw(out, words + used, n - used, err)
					     : parse_words(out, words + used, n - used, err);
	if (result == 0 && (out->command->flags & MAY_APP) && !out->app[0])
		out->command = command_named("apps"); /* the same question about all of them */
	if (result == 0 && !strcmp(out->command->name, "logs") && request_has(out, "--access"))
		result = take_access(out, err);
	if (result == -1)
		request_release(out);
	return result;
}

int request_allow(const struct request *r, const struct user *user, bool local, struct error *err)
{
	const struct command *c = r->command;

	if ((c->flags & LOCAL_ONLY) && !local)
		return error_set(err, E_DENIED, "'%s' works only on the node itself", c->name);
	if (c->role > user->role)
		return error_set(err, E_DENIED,
				 "%s may not %s: it needs the role '%s', and yours is '%s'",
				 user->name, (c->flags & HIDDEN) ? c->help : c->name,
				 role_name(c->role), role_name(user->role));
	if (request_has(r, "--values") && user->role < ROLE_ADMIN)
		return error_set(err, E_DENIED,
				 "%s may not see values: it needs the role 'admin', and yours is "
				 "'%s'; names are shown without --values",
				 user->name, role_name(user->role));
	if (r->app[0] && !user_sees(user, r->app))
		return error_set(err, E_NOTFOUND, "no app '%s'", r->app);
	return 0;
}
