/* address.h - "ADDR:PORT" as node.ini and the options of silverd give it.
 *
 * ADDR is a number, IPv4 or IPv6 in brackets; no names, so nothing here asks a resolver. Port 0
 * leaves the choice to the kernel. */
#pragma once
#include <sys/socket.h>
#include <netinet/in.h>
#include "common/mem.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

/* E_USAGE says what form is expected. */
MUST_CHECK int address_parse(const char *text, union address *out, struct error *err);
socklen_t address_len(const union address *a);
unsigned address_port(const union address *a);
/* "127.0.0.1:2222" or "[::1]:2222"; without port: "127.0.0.1", "::1" (IPv4-mapped ones as IPv4).
 * The caller frees. */
char *address_text(const union address *a);
char *address_host(const union address *a);
/* A bound stream socket, not yet listening, non-blocking; *bound is where the kernel put it. A port
 * in use or out of reach is E_SYSTEM with a remedy; `what` is for its text ("ssh"). */
MUST_CHECK int address_bind(const char *text, const char *what, union address *bound, int *out,
			    struct error *err);
