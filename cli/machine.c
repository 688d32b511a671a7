#include "cli/machine.h"

#include <fcntl.h>
#include "cli/ask.h"
#include "cli/provider.h"
#include "cli/tool.h"
#include "common/fs.h"
#include "common/proc.h"

#define SCRIPT_MAX (64u << 10)

/* Behind the login shell of whoever logs in: $0 is the script. */
#define AS_ROOT                                                                                    \
	"[ \"$(id -u)\" -eq 0 ] || exec sudo -n -- sh -c \"$0\" silver \"$@\"; "                   \
	"exec sh -c \"$0\" silver \"$@\""

void machine_release(struct machine *m)
{
	free(m->host);
	free(m->login);
	free(m->ssh);
	free(m->http);
	strv_free_p(&m->names);
	strv_free_p(&m->values);
}

/* Of a machine that `silver create-node` made, what its provider told. */
static int look_up(struct machine *m, const char *name, struct error *err)
{
	autonote struct machine_note note = {0};

	if (strpbrk(name, "@:.") || note_read(name, &note, err) == -1)
		return strpbrk(name, "@:.") || err->code == E_NOTFOUND || err->code == E_USAGE ? 0
											       : -1;
	m->login = steal_ptr(&note.login);
	m->ssh = steal_ptr(&note.ssh);
	m->http = steal_ptr(&note.http);
	return 0;
}

int machine_open(struct machine *out, const char *host, struct error *err)
{
	autofree char *user = NULL, *port = NULL;

	*out = (struct machine){0};
	if (look_up(out, host, err) == -1)
		return -1;
	if (!out->login)
		out->login = strchr(host, '@') ? xstrdup(host) : xasprintf("root@%s", host);
	return ask_split_node(out->login, &user, &out->host, &port, err);
}

/* Installed below share/silver, in the sources below cli/. */
static int read_script(struct strbuf *out, struct error *err)
{
	autofree char *share = proc_share_dir();
	autofree char *installed = xasprintf("%s/node", share), *built = NULL;
	autoclose int fd = open(installed, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1) {
		built = xasprintf("%s/../cli/node", share);
		if (fs_open_dir(AT_FDCWD, built, &fd, err) == -1)
			return error_prefix(err, "silver is not wholly installed");
	}
	return fs_read_file(fd, "setup-node", SCRIPT_MAX, out, err);
}

static void take_facts(struct machine *m, const char *text)
{
	strv_free_p(&m->names);
	strv_free_p(&m->values);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");

		strv_addf(&m->names, "%.*s", (int)name, line);
		strv_addf(&m->values, "%.*s", name < len ? (int)(len - name - 1) : 0,
			  line + name + (name < len));
		line += len + (line[len] == '\n');
	}
}

static int ended_badly(const struct machine *m, int status, struct error *err)
{
	if (status == 255)
		return error_set(err, E_SYSTEM, "cannot log in as %s by ssh", m->login);
	return error_set(err, status > 0 && status <= E_SYSTEM ? (enum error_code)status : E_SYSTEM,
			 "%s was not brought to where it should be (status %d); it can be run "
			 "again at any time",
			 m->host, status);
}

int machine_run(struct machine *m, const char *const *words, int in, struct error *err)
{
	autostrbuf struct strbuf script = STRBUF_INIT, facts = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT, remote = STRV_INIT;
	struct tool ssh = {.in = in, .err = 2};
	int status = 0;

	if (read_script(&script, err) == -1)
		return -1;
	strv_add(&remote, "sh");
	strv_add(&remote, "-c");
	strv_add(&remote, AS_ROOT);
	strv_add(&remote, strbuf_str(&script));
	for (; *words; words++)
		strv_add(&remote, *words);
	if (ask_ssh(NULL, NULL, &argv, err) == -1 ||
	    ask_remote_argv(m->login, false, strv_argv(&remote), remote.n, &argv, err) == -1)
		return -1;
	ssh.argv = strv_argv(&argv);
	if (tool_answer(&ssh, &facts, &status, err) == -1)
		return -1;
	if (status != 0)
		return ended_badly(m, status, err);
	take_facts(m, strbuf_str(&facts));
	return 0;
}

const char *machine_fact(const struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->names.n; i++)
		if (!strcmp(m->names.v[i], name))
			return m->values.v[i];
	return "";
}
