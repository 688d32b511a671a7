#include "receiver/ssh_request.h"

#include <sys/ioctl.h>

static bool is_printable(const char *s, size_t most)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return false;
	return len > 0 && len <= most;
}

static unsigned clamp(int n, unsigned otherwise)
{
	return n > 0 && n <= 0xffff ? (unsigned)n : otherwise;
}

static void take_size(struct ssh_request *r, int cols, int rows)
{
	r->cols = clamp(cols, 80);
	r->rows = clamp(rows, 24);
}

static int on_pty(ssh_session session, ssh_channel channel, const char *term, int cols, int rows,
		  int width, int height, void *userdata)
{
	struct ssh_request *r = userdata;

	(void)session;
	(void)channel;
	(void)width;
	(void)height;
	if (r->asked)
		return SSH_ERROR;
	snprintf(r->term, sizeof(r->term), "%s", is_printable(term, 64) ? term : "dumb");
	take_size(r, cols, rows);
	return SSH_OK;
}

static int on_window_change(ssh_session session, ssh_channel channel, int cols, int rows, int width,
			    int height, void *userdata)
{
	struct ssh_request *r = userdata;
	struct winsize size = {0};

	(void)session;
	(void)channel;
	(void)width;
	(void)height;
	if (!r->term[0])
		return SSH_ERROR;
	take_size(r, cols, rows);
	size.ws_col = (unsigned short)r->cols;
	size.ws_row = (unsigned short)r->rows;
	if (r->pty_fd != -1)
		(void)ioctl(r->pty_fd, TIOCSWINSZ, &size); /* a child that has ended needs none */
	return SSH_OK;
}

static bool is_git_protocol(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789=:");

	return len > 0 && len <= 64 && s[len] == '\0';
}

static int on_env(ssh_session session, ssh_channel channel, const char *name, const char *value,
		  void *userdata)
{
	struct ssh_request *r = userdata;

	(void)session;
	(void)channel;
	if (r->asked || strcmp(name, "GIT_PROTOCOL") != 0 || !is_git_protocol(value))
		return SSH_ERROR;
	snprintf(r->git_protocol, sizeof(r->git_protocol), "%s", value);
	return SSH_OK;
}

/* Whatever comes of it is said on the channel's stderr: a refused request tells people nothing. */
static int on_exec(ssh_session session, ssh_channel channel, const char *command, void *userdata)
{
	struct ssh_request *r = userdata;

	(void)session;
	(void)channel;
	if (r->asked)
		return SSH_ERROR;
	r->command = xstrdup(command);
	r->asked = true;
	return SSH_OK;
}

static int on_shell(ssh_session session, ssh_channel channel, void *userdata)
{
	struct ssh_request *r = userdata;

	(void)session;
	(void)channel;
	if (r->asked)
		return SSH_ERROR;
	r->asked = true;
	return SSH_OK;
}

static void on_close(ssh_session session, ssh_channel channel, void *userdata)
{
	struct ssh_request *r = userdata;

	(void)session;
	(void)channel;
	r->closed = true;
}

ssh_channel ssh_request_on_open(struct ssh_request *r, ssh_session session)
{
	if (r->channel)
		return NULL;
	r->channel = ssh_channel_new(session);
	if (!r->channel)
		return NULL;
	r->callbacks = (struct ssh_channel_callbacks_struct){
		.userdata = r,
		.channel_pty_request_function = on_pty,
		.channel_pty_window_change_function = on_window_change,
		.channel_env_request_function = on_env,
		.channel_exec_request_function = on_exec,
		.channel_shell_request_function = on_shell,
		.channel_close_function = on_close,
	};
	ssh_callbacks_init(&r->callbacks);
	ssh_add_channel_callbacks(r->channel, &r->callbacks);
	return r->channel;
}

void ssh_request_release(struct ssh_request *r)
{
	free(r->command);
	*r = (struct ssh_request)SSH_REQUEST_INIT;
}
