#include "receiver/ssh_server.h"

#include <libssh/callbacks.h>
#include <libssh/server.h>
#include "common/proc.h"
#include "receiver/ssh_conn.h"
#include "receiver/ssh_exit.h"
#include "receiver/ssh_login.h"
#include "receiver/ssh_pump.h"
#include "receiver/ssh_request.h"
#include "common/words.h"

struct server {
	const struct session_serve *serve;
	struct session_monitor *monitor;
	struct ssh_conn conn;
	struct ssh_login login;
	struct ssh_request request;
	struct ssh_server_callbacks_struct callbacks;
};

static int on_public_key(ssh_session session, const char *user, ssh_key key, char state,
			 void *userdata)
{
	struct server *s = userdata;

	(void)session;
	(void)user; /* says nothing about who is there */
	return ssh_login_on_public_key(&s->login, key, state);
}

static ssh_channel on_channel_open(ssh_session session, void *userdata)
{
	struct server *s = userdata;

	return s->login.granted ? ssh_request_on_open(&s->request, session) : NULL;
}

/* What no other callback takes; 1 lets libssh refuse it. */
static int on_message(ssh_session session, ssh_message msg, void *userdata)
{
	struct server *s = userdata;

	(void)session;
	return s->login.granted ? 1 : ssh_login_on_message(&s->login, msg);
}

static int open_connection(struct server *s, struct error *err)
{
	if (ssh_conn_open(&s->conn, s->serve->fd, s->serve->host_key, err) == -1)
		return -1;
	s->callbacks = (struct ssh_server_callbacks_struct){
		.userdata = s,
		.auth_pubkey_function = on_public_key,
		.channel_open_request_session_function = on_channel_open,
	};
	ssh_callbacks_init(&s->callbacks);
	ssh_set_server_callbacks(s->conn.session, &s->callbacks);
	ssh_set_message_callback(s->conn.session, on_message, s);
	ssh_set_auth_methods(s->conn.session,
			     SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_INTERACTIVE);
	return ssh_conn_start(&s->conn, err);
}

static bool wait_for_command(struct server *s)
{
	int64_t deadline = clock_ms() + s->serve->idle_ms;

	while (!s->request.asked && !s->request.closed && !s->conn.gone) {
		int64_t left = deadline - clock_ms();

		if (left <= 0)
			return false;
		ssh_conn_quick_ack(&s->conn);
		ssh_conn_wait(&s->conn, (int)left);
	}
	return s->request.asked && !s->conn.gone;
}

static void refuse(struct server *s, int status, const char *text)
{
	ssh_exit_tell(&s->conn, &s->request, text);
	ssh_exit_send(&s->conn, &s->request, status, s->serve->idle_ms);
}

static void end_command(struct server *s, enum pump_end end, int status)
{
	autofree char *idle = NULL;

	switch (end) {
	case PUMP_EXIT:
		ssh_exit_send(&s->conn, &s->request, status, s->serve->idle_ms);
		break;
	case PUMP_ORPHAN:
		refuse(s, E_SYSTEM,
		       "silverd ended meanwhile; whether this took effect shows once it is back");
		break;
	case PUMP_IDLE:
		idle = xasprintf("closed: nothing moved for %d s", s->serve->idle_ms / 1000);
		refuse(s, E_REFUSED, idle);
		break;
	case PUMP_VANISHED:
		break;
	}
}

static int run_child(struct server *s, const struct session_run *run, struct error *err)
{
	struct ssh_pump *pump = ssh_pump_new(&s->conn, &s->request, s->monitor, run);
	enum pump_end end = PUMP_VANISHED;
	int status = 0;
	int r;

	if (run->pty)
		s->request.pty_fd = run->in;
	r = ssh_pump_run(pump, run->patient ? -1 : s->serve->idle_ms, &end, &status, err);
	if (r == 0)
		end_command(s, end, status);
	s->request.pty_fd = -1;
	if (run->drain && (r == -1 || end == PUMP_VANISHED || end == PUMP_IDLE)) {
		ssh_conn_end(&s->conn, NULL);
		ssh_pump_drain(pump);
	}
	ssh_pump_free(pump);
	return r;
}

static int run_words(struct server *s, const struct strv *words, struct error *err)
{
	const struct session_exec exec = {
		.git_protocol = s->request.git_protocol,
		.term = s->request.term,
		.cols = s->request.cols,
		.rows = s->request.rows,
		.words = words,
	};
	struct session_run run;

	if (session_monitor_exec(s->monitor, &exec, &run, err) == -1)
		return -1;
	if (run.accepted)
		return run_child(s, &run, err);
	refuse(s, run.code, run.text);
	free(run.text);
	return 0;
}

static int serve_command(struct server *s, struct error *err)
{
	const char *command = s->request.command ? s->request.command : "";
	autostrv struct strv words = STRV_INIT;
	struct error bad = ERROR_INIT;

	if (words_split(command, strlen(command), &words, &bad) == -1) {
		refuse(s, (int)bad.code, bad.text);
		return 0;
	}
	return run_words(s, &words, err);
}

static int serve(struct server *s, struct error *err)
{
	if (open_connection(s, err) == -1 ||
	    ssh_login_run(&s->login, clock_ms() + s->serve->grace_ms, err) == -1)
		return -1;
	if (!s->login.granted || !wait_for_command(s))
		return 0;
	return serve_command(s, err);
}

int ssh_server_run(const struct session_serve *serve_what, struct session_monitor *m,
		   bool *logged_in, struct error *err)
{
	struct server s = {
		.serve = serve_what,
		.monitor = m,
		.conn = {.fd = -1},
		.login = SSH_LOGIN_INIT(&s.conn, m),
		.request = SSH_REQUEST_INIT,
	};
	int r = serve(&s, err);

	*logged_in = s.login.granted;
	ssh_conn_end(&s.conn, NULL);
	ssh_login_release(&s.login);
	ssh_request_release(&s.request);
	return r;
}
