/* acme.h - certificates of the authority that node.ini names, by Debian's lego.
 *
 * lego puts the authority's challenge into tls/www, where nginx serves it for every host, and keeps
 * its account, keys and certificates in tls/acme. What it obtained is handed over as a text; what
 * is served is the caller's. */
#pragma once
#include "common/node.h"

/* A new certificate for the host, with its key in front; a key that the host had is kept. May take
 * minutes. E_SYSTEM has the authority's words. */
MUST_CHECK int acme_obtain(const struct node *node, const char *host, struct strbuf *pem,
			   struct error *err);
/* Forgets the host's key and certificate. */
MUST_CHECK int acme_forget(const struct node *node, const char *host, struct error *err);
