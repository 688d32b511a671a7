/* own_key.c - the public key of whoever calls. */
#include <errno.h>
#include <fcntl.h>
#include "cli/machine.h"
#include "cli/tool.h"

#define KEY_MAX (64u << 10)

static void first_line(struct strbuf *s)
{
	size_t len = strcspn(strbuf_str(s), "\n");

	if (len < s->len) {
		s->buf[len] = '\0';
		s->len = len;
	}
}

static int read_key(const char *path, struct strbuf *out, struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot open '%s'", path);
	if (strbuf_read_fd(out, fd, KEY_MAX, err) == -1)
		return -1;
	first_line(out);
	if (strstr(strbuf_str(out), "PRIVATE KEY") || !strchr(strbuf_str(out), ' '))
		return error_set(err, E_USAGE,
				 "'%s' is no public key: expected a file like "
				 "~/.ssh/id_ed25519.pub",
				 path);
	return 0;
}

/* The first key of the agent. */
static int ask_agent(struct strbuf *out, struct error *err)
{
	char *const argv[] = {(char[]){"ssh-add"}, (char[]){"-L"}, NULL};
	struct tool tool = {.argv = argv};
	int status;

	if (tool_capture(&tool, NULL, out, NULL, &status, err) == -1)
		return -1;
	if (status != 0)
		strbuf_reset(out);
	first_line(out);
	return 0;
}

int find_key(const char *said, struct strbuf *out, struct error *err)
{
	static const char *const usual[] = {"id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"};
	const char *home = getenv("HOME");
	struct error no_agent = ERROR_INIT;

	if (said)
		return read_key(said, out, err);
	for (size_t i = 0; home && i < ARRAY_SIZE(usual); i++) {
		autofree char *path = xasprintf("%s/.ssh/%s", home, usual[i]);

		if (access(path, R_OK) == 0)
			return read_key(path, out, err);
	}
	if (ask_agent(out, &no_agent) == 0 && out->len)
		return 0;
	return error_set(err, E_NOTFOUND,
			 "which key shall log in? none in ~/.ssh and in the agent: --key FILE.pub");
}
