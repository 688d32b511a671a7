/* config_edit.c - `silver config edit`: what the node prints, an editor, and what came out of it
 * goes back.
 *
 * The text begins with the release that it is from, so the node refuses it where somebody else was
 * quicker. What was refused is not lost: the file stays. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/tool.h"
#include "common/fs.h"
#include "common/words.h"

#define TEXT_MAX (4 << 20)

static const char advice[] = "# NAME=VALUE, to the end of the line; or NAME=\"VALUE\" with \\n \\t "
			     "\\r \\\\ \\\" \\xNN.\n"
			     "# What is not here any more will not be set any more.\n";

struct edit {
	const struct call *call;
	char *path; /* of the file that is edited */
};

/* `silver [--node N] config VERB [APP] WORD...`, with our own options. */
static void add_verb(const struct edit *e, struct strv *argv, const char *verb)
{
	const struct options *o = e->call->options;

	strv_add(argv, "/proc/self/exe");
	if (o->node)
		strv_addf(argv, "--node=%s", o->node);
	if (o->dir)
		strv_addf(argv, "--dir=%s", o->dir);
	if (o->remote)
		strv_addf(argv, "--remote=%s", o->remote);
	strv_add(argv, "config");
	strv_add(argv, verb);
	if (e->call->args.words.n)
		strv_add(argv, e->call->args.words.v[0]);
}

/* Asks the node; its words go to the person. *status is its exit status. */
static int ask(struct strv *argv, const struct strbuf *input, struct strbuf *out, int *status,
	       struct error *err)
{
	autostrbuf struct strbuf said = STRBUF_INIT;
	struct tool tool = {.argv = strv_argv(argv), .in = -1, .out = -1, .err = -1};

	if (tool_capture(&tool, input, out, &said, status, err) == -1)
		return -1;
	fputs(strbuf_str(&said), stderr);
	return 0;
}

/* "12" of "# blog, release 12": the caller frees; NULL: there is no release yet. */
static char *release_of(const char *text)
{
	const char *line = text + strcspn(text, "\n"), *at = strstr(text, ", release ");

	if (!at || at > line)
		return NULL;
	at += strlen(", release ");
	return xstrndup(at, (size_t)(line - at));
}

static int write_file(struct edit *e, const char *text, struct error *err)
{
	const char *dir = getenv("TMPDIR");
	autoclose int fd = -1;

	e->path = xasprintf("%s/silver-config-XXXXXX", dir && *dir == '/' ? dir : "/tmp");
	fd = mkostemp(e->path, O_CLOEXEC); /* 0600 */
	if (fd == -1)
		return error_sys(err, errno, "cannot make '%s'", e->path);
	return fs_write_all(fd, text, strlen(text), err);
}

static int read_file(const struct edit *e, struct strbuf *out, struct error *err)
{
	autoclose int fd = open(e->path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot read '%s'", e->path);
	return strbuf_read_fd(out, fd, TEXT_MAX, err);
}

static void remove_file(const struct edit *e)
{
	struct error none = ERROR_INIT;
	autofree char *dir = xstrndup(e->path, (size_t)(strrchr(e->path, '/') - e->path));
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, &none) == -1 ||
	    fs_unlink(fd, strrchr(e->path, '/') + 1, &none) == -1)
		fprintf(stderr, "silver: %s is still there\n", e->path);
}

/* $VISUAL, $EDITOR, else what Debian has: words as a shell would split them, without one. */
static int run_editor(const struct edit *e, struct error *err)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
	const char *words = visual && *visual ? visual : editor && *editor ? editor : "editor";
	autostrv struct strv argv = STRV_INIT;
	int status = 0;

	if (words_split(words, strlen(words), &argv, err) == -1)
		return error_prefix(err, "$EDITOR");
	strv_add(&argv, e->path);
	struct tool tool = TOOL_INHERIT(strv_argv(&argv));

	if (tool_run(&tool, &status, err) == -1)
		return -1;
	return status == 0
		       ? 0
		       : error_set(err, E_REFUSED, "nothing was changed: '%s' ended with status %d",
				   words, status);
}

static int send_back(const struct edit *e, const struct strbuf *text, const char *release,
		     int *status, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	add_verb(e, &argv, "load");
	if (release) {
		strv_add(&argv, "--was");
		strv_add(&argv, release);
	}
	return ask(&argv, text, NULL, status, err);
}

static int edit(struct edit *e, const struct strbuf *now, int *status, struct error *err)
{
	autofree char *release = release_of(strbuf_str(now)),
		      *text = xasprintf("%s%s", strbuf_str(now), advice);
	autostrbuf struct strbuf after = STRBUF_INIT;
	int r;

	if (write_file(e, text, err) == -1)
		return -1;
	if (run_editor(e, err) == -1 || read_file(e, &after, err) == -1) {
		remove_file(e);
		return -1;
	}
	if (strcmp(strbuf_str(&after), text) == 0) {
		fputs("silver: nothing changed\n", stderr);
		remove_file(e);
		return 0;
	}
	r = send_back(e, &after, release, status, err);
	if (r == 0 && *status == 0)
		remove_file(e);
	else
		fprintf(stderr, "silver: what you wrote is in %s; `silver config load %s< %s`\n",
			e->path, e->call->args.words.n ? "APP " : "", e->path);
	return r;
}

int cmd_config_edit(struct call *call, struct error *err)
{
	struct edit e = {.call = call};
	autostrbuf struct strbuf now = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT;
	int r;

	add_verb(&e, &argv, "show");
	if (ask(&argv, NULL, &now, &call->status, err) == -1)
		return -1;
	if (call->status)
		return 0;
	r = edit(&e, &now, &call->status, err);
	free(e.path);
	return r;
}
