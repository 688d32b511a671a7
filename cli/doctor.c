/* doctor.c - `silver doctor`: what is wrong on the developer's side, each with what mends it.
 *
 * A table of checks in the order in which one needs the other; all of them are made. */
#include <sys/stat.h>
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/git.h"
#include "cli/place.h"
#include "cli/tool.h"
#include "common/json.h"

enum verdict { GOOD, WARN, BAD };

struct doctor {
	const struct options *options;
	struct place place;
	struct strbuf what; /* of the check that is being made */
	const char *fix;
};

static void PRINTF_LIKE(2, 3) say(struct doctor *d, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	strbuf_addstr(&d->what, text);
}

/* First line of a program's output. */
static bool first_line(char *const *argv, struct strbuf *out, int *status)
{
	struct tool tool = {.argv = argv};
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;

	if (tool_capture(&tool, NULL, &text, &text, status, &none) == -1)
		return false;
	strbuf_add(out, strbuf_str(&text), strcspn(strbuf_str(&text), "\n"));
	return true;
}

static enum verdict check_git(struct doctor *d)
{
	char git[] = "git", version[] = "--version", *argv[] = {git, version, NULL};
	int status = 0;

	if (first_line(argv, &d->what, &status) && status == 0)
		return GOOD;
	say(d, "there is no git in PATH");
	d->fix = "apt install git";
	return BAD;
}

static enum verdict check_ssh(struct doctor *d)
{
	autostrv struct strv argv = STRV_INIT;
	struct error err = ERROR_INIT;
	autofree char *path = NULL;

	if (ask_ssh(NULL, NULL, &argv, &err) == -1) {
		say(d, "%s", err.text);
		d->fix = "mend GIT_SSH_COMMAND or core.sshCommand";
		return BAD;
	}
	path = tool_find(argv.v[0]);
	say(d, "%s", path ? path : argv.v[0]);
	if (path)
		return GOOD;
	say(d, " is not there");
	d->fix = "apt install openssh-client";
	return BAD;
}

static bool has_key_file(void)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk",
					    "id_ecdsa_sk"};
	const char *home = getenv("HOME");

	for (size_t i = 0; home && i < ARRAY_SIZE(names); i++) {
		autofree char *path = xasprintf("%s/.ssh/%s", home, names[i]);

		if (access(path, R_OK) == 0)
			return true;
	}
	return false;
}

static enum verdict check_keys(struct doctor *d)
{
	char program[] = "ssh-add", list[] = "-l", *argv[] = {program, list, NULL};
	autostrbuf struct strbuf line = STRBUF_INIT;
	int status = -1;

	if (first_line(argv, &line, &status) && status == 0) {
		say(d, "the agent has %s", strbuf_str(&line));
		return GOOD;
	}
	if (has_key_file()) {
		say(d, "a key in ~/.ssh, and %s",
		    status == 1 ? "an agent without any" : "no agent to ask");
		return GOOD;
	}
	say(d, "no key in ~/.ssh, and none in an agent");
	d->fix = "ssh-keygen -t ed25519; unless your ssh configuration names another key";
	return WARN;
}

static enum verdict check_checkout(struct doctor *d)
{
	autofree char *top = NULL;
	struct error err = ERROR_INIT;

	if (git_top(NULL, &top, &err) == -1) {
		say(d, "no checkout here");
		d->fix = "cd into one, or `silver init DIR`";
		return WARN;
	}
	say(d, "%s", top);
	return GOOD;
}

static enum verdict check_remote(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const char *app;

	if (d->options->node) {
		d->place = (struct place){.remote = xstrdup("silver"), .n = 1};
		d->place.host = xcalloc(1, sizeof(*d->place.host));
		d->place.host[0].node = xstrdup(d->options->node);
		d->place.host[0].url = xstrdup("");
		say(d, "--node %s", d->options->node);
		return GOOD;
	}
	if (place_find(&d->place, NULL, d->options->remote, &err) == -1) {
		say(d, "%s", err.text);
		d->fix = "silver remote add HOST:PORT";
		return WARN;
	}
	if (place_app(&d->place, &app, &err) == -1) {
		say(d, "%s", err.text);
		d->fix = "git remote set-url silver ssh://silver@HOST:PORT/APP";
		return BAD;
	}
	autofree char *nodes = place_nodes(&d->place);
	say(d, "%s on %s", app, nodes);
	return GOOD;
}

/* What ssh says where it does not get in, and what to do. */
static const struct {
	const char *said, *fix;
} remedies[] = {
	{"Could not resolve hostname", "the name is not known: mend it, or /etc/hosts, or the DNS"},
	{"Connection refused", "nothing listens there: the port, or silverd on the node"},
	{"Connection timed out", "a firewall, or another address"},
	{"No route to host", "the network, or another address"},
	{"REMOTE HOST IDENTIFICATION HAS CHANGED",
	 "it is another node, or an attack; where you know why: ssh-keygen -R '[HOST]:PORT'"},
	{"Host key verification failed", "ssh to the node once, and compare the fingerprint"},
	{"Permission denied",
	 "the node knows no key that you offer: `silver user add NAME < KEY.pub` there"},
};

static enum verdict tell_failed(struct doctor *d, const char *said)
{
	say(d, "%.*s", (int)strcspn(said, "\n"), said);
	d->fix = "ssh -v says more";
	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (strstr(said, remedies[i].said))
			d->fix = remedies[i].fix;
	return BAD;
}

static enum verdict check_node(struct doctor *d, const struct host *host)
{
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf out = STRBUF_INIT, said = STRBUF_INIT;
	struct tool ssh = {.argv = NULL};
	struct error err = ERROR_INIT;
	char verb[] = "apps", *words[] = {verb};
	int status;

	say(d, "%s: ", host->node ? host->node : host->url);
	if (!host->node)
		return GOOD;
	if (ask_ssh(NULL, NULL, &argv, &err) == -1 ||
	    ask_remote_argv(host->node, false, words, 1, &argv, &err) == -1) {
		say(d, "%s", err.text);
		return BAD;
	}
	ssh.argv = strv_argv(&argv);
	if (tool_capture(&ssh, NULL, &out, &said, &status, &err) == -1) {
		say(d, "%s", err.text);
		return BAD;
	}
	if (status == 0) {
		say(d, "it answers");
		return GOOD;
	}
	return tell_failed(d, strbuf_str(&said));
}

static enum verdict check_nodes(struct doctor *d)
{
	enum verdict worst = GOOD;

	if (d->place.n == 0) {
		say(d, "no node is named");
		d->fix = "--node HOST:PORT, or a git remote";
		return WARN;
	}
	for (size_t i = 0; i < d->place.n; i++) {
		enum verdict one;

		say(d, "%s", i ? "; " : "");
		one = check_node(d, &d->place.host[i]);
		worst = one > worst ? one : worst;
	}
	return worst;
}

static const struct {
	const char *name;
	enum verdict (*check)(struct doctor *d);
} checks[] = {
	{"git", check_git},           {"ssh", check_ssh},       {"keys", check_keys},
	{"checkout", check_checkout}, {"remote", check_remote}, {"node", check_nodes},
};

static void tell(const char *name, enum verdict verdict, const struct doctor *d, struct json *json)
{
	static const char *const words[] = {"ok", "??", "BAD"};
	static const char *const verdicts[] = {"ok", "warning", "bad"};

	if (json) {
		json_open(json, NULL, '{');
		json_str(json, "check", name);
		json_str(json, "verdict", verdicts[verdict]);
		json_str(json, "what", strbuf_str(&d->what));
		json_str(json, "fix", d->fix);
		json_close(json, '}');
		return;
	}
	printf("%-3s  %-8s  %s\n", words[verdict], name, strbuf_str(&d->what));
	if (d->fix)
		printf("%-3s  %-8s  -> %s\n", "", "", d->fix);
	fflush(stdout);
}

int cmd_doctor(struct call *call, struct error *err)
{
	struct doctor d = {.options = call->options};
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct json json = {.out = &text};
	bool as_json = args_has(&call->args, "--json");
	size_t bad = 0;

	if (as_json)
		json_open(&json, NULL, '[');
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		enum verdict verdict;

		strbuf_reset(&d.what);
		d.fix = NULL;
		verdict = checks[i].check(&d);
		bad += verdict == BAD;
		tell(checks[i].name, verdict, &d, as_json ? &json : NULL);
	}
	if (as_json) {
		json_close(&json, ']');
		puts(strbuf_str(&text));
	}
	strbuf_release(&d.what);
	place_release(&d.place);
	if (!bad)
		return 0;
	return error_set(err, E_REFUSED, "%zu of these must be mended", bad);
}
