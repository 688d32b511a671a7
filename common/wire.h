/* wire.h - messages between our own processes: a list of strings in one SOCK_SEQPACKET datagram.
 *
 * On the wire each string is its bytes and a NUL; at most WIRE_MAX bytes and WIRE_STRINGS strings.
 * A datagram that does not end in NUL, is cut, or holds too many strings is an error, never a
 * guess. Up to WIRE_FDS descriptors travel along (SCM_RIGHTS) and arrive CLOEXEC; they are the
 * receiver's. */
#pragma once
#include "common/mem.h"

#define WIRE_MAX     65536
#define WIRE_STRINGS 512
#define WIRE_FDS     4

struct wire_message {
	size_t n;
	char *word[WIRE_STRINGS]; /* into bytes */
	int fd[WIRE_FDS];
	size_t n_fds;
	char bytes[WIRE_MAX];
};

MUST_CHECK int wire_pair(int out[2], struct error *err); /* CLOEXEC SEQPACKET socketpair */
/* A string may not be NULL. */
MUST_CHECK int wire_send(int fd, const char *const *words, size_t n, const int *fds, size_t n_fds,
			 struct error *err);
/* 1: a message; 0: the peer is gone; -1: error. With MSG_DONTWAIT semantic if fd is non-blocking:
 * -1 with code E_BUSY when nothing is there. Release with wire_release() (closes fds nobody took;
 * set to -1 what was taken). */
MUST_CHECK int wire_recv(int fd, struct wire_message *m, struct error *err);
void wire_release(struct wire_message *m);
#define WIRE_SEND(fd, err, ...)                                                                    \
	wire_send((fd), (const char *const[]){__VA_ARGS__},                                        \
		  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), NULL, 0, (err))
