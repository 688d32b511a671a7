#include "receiver/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>
#include "common/proc.h"

void certificate_release(struct certificate *c)
{
	free(c->issuer);
	c->issuer = NULL;
}

char *certificate_time(int64_t seconds)
{
	time_t at = (time_t)seconds;
	char text[32];
	struct tm tm;

	if (!gmtime_r(&at, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm))
		return xstrdup("?");
	return xstrdup(text);
}

/* A key under a passphrase is none that nginx can use: nobody is asked for it. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	if (size > 0)
		*buf = '\0';
	(void)writing;
	(void)ctx;
	return -1;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static char *issuer_of(const X509 *x)
{
	char name[256] = "";

	X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_commonName, name, sizeof(name));
	return xstrdup(name);
}

static int check(X509 *x, EVP_PKEY *key, const char *host, struct error *err)
{
	if (!x)
		return error_set(err, E_REFUSED, "no certificate in it (PEM, BEGIN CERTIFICATE)");
	if (!key)
		return error_set(
			err, E_REFUSED,
			"no private key in it (PEM, BEGIN PRIVATE KEY, without a passphrase)");
	if (X509_check_private_key(x, key) != 1)
		return error_set(err, E_REFUSED,
				 "the private key does not belong to the first certificate");
	if (X509_check_host(x, host, 0, 0, NULL) != 1)
		return error_set(err, E_REFUSED, "the first certificate is not for '%s'", host);
	return 0;
}

int certificate_read(const struct strbuf *pem, const char *host, struct certificate *out,
		     struct error *err)
{
	BIO *certs = BIO_new_mem_buf(strbuf_str(pem), (int)pem->len);
	BIO *keys = BIO_new_mem_buf(strbuf_str(pem), (int)pem->len);
	X509 *x = certs ? PEM_read_bio_X509(certs, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY *key = keys ? PEM_read_bio_PrivateKey(keys, NULL, no_passphrase, NULL) : NULL;
	int rc = check(x, key, host, err);

	if (rc == 0)
		*out = (struct certificate){.issuer = issuer_of(x),
					    .begins_s = seconds_of(X509_get0_notBefore(x)),
					    .ends_s = seconds_of(X509_get0_notAfter(x))};
	EVP_PKEY_free(key);
	X509_free(x);
	BIO_free(keys);
	BIO_free(certs);
	ERR_clear_error();
	return rc;
}

int certificate_is_valid(const struct certificate *c, struct error *err)
{
	int64_t now = clock_utc_ms() / 1000;
	autofree char *begins = certificate_time(c->begins_s), *ends = certificate_time(c->ends_s);

	if (now >= c->ends_s)
		return error_set(err, E_REFUSED, "the certificate expired at %s", ends);
	if (now < c->begins_s)
		return error_set(err, E_REFUSED, "the certificate is not valid before %s", begins);
	return 0;
}
