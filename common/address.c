#include "common/address.h"
#include <arpa/inet.h>
#include <errno.h>

static int parse_host(const char *host, bool bracketed, union address *out)
{
	if (bracketed) {
		out->v6.sin6_family = AF_INET6;
		return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 ? 0 : -1;
	}
	out->v4.sin_family = AF_INET;
	return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? 0 : -1;
}

static void set_port(union address *a, uint64_t port)
{
	if (a->any.sa_family == AF_INET6)
		a->v6.sin6_port = htons((uint16_t)port);
	else
		a->v4.sin_port = htons((uint16_t)port);
}

int address_parse(const char *text, union address *out, struct error *err)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[' && colon && colon > text && colon[-1] == ']';
	autofree char *host = NULL;
	uint64_t port;

	*out = (union address){0};
	if (colon)
		host = bracketed ? xstrndup(text + 1, (size_t)(colon - text) - 2)
				 : xstrndup(text, (size_t)(colon - text));
	if (!colon || !str_to_uint(colon + 1, 65535, &port) ||
	    parse_host(host, bracketed, out) == -1)
		return error_set(err, E_USAGE,
				 "'%s' is no address: expected ADDR:PORT with a numeric ADDR, "
				 "like 127.0.0.1:2222 or [::1]:2222",
				 text);
	set_port(out, port);
	return 0;
}

socklen_t address_len(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

unsigned address_port(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

char *address_host(const union address *a)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, text, sizeof(text));
	else if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], text, sizeof(text));
	else if (a->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof(text));
	return xstrdup(text);
}

char *address_text(const union address *a)
{
	autofree char *host = address_host(a);

	return xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, address_port(a));
}

static int bind_failed(int saved_errno, const char *text, const char *what, struct error *err)
{
	switch (saved_errno) {
	case EADDRINUSE:
		return error_set(err, E_SYSTEM,
				 "%s address %s is in use by another program: choose another one "
				 "with --%s ADDR:PORT (port 0: any free one), or end that program "
				 "(`ss -ltnp` names it)",
				 what, text, what);
	case EACCES:
		return error_set(err, E_SYSTEM,
				 "%s address %s: ports below 1024 are for root: choose another one "
				 "with --%s ADDR:PORT",
				 what, text, what);
	case EADDRNOTAVAIL:
		return error_set(err, E_SYSTEM,
				 "%s address %s: this machine has no such address (`ip addr` lists "
				 "them)",
				 what, text);
	default:
		return error_sys(err, saved_errno, "cannot bind %s address %s", what, text);
	}
}

int address_bind(const char *text, const char *what, union address *bound, int *out,
		 struct error *err)
{
	autoclose int fd = -1;
	socklen_t len = sizeof(*bound);
	int on = 1;

	if (address_parse(text, bound, err) == -1)
		return error_prefix(err, "%s", what);
	fd = socket(bound->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return error_sys(err, errno, "cannot open a socket for %s", what);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bound->any.sa_family == AF_INET6) /* [::] beside 0.0.0.0 is two nodes' right */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &bound->any, address_len(bound)) == -1)
		return bind_failed(errno, text, what, err);
	if (getsockname(fd, &bound->any, &len) == -1)
		return error_sys(err, errno, "cannot read the address of %s", what);
	*out = steal_fd(&fd);
	return 0;
}
