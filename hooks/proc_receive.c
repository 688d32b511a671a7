#include "hooks/proc_receive.h"

#include <unistd.h>
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"

#define LINE_MAX_BYTES 65516 /* of a pkt-line, gitprotocol-common(5) */

/* "OLD NEW REF", as git sends it. */
struct command {
	char old_oid[OID_HEX], new_oid[OID_HEX];
	const char *ref;
};

static int broken(struct error *err)
{
	return error_set(err, E_SYSTEM, "git does not speak as githooks(5) says of proc-receive");
}

/* 1: a line; 0: a flush, the end of a list. */
static int read_line(struct strbuf *line, struct error *err)
{
	char digits[5] = "", buf[LINE_MAX_BYTES];
	char *end;
	size_t len;

	strbuf_reset(line);
	if (fread(digits, 1, 4, stdin) != 4)
		return broken(err);
	len = strtoul(digits, &end, 16);
	if (end != digits + 4 || (len != 0 && len < 4) || len > sizeof(buf) + 4)
		return broken(err);
	if (len == 0)
		return 0;
	if (fread(buf, 1, len - 4, stdin) != len - 4)
		return broken(err);
	strbuf_add(line, buf, len - 4);
	while (line->len && line->buf[line->len - 1] == '\n')
		line->buf[--line->len] = '\0';
	return 1;
}

/* Lines up to a flush; what git puts behind a NUL in them is left out. */
static int read_list(struct strv *list, struct error *err)
{
	autostrbuf struct strbuf line = STRBUF_INIT;
	int r;

	while ((r = read_line(&line, err)) == 1)
		strv_add(list, strbuf_str(&line));
	return r;
}

static void PRINTF_LIKE(2, 3) add_line(struct strbuf *out, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	strbuf_addf(out, "%04zx%s", strlen(text) + 4, text);
}

/* Its first line is "version=1", a NUL, and what it can do. */
static int greet(bool *options, struct error *err)
{
	/* it sends options to whoever says that it takes them, and else none */
	static const char plain[] = "000dversion=10000", both[] = "001aversion=1\0push-options0000";
	autostrbuf struct strbuf line = STRBUF_INIT;
	autostrv struct strv rest = STRV_INIT;
	size_t version;

	if (read_line(&line, err) != 1)
		return broken(err);
	version = strlen(line.buf);
	if (strcmp(line.buf, "version=1") != 0)
		return broken(err);
	*options = version < line.len && strstr(line.buf + version + 1, "push-options");
	if (read_list(&rest, err) == -1)
		return -1;
	return *options ? fs_write_all(STDOUT_FILENO, both, sizeof(both) - 1, err)
			: fs_write_all(STDOUT_FILENO, plain, sizeof(plain) - 1, err);
}

static int parse(const char *line, struct command *out, struct error *err)
{
	if (strlen(line) < 83 || line[40] != ' ' || line[81] != ' ')
		return broken(err);
	memcpy(out->old_oid, line, 40);
	memcpy(out->new_oid, line + 41, 40);
	out->old_oid[40] = out->new_oid[40] = '\0';
	out->ref = line + 82;
	return name_is_oid(out->old_oid) && name_is_oid(out->new_oid) ? 0 : broken(err);
}

static int set_aside(const struct command *c, struct release_info *out, struct error *err)
{
	struct app app = {.fd = -1};
	int r = app_open_from_environment(&app, err);

	/* held since pre-receive */
	if (r == 0)
		r = lock_take(app.lock_fd, app.user, app.node.lock_wait_ms, err);
	if (r == 0)
		r = transaction_set_aside(&app, c->new_oid, c->old_oid, out, err);
	if (r == 0) {
		report_staged(&app, out);
	} else {
		error_report(err);
		report_unchanged(&app);
	}
	app_release(&app);
	return r;
}

static int stage(const char *line, struct strbuf *out, struct error *err)
{
	autorelease struct release_info staged = RELEASE_INFO_INIT;
	struct error why = ERROR_INIT;
	struct command c;

	if (parse(line, &c, err) == -1)
		return -1;
	if (set_aside(&c, &staged, &why) == -1) {
		add_line(out, "ng %s it could not be staged", c.ref);
		return 0;
	}
	add_line(out, "ok %s", c.ref);
	add_line(out, "option refname refs/staged/%u", staged.number);
	add_line(out, "option old-oid %040d", 0);
	add_line(out, "option new-oid %s", c.new_oid);
	return 0;
}

/* "ok", and git does what it would have done without us. */
static int pass(const struct strv *commands, struct strbuf *out, struct error *err)
{
	for (size_t i = 0; i < commands->n; i++) {
		struct command c;

		if (parse(commands->v[i], &c, err) == -1)
			return -1;
		add_line(out, "ok %s", c.ref);
		add_line(out, "option fall-through");
	}
	return 0;
}

static int answer(struct error *err)
{
	autostrv struct strv commands = STRV_INIT, options = STRV_INIT;
	autostrbuf struct strbuf out = STRBUF_INIT;
	bool has_options;
	int r;

	if (greet(&has_options, err) == -1 || read_list(&commands, err) == -1 ||
	    (has_options && read_list(&options, err) == -1))
		return -1;
	if (commands.n == 1 && strv_has(&options, "stage")) /* pre-receive saw to that */
		r = stage(commands.v[0], &out, err);
	else
		r = pass(&commands, &out, err);
	if (r == -1)
		return -1;
	strbuf_addstr(&out, "0000");
	return fs_write_all(STDOUT_FILENO, out.buf, out.len, err);
}

int proc_receive(void)
{
	struct error err = ERROR_INIT;

	return answer(&err) == -1 ? error_report(&err) : E_OK;
}
