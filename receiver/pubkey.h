/* pubkey.h - public keys as people hand them in: lines of an id_*.pub or authorized_keys file. */
#pragma once
#include "common/mem.h"

struct pubkey {
	char *key; /* "TYPE BASE64" */
	char *comment;
	char *fingerprint; /* "SHA256:..." */
};
struct pubkeys {
	struct pubkey *v;
	size_t n;
};
#define PUBKEYS_INIT                                                                               \
	{                                                                                          \
		NULL, 0                                                                            \
	}
#define autopubkeys __attribute__((cleanup(pubkeys_release)))
void pubkeys_release(struct pubkeys *keys);

/* Reads all keys of a text, one a line, blank lines and # comments left out. ssh-keygen judges
 * each, so what passes is a key that OpenSSH would take. E_REFUSED "line N: ..." for the first that
 * is none, is too weak, or has options. */
MUST_CHECK int pubkeys_parse(const char *text, struct pubkeys *out, struct error *err);
/* "SHA256:..." of a "TYPE BASE64", or "?" where ssh-keygen does not take it. The caller frees. */
MUST_CHECK int pubkey_fingerprint(const char *key, char **out, struct error *err);
