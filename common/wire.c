#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control { /* aligned for cmsghdr, as cmsg(3) asks */
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
};

int wire_pair(int out[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out) == -1)
		return error_sys(err, errno, "cannot make a socket pair");
	return 0;
}

static void *unconst(const void *p)
{
	union {
		const void *in;
		void *out;
	} u = {.in = p};

	return u.out;
}

static void attach_fds(struct msghdr *msg, union control *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *header;

	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	header = CMSG_FIRSTHDR(msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
}

int wire_send(int fd, const char *const *words, size_t n, const int *fds, size_t n_fds,
	      struct error *err)
{
	struct iovec part[WIRE_STRINGS];
	struct msghdr msg = {.msg_iov = part, .msg_iovlen = n};
	union control control = {0};
	size_t total = 0;
	ssize_t sent;

	if (n == 0 || n > WIRE_STRINGS || n_fds > WIRE_FDS)
		return error_set(err, E_SYSTEM, "a message of %zu strings", n);
	for (size_t i = 0; i < n; i++) {
		part[i].iov_base = unconst(words[i]); /* sendmsg only reads it */
		part[i].iov_len = strlen(words[i]) + 1;
		total += part[i].iov_len;
	}
	if (total > WIRE_MAX)
		return error_set(err, E_REFUSED, "a message of %zu bytes", total);
	if (n_fds)
		attach_fds(&msg, &control, fds, n_fds);
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	if (sent == -1)
		return error_sys(err, errno, "cannot send '%s'", words[0]);
	return 0;
}

static void take_fds(struct wire_message *m, struct msghdr *msg)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(msg); header; header = CMSG_NXTHDR(msg, header)) {
		size_t n;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(m->fd, CMSG_DATA(header), n * sizeof(int));
		m->n_fds = n;
	}
}

/* Cuts bytes[0..len) into words. */
static int split(struct wire_message *m, size_t len, struct error *err)
{
	if (m->bytes[len - 1] != '\0')
		return error_set(err, E_SYSTEM, "a message without an end");
	for (size_t at = 0; at < len; at += strlen(m->bytes + at) + 1) {
		if (m->n == WIRE_STRINGS)
			return error_set(err, E_SYSTEM, "a message of too many strings");
		m->word[m->n++] = m->bytes + at;
	}
	return 0;
}

int wire_recv(int fd, struct wire_message *m, struct error *err)
{
	struct iovec all = {.iov_base = m->bytes, .iov_len = sizeof(m->bytes)};
	union control control = {0};
	struct msghdr msg = {.msg_iov = &all,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t len;

	m->n = m->n_fds = 0;
	do
		len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (len == -1 && errno == EINTR);
	if (len == -1 && errno == EAGAIN)
		return error_set(err, E_BUSY, "no message yet");
	if (len == -1 && errno == ECONNRESET)
		return 0; /* the peer died with our words unread */
	if (len == -1)
		return error_sys(err, errno, "cannot receive");
	if (len == 0)
		return 0;
	take_fds(m, &msg);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		wire_release(m);
		return error_set(err, E_SYSTEM, "a message that is too long");
	}
	if (split(m, (size_t)len, err) == -1) {
		wire_release(m);
		return -1;
	}
	return 1;
}

void wire_release(struct wire_message *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		fd_close(&m->fd[i]);
	m->n_fds = 0;
}
