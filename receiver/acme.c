#include "receiver/acme.h"

#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "receiver/errand.h"

enum { LEGO_MS = 300000, PEM_MAX = 256 << 10, REASON_MAX = 600 };

#define CERTIFICATES "tls/acme/certificates"

static const char *const kept[] = {"crt", "key", "json", "issuer.crt"};

static bool has_key(const struct node *node, const char *host)
{
	autofree char *key = xasprintf(CERTIFICATES "/%s.key", host);
	autofree char *crt = xasprintf(CERTIFICATES "/%s.crt", host);

	return fs_exists(node->fd, key) && fs_exists(node->fd, crt);
}

/* With the key that it had, a handshake in the moment of the change may read one file of each pair
 * and goes on all the same. */
static void add_words(const struct node *node, const char *host, struct strv *argv)
{
	static const char *const first[] = {"run"};
	static const char *const again[] = {"renew", "--days", "36500", "--reuse-key",
					    "--no-random-sleep"};
	bool renews = has_key(node, host);
	const char *const *words = renews ? again : first;

	strv_add(argv, "lego");
	strv_add(argv, "--accept-tos");
	strv_addf(argv, "--server=%s", node->acme);
	strv_addf(argv, "--email=%s", node->acme_email);
	strv_addf(argv, "--path=%s/tls/acme", node->dir);
	strv_addf(argv, "--domains=%s", host);
	strv_add(argv, "--http");
	strv_addf(argv, "--http.webroot=%s/tls/www", node->dir);
	for (size_t i = 0; i < (renews ? ARRAY_SIZE(again) : ARRAY_SIZE(first)); i++)
		strv_add(argv, words[i]);
}

/* The end of what lego said, where its reason stands, as one line. */
static int failed(const struct strbuf *said, struct error *err)
{
	autostrbuf struct strbuf line = STRBUF_INIT, shown = STRBUF_INIT;
	const char *text = strbuf_str(said), *reason = strstr(text, "Could not ");

	if (!reason)
		reason = said->len > REASON_MAX ? text + said->len - REASON_MAX : text;
	for (; *reason && line.len < REASON_MAX; reason++)
		if (!strchr(" \t\n", *reason))
			strbuf_addch(&line, *reason);
		else if (line.len && line.buf[line.len - 1] != ' ')
			strbuf_addch(&line, ' ');
	name_add_printable(&shown, strbuf_str(&line), line.len);
	return error_set(err, E_SYSTEM, "%s", shown.len ? strbuf_str(&shown) : "lego failed");
}

static int run_lego(const struct node *node, const char *host, struct error *err)
{
	autostrbuf struct strbuf said = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = "lego", .in = -1, .out = -1, .err = -1};
	int status;

	if (!proc_is_installed("lego"))
		return error_set(err, E_SYSTEM,
				 "'lego' is not installed: apt-get install --no-install-recommends "
				 "lego");
	add_words(node, host, &argv);
	strv_add(&env, "PATH=" CHILD_PATH);
	strv_add(&env, "LANG=C.UTF-8");
	strv_add(&env, "HOME=/nonexistent");
	if (node->acme_ca)
		strv_addf(&env, "LEGO_CA_CERTIFICATES=%s", node->acme_ca);
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_run(&spec, LEGO_MS, &status, &said, err) == -1)
		return -1;
	return status == 0 ? 0 : failed(&said, err);
}

int acme_obtain(const struct node *node, const char *host, struct strbuf *pem, struct error *err)
{
	autofree char *key = xasprintf(CERTIFICATES "/%s.key", host);
	autofree char *crt = xasprintf(CERTIFICATES "/%s.crt", host);

	if (run_lego(node, host, err) == -1 || fs_read_file(node->fd, key, PEM_MAX, pem, err) == -1)
		return -1;
	strbuf_addch(pem, '\n');
	return fs_read_file(node->fd, crt, PEM_MAX, pem, err);
}

int acme_forget(const struct node *node, const char *host, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, CERTIFICATES, &fd, err) == -1) {
		if (err->code != E_NOTFOUND)
			return -1;
		*err = (struct error)ERROR_INIT;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		autofree char *name = xasprintf("%s.%s", host, kept[i]);

		if (fs_unlink(fd, name, err) == -1)
			return -1;
	}
	return fs_sync(fd, err);
}
