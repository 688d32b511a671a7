/* silver-tls: the certificates that nginx serves (docs/TLS.md).
 *
 * All below DIR/tls is nginx's user's and nobody else's, and so is this program: silver-root only
 * starts it as that user. What is served of HOST is one file, tls/live/HOST.pem, key and chain;
 * nginx reads it at each handshake, so one rename is all that a new certificate needs.
 *
 *	tls/live/HOST.pem	served
 *	tls/auto/HOST		the authority of node.ini is asked for it, and for the next one
 *	tls/redirect/HOST	http:// leads to https://
 *	tls/failed/HOST		"TIMES SECONDS" and the reason: the last renewal
 *	tls/www tls/acme	challenges, and lego's own (acme.h)
 *	tls/lock		who changes something has it */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/input.h"
#include "common/json.h"
#include "common/names.h"
#include "common/node.h"
#include "common/proc.h"
#include "receiver/acme.h"
#include "receiver/certificate.h"
#include "runtime/location.h"

enum {
	PEM_MAX = 256 << 10,
	FAILED_MAX = 4096,
	DAY_S = 24 * 3600,
	RENEW_S = 30 * DAY_S, /* before the end; a third of its life where that is shorter */
	AGAIN_S = 3600,       /* after a failure; doubled each time, up to a day */
	DOUBLED_MAX = 5,
};

enum dir { LIVE, AUTO, REDIRECT, FAILED, WWW, ACME, DIRS };
static const char *const dir_names[] = {"live", "auto", "redirect", "failed", "www", "acme"};

struct tls {
	const struct node *node;
	int fd[DIRS];
	int lock_fd;
};

static int tls_open(struct tls *t, const struct node *node, struct error *err)
{
	autoclose int tls_fd = -1;

	*t = (struct tls){.node = node, .lock_fd = -1};
	for (size_t i = 0; i < DIRS; i++)
		t->fd[i] = -1;
	if (fs_open_dir(node->fd, "tls", &tls_fd, err) == -1 ||
	    fs_open(tls_fd, "lock", O_RDWR | O_CREAT, 0600, &t->lock_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < DIRS; i++)
		if (fs_ensure_dir(tls_fd, dir_names[i], 0700, &t->fd[i], err) == -1)
			return -1;
	return fs_sync(tls_fd, err);
}

static void tls_close(struct tls *t)
{
	for (size_t i = 0; i < DIRS; i++)
		fd_close(&t->fd[i]);
	fd_close(&t->lock_fd);
}

static int lock(const struct tls *t, struct error *err)
{
	return flock(t->lock_fd, LOCK_EX) == -1 ? error_sys(err, errno, "cannot lock 'tls'") : 0;
}

static int mark(const struct tls *t, enum dir dir, const char *host, bool on, struct error *err)
{
	if (on == fs_exists(t->fd[dir], host))
		return 0;
	if (on)
		return fs_replace_file(t->fd[dir], host, "", 0, 0600, err);
	return fs_unlink(t->fd[dir], host, err) == -1 ? -1 : fs_sync(t->fd[dir], err);
}

static bool is_marked(const struct tls *t, enum dir dir, const char *host)
{
	return fs_exists(t->fd[dir], host);
}

/* Does a location of an app take the host? */
static bool is_located(const struct locations *all, const char *host)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct location *l = &all->v[i];
		autofree char *below = xasprintf(".%s", l->host);

		if (l->kind == LOCATION_ANY || strcmp(l->host, host) == 0 ||
		    (l->kind == LOCATION_SUFFIX && str_ends(host, below)))
			return true;
	}
	return false;
}

/* What must be so before a host is served by TLS. */
static int check_host(const struct tls *t, const char *host, struct error *err)
{
	autolocations struct locations all = {NULL, 0};

	if (name_check_host(host, err) == -1 || locations_read(t->node, &all, err) == -1)
		return -1;
	if (!t->node->https)
		return error_set(err, E_REFUSED,
				 "this node has no address for TLS: set 'https = 0.0.0.0:443' in "
				 "%s/node.ini, and restart silverd",
				 t->node->dir);
	if (!is_located(&all, host))
		return error_set(err, E_REFUSED,
				 "no app is reached at '%s': `silver location add APP %s` first",
				 host, host);
	return 0;
}

/* What is served of a host. E_NOTFOUND: nothing. */
static int read_live(const struct tls *t, const char *host, struct certificate *out,
		     struct error *err)
{
	autofree char *name = xasprintf("%s.pem", host);
	autostrbuf struct strbuf pem = STRBUF_INIT;

	if (fs_read_file(t->fd[LIVE], name, PEM_MAX, &pem, err) == -1)
		return -1;
	return certificate_read(&pem, host, out, err);
}

/* Nothing is served that was not looked at; on disk, then in one rename. */
static int serve(const struct tls *t, const char *host, const struct strbuf *pem, struct error *err)
{
	autofree char *name = xasprintf("%s.pem", host);
	autocertificate struct certificate c = {0};

	if (certificate_read(pem, host, &c, err) == -1 || certificate_is_valid(&c, err) == -1)
		return -1;
	return fs_replace_file(t->fd[LIVE], name, pem->buf, pem->len, 0600, err);
}

static int obtain(const struct tls *t, const char *host, struct error *err)
{
	autostrbuf struct strbuf pem = STRBUF_INIT;

	if (!t->node->acme_email)
		return error_set(err, E_REFUSED,
				 "the authority wants an address to write to: set 'acme_email' in "
				 "%s/node.ini (silverd need not be restarted for it)",
				 t->node->dir);
	if (acme_obtain(t->node, host, &pem, err) == -1)
		return error_prefix(err, "no certificate for '%s' from %s", host, t->node->acme);
	return serve(t, host, &pem, err) == -1 ? error_prefix(err, "what lego obtained") : 0;
}

/* Failures. */

struct failure {
	uint64_t times, at_s; /* 0: none */
	char *reason;
};
static void failure_release(struct failure *f)
{
	free(f->reason);
}
#define autofailure __attribute__((cleanup(failure_release)))

static void read_failure(const struct tls *t, const char *host, struct failure *out)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autofree char *times = NULL, *at = NULL;
	struct error none = ERROR_INIT;
	struct failure f = {0};
	const char *line;
	size_t len;

	*out = f;
	if (fs_read_file(t->fd[FAILED], host, FAILED_MAX, &text, &none) == -1)
		return;
	line = strbuf_str(&text);
	len = strcspn(line, " \n");
	times = xstrndup(line, len);
	line += len + (line[len] == ' ');
	len = strcspn(line, "\n");
	at = xstrndup(line, len);
	if (!str_to_uint(times, INT32_MAX, &f.times) || !str_to_uint(at, INT64_MAX, &f.at_s))
		return;
	f.reason = name_printable(line + len + (line[len] == '\n'));
	*out = f;
}

static int write_failure(const struct tls *t, const char *host, const char *reason,
			 struct error *err)
{
	autofailure struct failure before;
	autofree char *text = NULL;

	read_failure(t, host, &before);
	text = xasprintf("%llu %lld\n%s", (unsigned long long)before.times + 1,
			 (long long)(clock_utc_ms() / 1000), reason);
	return fs_replace_file(t->fd[FAILED], host, text, strlen(text), 0600, err);
}

/* Verbs. */

static int set_redirect(const struct tls *t, const char *host, bool redirect, struct error *err)
{
	autocertificate struct certificate c = {0};
	autofree char *until = NULL;

	if (mark(t, FAILED, host, false, err) == -1 ||
	    mark(t, REDIRECT, host, redirect, err) == -1 || read_live(t, host, &c, err) == -1)
		return -1;
	until = certificate_time(c.ends_s);
	printf("https://%s is served with a certificate until %s%s\n", host, until,
	       redirect ? ", and http:// leads there" : "");
	return 0;
}

/* Automatic from now on. The mark comes first: whatever is stopped behind it, the next look goes on
 * from there; what fails is as it was. */
static int verb_on(const struct tls *t, const char *host, bool redirect, struct error *err)
{
	autocertificate struct certificate c = {0};
	struct error none = ERROR_INIT, ignored = ERROR_INIT;
	bool was_auto = is_marked(t, AUTO, host);

	if (check_host(t, host, err) == -1 || lock(t, err) == -1)
		return -1;
	if (!was_auto || read_live(t, host, &c, &none) == -1 ||
	    certificate_is_valid(&c, &none) == -1) {
		printf("asking %s for a certificate for %s\n", t->node->acme, host);
		fflush(stdout);
		if (mark(t, AUTO, host, true, err) == -1)
			return -1;
		if (obtain(t, host, err) == -1) {
			if (!was_auto && mark(t, AUTO, host, false, &ignored) == -1)
				error_report(&ignored);
			return -1;
		}
	}
	return set_redirect(t, host, redirect, err);
}

static int verb_set(const struct tls *t, const char *host, bool redirect, struct error *err)
{
	autostrbuf struct strbuf pem = STRBUF_INIT;

	if (check_host(t, host, err) == -1 || input_read(&pem, PEM_MAX, err) == -1 ||
	    lock(t, err) == -1)
		return -1;
	if (serve(t, host, &pem, err) == -1)
		return error_prefix(err, "nothing was changed");
	if (mark(t, AUTO, host, false, err) == -1 || acme_forget(t->node, host, err) == -1)
		return -1;
	return set_redirect(t, host, redirect, err);
}

/* Nobody is led to what is gone. */
static int verb_off(const struct tls *t, const char *host, bool unused, struct error *err)
{
	autofree char *pem = xasprintf("%s.pem", host);

	(void)unused;
	if (name_check_host(host, err) == -1 || lock(t, err) == -1)
		return -1;
	if (!is_marked(t, LIVE, pem) && !is_marked(t, AUTO, host))
		return error_set(err, E_NOTFOUND, "'%s' has no certificate", host);
	if (mark(t, REDIRECT, host, false, err) == -1 || mark(t, AUTO, host, false, err) == -1 ||
	    mark(t, LIVE, pem, false, err) == -1 || mark(t, FAILED, host, false, err) == -1 ||
	    acme_forget(t->node, host, err) == -1)
		return -1;
	printf("https://%s is served no more\n", host);
	return 0;
}

/* Each host that has a certificate, or is to have one. */
static int list_hosts(const struct tls *t, struct strv *out, struct error *err)
{
	autostrv struct strv live = STRV_INIT;

	if (fs_list(t->fd[LIVE], &live, err) == -1 || fs_list(t->fd[AUTO], out, err) == -1)
		return -1;
	for (size_t i = 0; i < live.n; i++) {
		autofree char *host = xstrndup(live.v[i], strlen(live.v[i]) - strlen(".pem"));
		struct error bad = ERROR_INIT;

		if (str_ends(live.v[i], ".pem") && name_check_host(host, &bad) == 0 &&
		    !strv_has(out, host))
			strv_add(out, host);
	}
	strv_sort(out);
	return 0;
}

static int renew_one(const struct tls *t, const char *host, struct error *err)
{
	struct error why = ERROR_INIT;

	if (lock(t, err) == -1)
		return -1;
	if (obtain(t, host, &why) == 0)
		return mark(t, FAILED, host, false, err);
	if (write_failure(t, host, why.text, err) == -1)
		return -1;
	*err = why;
	return -1;
}

/* One host's failure leaves the others alone. */
static int renew_all(const struct tls *t, const struct strv *hosts, struct error *err)
{
	autostrbuf struct strbuf failed = STRBUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < hosts->n; i++) {
		struct error why = ERROR_INIT;

		if (renew_one(t, hosts->v[i], &why) == 0) {
			printf("%s has a new certificate\n", hosts->v[i]);
			fflush(stdout);
			continue;
		}
		n++;
		strbuf_addf(&failed, "\n%s", why.text);
	}
	if (n)
		return error_set(err, E_SYSTEM,
				 "%zu of %zu certificates were not renewed; what was served is "
				 "served on%s",
				 n, hosts->n, strbuf_str(&failed));
	return 0;
}

static int verb_renew(const struct tls *t, const char *host, bool unused, struct error *err)
{
	autostrv struct strv hosts = STRV_INIT;

	(void)unused;
	if (!host)
		return fs_list(t->fd[AUTO], &hosts, err) == -1 ? -1 : renew_all(t, &hosts, err);
	if (check_host(t, host, err) == -1)
		return -1;
	if (!is_marked(t, AUTO, host))
		return error_set(err, E_REFUSED,
				 "the certificate of '%s' is not automatic: `silver tls on %s`, or "
				 "`silver tls set %s` for another of your own",
				 host, host, host);
	strv_add(&hosts, host);
	return renew_all(t, &hosts, err);
}

/* A host that leads nowhere would be refused by the authority, and count against the others. */
static bool is_due(const struct tls *t, const struct locations *all, const char *host)
{
	int64_t now = clock_utc_ms() / 1000, before = RENEW_S, wait = AGAIN_S;
	autocertificate struct certificate c = {0};
	struct error none = ERROR_INIT;
	autofailure struct failure f;

	read_failure(t, host, &f);
	for (uint64_t i = 1; i < f.times && i < DOUBLED_MAX; i++)
		wait *= 2;
	if (!is_located(all, host) || (f.times && now < (int64_t)f.at_s + wait))
		return false;
	if (read_live(t, host, &c, &none) == -1)
		return true;
	if ((c.ends_s - c.begins_s) / 3 < before)
		before = (c.ends_s - c.begins_s) / 3;
	return c.ends_s - now < before;
}

/* silverd asks each hour. */
static int verb_due(const struct tls *t, const char *unused, bool unused_too, struct error *err)
{
	autolocations struct locations all = {NULL, 0};
	autostrv struct strv hosts = STRV_INIT, due = STRV_INIT;

	(void)unused;
	(void)unused_too;
	if (locations_read(t->node, &all, err) == -1 || fs_list(t->fd[AUTO], &hosts, err) == -1)
		return -1;
	for (size_t i = 0; i < hosts.n; i++)
		if (is_due(t, &all, hosts.v[i]))
			strv_add(&due, hosts.v[i]);
	return renew_all(t, &due, err);
}

/* What is served of a host; *bad says why it is none that a client accepts. False: nothing is. */
static bool look_at(const struct tls *t, const char *host, struct certificate *c, struct error *bad)
{
	struct error invalid = ERROR_INIT;

	*bad = invalid;
	if (read_live(t, host, c, bad) == -1)
		return false;
	if (certificate_is_valid(c, &invalid) == -1)
		*bad = invalid;
	return true;
}

/* What a person should know of a host; "" where all is well. */
static void add_problem(const struct tls *t, const struct locations *all, const char *host,
			const struct error *bad, struct strbuf *out)
{
	autofailure struct failure f;

	read_failure(t, host, &f);
	if (bad->code != E_OK)
		strbuf_addf(out, "%s",
			    bad->code == E_NOTFOUND ? "it has no certificate yet" : bad->text);
	if (!is_located(all, host))
		strbuf_addf(out, "%sno app is reached there: `silver tls off %s`",
			    out->len ? "; " : "", host);
	if (f.times)
		strbuf_addf(out, "%snot renewed, %llu times so far: %s", out->len ? "; " : "",
			    (unsigned long long)f.times, f.reason);
}

/* As a line, or as an object of `j`. */
static void list_one(const struct tls *t, const struct locations *all, const char *host,
		     struct json *j)
{
	autocertificate struct certificate c = {0};
	autostrbuf struct strbuf problem = STRBUF_INIT;
	bool is_auto = is_marked(t, AUTO, host), redirects = is_marked(t, REDIRECT, host);
	struct error bad = ERROR_INIT;
	bool has = look_at(t, host, &c, &bad);
	autofree char *ends = has ? certificate_time(c.ends_s) : NULL;
	autofree char *issuer = has ? name_printable(c.issuer) : NULL;

	add_problem(t, all, host, &bad, &problem);
	if (!j) {
		printf("%-32s %-20s  %-9s  %-8s  %s\n", host, ends ? ends : "-",
		       is_auto ? "automatic" : "own", redirects ? "redirect" : "",
		       issuer ? issuer : "");
		if (problem.len)
			printf("    %s\n", strbuf_str(&problem));
		return;
	}
	json_open(j, NULL, '{');
	json_str(j, "host", host);
	json_str(j, "issuer", issuer);
	json_str(j, "not_after", ends);
	json_bool(j, "automatic", is_auto);
	json_bool(j, "redirect", redirects);
	json_str(j, "problem", problem.len ? strbuf_str(&problem) : NULL);
	json_close(j, '}');
}

static int verb_list(const struct tls *t, const char *unused, bool as_json, struct error *err)
{
	autolocations struct locations all = {NULL, 0};
	autostrbuf struct strbuf out = STRBUF_INIT;
	autostrv struct strv hosts = STRV_INIT;
	struct json j = {.out = &out};

	(void)unused;
	if (list_hosts(t, &hosts, err) == -1 || locations_read(t->node, &all, err) == -1)
		return -1;
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < hosts.n; i++)
		list_one(t, &all, hosts.v[i], as_json ? &j : NULL);
	json_close(&j, ']');
	if (as_json)
		printf("%s\n", strbuf_str(&out));
	return 0;
}

/* For fsck: "HOST WHAT", a line each. */
static int verb_problems(const struct tls *t, const char *unused, bool unused_too,
			 struct error *err)
{
	autolocations struct locations all = {NULL, 0};
	autostrv struct strv hosts = STRV_INIT;

	(void)unused;
	(void)unused_too;
	if (list_hosts(t, &hosts, err) == -1 || locations_read(t->node, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < hosts.n; i++) {
		autocertificate struct certificate c = {0};
		autostrbuf struct strbuf problem = STRBUF_INIT;
		struct error bad = ERROR_INIT;

		look_at(t, hosts.v[i], &c, &bad);
		add_problem(t, &all, hosts.v[i], &bad, &problem);
		if (problem.len)
			printf("%s %s\n", hosts.v[i], strbuf_str(&problem));
	}
	return 0;
}

static const struct verb {
	const char *name;
	size_t min, max;    /* hosts */
	const char *option; /* NULL: none */
	int (*run)(const struct tls *t, const char *host, bool option, struct error *err);
} verbs[] = {
	{"list", 0, 0, "--json", verb_list},     {"on", 1, 1, "--redirect", verb_on},
	{"set", 1, 1, "--redirect", verb_set},   {"off", 1, 1, NULL, verb_off},
	{"renew", 0, 1, NULL, verb_renew},       {"due", 0, 0, NULL, verb_due},
	{"problems", 0, 0, NULL, verb_problems},
};

static int run_verb(const struct verb *verb, const char *dir, char **words, size_t n,
		    struct error *err)
{
	const char *host = NULL;
	bool option = false;
	size_t hosts = 0;
	struct node node;
	struct tls t;
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (verb->option && strcmp(words[i], verb->option) == 0)
			option = true;
		else if (hosts++ == 0)
			host = words[i];
	}
	if (hosts < verb->min || hosts > verb->max)
		return error_set(err, E_USAGE, "tls %s: %s", verb->name,
				 hosts ? "too many words" : "which host?");
	if (node_open(&node, dir, err) == -1)
		return -1;
	rc = tls_open(&t, &node, err);
	if (rc == 0)
		rc = verb->run(&t, host, option, err);
	tls_close(&t);
	node_release(&node);
	return rc;
}

static int run(int argc, char **argv, struct error *err)
{
	if (geteuid() == 0)
		return error_set(err, E_REFUSED, "silver-tls is not for root");
	for (size_t i = 0; argc >= 4 && i < ARRAY_SIZE(verbs); i++)
		if (strcmp(argv[1], "--dir") == 0 && strcmp(argv[3], verbs[i].name) == 0)
			return run_verb(&verbs[i], argv[2], argv + 4, (size_t)argc - 4, err);
	return error_set(err, E_USAGE, "usage: silver-tls --dir DIR VERB [HOST] [OPTION]");
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int rc;

	umask(077);
	rc = run(argc, argv, &err);
	if (rc == 0 && fflush(stdout) == EOF)
		rc = error_sys(&err, errno, "cannot write the answer");
	return rc == -1 ? error_report(&err) : 0;
}
