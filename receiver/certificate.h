/* certificate.h - what a certificate says, and whether it can be served: the home of libcrypto.
 *
 * A PEM text here is what nginx reads: the private key and the chain in one file, so that one
 * rename replaces both. */
#pragma once
#include "common/mem.h"

struct certificate {
	char *issuer;             /* the common name, "" where it has none; may not be printable */
	int64_t begins_s, ends_s; /* since 1970 */
};
#define autocertificate __attribute__((cleanup(certificate_release)))
void certificate_release(struct certificate *c);

/* The first certificate of the text is for this host, and the text's private key belongs to it.
 * E_REFUSED says what is wrong. When it is valid is the caller's to judge. */
MUST_CHECK int certificate_read(const struct strbuf *pem, const char *host, struct certificate *out,
				struct error *err);
/* E_REFUSED: it is not valid yet, or no more. */
MUST_CHECK int certificate_is_valid(const struct certificate *c, struct error *err);
/* "2027-01-31 12:00 UTC"; the caller frees. */
char *certificate_time(int64_t seconds);
