#include "receiver/ssh_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "common/proc.h"

#define PACKETS_PER_TURN 32   /* libssh reads 4 KB at a time; fewer turns of the outer loop */
#define FAREWELL_MS      1000 /* how long a peer may take to read our last words */

/* A network that vanished without a word is noticed after 90 s. */
static void set_socket_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
		{IPPROTO_TCP, TCP_KEEPCNT, 6},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 90000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) /* none is vital */
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

void ssh_conn_quick_ack(const struct ssh_conn *c)
{
	int on = 1;

	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

unsigned ssh_conn_round_trip_us(const struct ssh_conn *c)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_rtt : 0;
}

int ssh_conn_warm_up(struct error *err)
{
	ssh_key key = NULL;
	unsigned char *hash = NULL;
	size_t len;

	if (ssh_init() != SSH_OK)
		return error_set(err, E_SYSTEM, "cannot initialise libssh");
	if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK ||
	    ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) != SSH_OK) {
		ssh_key_free(key);
		return error_set(err, E_SYSTEM, "libssh cannot make an ed25519 key");
	}
	ssh_clean_pubkey_hash(&hash);
	ssh_key_free(key);
	return 0;
}

static const struct {
	enum ssh_bind_options_e name;
	const char *value;
} bind_options[] = {
	{SSH_BIND_OPTIONS_KEY_EXCHANGE, "curve25519-sha256,curve25519-sha256@libssh.org"},
	{SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, "ssh-ed25519"},
	{SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES,
	 "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,"
	 "ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"},
	{SSH_BIND_OPTIONS_CIPHERS_C_S, "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,"
				       "aes128-gcm@openssh.com,aes256-ctr,aes128-ctr"},
	{SSH_BIND_OPTIONS_CIPHERS_S_C, "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,"
				       "aes128-gcm@openssh.com,aes256-ctr,aes128-ctr"},
	{SSH_BIND_OPTIONS_HMAC_C_S, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
				    "hmac-sha2-256,hmac-sha2-512"},
	{SSH_BIND_OPTIONS_HMAC_S_C, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
				    "hmac-sha2-256,hmac-sha2-512"},
};

static int set_bind_options(ssh_bind bind, ssh_key key, struct error *err)
{
	bool no = false;

	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) != SSH_OK)
		return error_set(err, E_SYSTEM, "libssh wants its configuration file");
	for (size_t i = 0; i < ARRAY_SIZE(bind_options); i++)
		if (ssh_bind_options_set(bind, bind_options[i].name, bind_options[i].value) !=
		    SSH_OK)
			return error_set(err, E_SYSTEM, "libssh does not know '%s'",
					 bind_options[i].value);
	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK)
		return error_set(err, E_SYSTEM, "libssh does not take the host key");
	return 0;
}

static int accept_fd(ssh_bind bind, ssh_session session, int fd, struct error *err)
{
	/* before login nobody shall make us inflate anything, and git packs are compressed */
	if (ssh_options_set(session, SSH_OPTIONS_COMPRESSION, "no") != SSH_OK)
		return error_set(err, E_SYSTEM, "libssh cannot do without compression");
	if (ssh_bind_accept_fd(bind, session, fd) != SSH_OK)
		return error_set(err, E_SYSTEM, "libssh: %s", ssh_get_error(bind));
	ssh_set_blocking(session, 0);
	return 0;
}

static int bind_and_accept(struct ssh_conn *c, int fd, const char *host_key, struct error *err)
{
	ssh_key key = NULL;
	ssh_bind bind;
	int r;

	if (ssh_pki_import_privkey_base64(host_key, NULL, NULL, NULL, &key) != SSH_OK)
		return error_set(err, E_SYSTEM, "the host key cannot be read");
	if (ssh_key_type(key) != SSH_KEYTYPE_ED25519) {
		ssh_key_free(key);
		return error_set(err, E_SYSTEM, "the host key is not ed25519");
	}
	bind = ssh_bind_new();
	if (!bind) {
		ssh_key_free(key);
		return error_set(err, E_SYSTEM, "libssh is out of memory");
	}
	r = set_bind_options(bind, key, err); /* from IMPORT_KEY on the key is bind's */
	if (r == 0)
		r = accept_fd(bind, c->session, fd, err);
	ssh_bind_free(bind);
	return r;
}

int ssh_conn_open(struct ssh_conn *c, int fd, const char *host_key, struct error *err)
{
	*c = (struct ssh_conn){.session = ssh_new(), .event = ssh_event_new(), .fd = fd};
	if (!c->session || !c->event)
		return error_set(err, E_SYSTEM, "libssh is out of memory");
	set_socket_options(fd);
	/* libssh writes as much as it has: a full socket must not block the session */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		return error_sys(err, errno, "cannot make the connection non-blocking");
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd == -1)
		return error_sys(err, errno, "cannot duplicate the connection");
	return bind_and_accept(c, fd, host_key, err);
}

static void check(struct ssh_conn *c)
{
	if (ssh_get_status(c->session) & (SSH_CLOSED | SSH_CLOSED_ERROR) ||
	    !ssh_is_connected(c->session))
		c->gone = true;
}

int ssh_conn_start(struct ssh_conn *c, struct error *err)
{
	/* Sends our banner, and makes the poll handle that the event then takes over. */
	if (ssh_handle_key_exchange(c->session) == SSH_ERROR)
		c->gone = true;
	else if (ssh_event_add_session(c->event, c->session) != SSH_OK)
		return error_set(err, E_SYSTEM, "libssh does not take the connection");
	return 0;
}

struct pollfd ssh_conn_pollfd(const struct ssh_conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	if (ssh_get_poll_flags(c->session) & SSH_WRITE_PENDING)
		p.events |= POLLOUT;
	return p;
}

void ssh_conn_turn(struct ssh_conn *c, short revents)
{
	if (revents == 0)
		return;
	for (int i = 0; i < PACKETS_PER_TURN && !c->gone; i++) {
		int r = ssh_event_dopoll(c->event, 0);

		check(c);
		if (r != SSH_OK)
			break;
	}
}

void ssh_conn_wait(struct ssh_conn *c, int timeout_ms)
{
	struct pollfd p = ssh_conn_pollfd(c);

	if (poll(&p, 1, timeout_ms) > 0)
		ssh_conn_turn(c, p.revents);
}

bool ssh_conn_is_clogged(const struct ssh_conn *c)
{
	return ssh_get_status(c->session) & SSH_WRITE_PENDING;
}

/* Closing a socket with unread bytes resets it, and the peer would lose what we said last. */
static void wait_for_peer_to_hang_up(int fd)
{
	int64_t deadline = clock_ms() + FAREWELL_MS;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char dropped[4096];

	for (;;) {
		int64_t left = deadline - clock_ms();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			break;
		if (read(fd, dropped, sizeof(dropped)) <= 0)
			break;
	}
}

static void say_goodbye(struct ssh_conn *c, const char *text)
{
	int64_t deadline = clock_ms() + FAREWELL_MS;

	/* libssh sends only after it saw the socket writable, and then closes its descriptor */
	while (!c->gone && ssh_get_poll_flags(c->session) & SSH_WRITE_PENDING &&
	       clock_ms() < deadline)
		ssh_conn_wait(c, (int)(deadline - clock_ms()));
	if (c->gone)
		return;
	if (text)
		(void)ssh_session_set_disconnect_message(c->session, text);
	ssh_disconnect(c->session);
	c->gone = true;
	shutdown(c->fd, SHUT_WR);
	wait_for_peer_to_hang_up(c->fd);
}

void ssh_conn_end(struct ssh_conn *c, const char *text)
{
	if (!c->gone)
		say_goodbye(c, text);
	fd_close(&c->fd);
}
