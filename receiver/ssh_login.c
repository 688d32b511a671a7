#include "receiver/ssh_login.h"

#include <libssh/server.h>
#include "common/proc.h"

#define OFFERS_MAX   20 /* keys a client may try */
#define REQUESTS_MAX 40 /* authentication requests of any kind */
#define LISTED_MAX   16 /* fingerprints in the log */
#define TOLD_MAX     8  /* and told to the client: OpenSSH cuts the text at 1 KB */
#define LINGER_MS    1000

static char *fingerprint(ssh_key key)
{
	unsigned char *hash = NULL;
	char *text, *copy;
	size_t len;

	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) != SSH_OK)
		return xstrdup("SHA256:?");
	text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
	copy = xstrdup(text ? text : "SHA256:?");
	ssh_string_free_char(text);
	ssh_clean_pubkey_hash(&hash);
	return copy;
}

static const char *type_name(ssh_key key)
{
	const char *name = ssh_key_type_to_char(ssh_key_type(key));

	return name ? name : "unknown";
}

/* "TYPE BASE64" as in authorized_keys; NULL for what is no plain public key (a certificate). */
static char *key_line(ssh_key key)
{
	const char *type = type_name(key);
	char *base64 = NULL, *line;

	if (str_ends(type, "-cert-v01@openssh.com") ||
	    ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
		return NULL;
	line = xasprintf("%s %s", type, base64);
	ssh_string_free_char(base64);
	return line;
}

static void note_refused(struct ssh_login *l, ssh_key key)
{
	autofree char *print = fingerprint(key);

	if (l->refused.n == LISTED_MAX || strv_has(&l->refused, print))
		return;
	strv_add(&l->refused, print);
	strv_add(&l->types, type_name(key));
}

static void note_known(struct ssh_login *l, ssh_key key)
{
	autofree char *print = fingerprint(key);

	strbuf_reset(&l->known);
	strbuf_addf(&l->known, "%s (%s)", print, type_name(key));
}

/* Whether the monitor knows the key; and if it is proven, whether it lets it in. */
static bool ask(struct ssh_login *l, ssh_key key, bool proven)
{
	autofree char *line = key_line(key);
	bool yes = false;

	if (line && session_monitor_knows(l->monitor, line, &yes, &l->err) == -1)
		l->broken = true;
	if (!yes || !proven || l->broken)
		return yes && !l->broken;
	l->claimed = true;
	if (session_monitor_login(l->monitor, line, &yes, &l->err) == -1)
		l->broken = true;
	return yes && !l->broken;
}

int ssh_login_on_public_key(struct ssh_login *l, ssh_key key, char state)
{
	bool proven = state == SSH_PUBLICKEY_STATE_VALID;

	if (l->granted || l->claimed || l->told || l->over || l->broken ||
	    (!proven && state != SSH_PUBLICKEY_STATE_NONE))
		return SSH_AUTH_DENIED;
	if (++l->offers > OFFERS_MAX) {
		l->over = "silver: too many keys offered; name one with IdentitiesOnly=yes and "
			  "IdentityFile";
		return SSH_AUTH_DENIED;
	}
	if (!ask(l, key, proven)) {
		if (proven) /* known when it was offered, and not let in: that is no question of
			       signing */
			strbuf_reset(&l->known);
		note_refused(l, key);
		return SSH_AUTH_DENIED;
	}
	note_known(l, key);
	l->granted = proven;
	return SSH_AUTH_SUCCESS;
}

/* Told in one text, which the client prints above its own "Permission denied". */
static void add_reason(const struct ssh_login *l, struct strbuf *s)
{
	if (l->known.len) {
		strbuf_addf(s,
			    "silver: your key %s is known to this node, but ssh did not sign with "
			    "it\nsilver: is it unlocked? ssh-add -l lists what your agent holds\n",
			    l->known.buf);
		return;
	}
	if (l->refused.n == 0)
		strbuf_addstr(s, "silver: your ssh offered no key; make one with: ssh-keygen -t "
				 "ed25519\n");
	else
		strbuf_addstr(s, "silver: none of your keys is known to this node:\n");
	for (size_t i = 0; i < l->refused.n && i < TOLD_MAX; i++)
		strbuf_addf(s, "silver:   %s (%s)\n", l->refused.v[i], l->types.v[i]);
	if (l->refused.n > TOLD_MAX)
		strbuf_addf(s, "silver:   and %zu more\n", l->refused.n - TOLD_MAX);
	strbuf_addstr(s, "silver: an administrator adds one with: silver --node HOST user add NAME "
			 "< KEY.pub\n");
}

static int tell_why(struct ssh_login *l, ssh_message msg)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	l->told = true;
	add_reason(l, &text);
	text.buf[--text.len] = '\0'; /* the client ends the last line itself */
	if (ssh_message_auth_interactive_request(msg, "", strbuf_str(&text), 0, NULL, NULL) ==
	    SSH_ERROR)
		l->over = "silver: permission denied";
	return 0;
}

/* The client has read it: what follows is its "Permission denied (publickey)". */
static int refuse_for_good(struct ssh_login *l)
{
	ssh_set_auth_methods(l->conn->session, SSH_AUTH_METHOD_PUBLICKEY);
	l->over = "silver: permission denied";
	return 1;
}

/* Everything but public keys. 1 lets libssh refuse it, 0: it was answered. */
int ssh_login_on_message(struct ssh_login *l, ssh_message msg)
{
	if (ssh_message_type(msg) != SSH_REQUEST_AUTH || l->over)
		return 1;
	if (++l->requests > REQUESTS_MAX) {
		l->over = "silver: too many attempts";
		return 1;
	}
	if (ssh_message_subtype(msg) != SSH_AUTH_METHOD_INTERACTIVE)
		return 1;
	if (ssh_message_auth_kbdint_is_response(msg) || l->told)
		return refuse_for_good(l);
	return tell_why(l, msg);
}

static void run(struct ssh_login *l, int64_t deadline_ms)
{
	while (!l->granted && !l->over && !l->broken && !l->conn->gone) {
		int64_t left = deadline_ms - clock_ms();

		if (left <= 0) {
			l->over = "silver: no login in time";
			break;
		}
		ssh_conn_quick_ack(l->conn);
		ssh_conn_wait(l->conn, (int)left);
	}
}

/* After a refusal the client has the floor: it prints its own last line and hangs up. */
static void let_client_leave(struct ssh_conn *c)
{
	int64_t deadline = clock_ms() + LINGER_MS;

	while (!c->gone && clock_ms() < deadline)
		ssh_conn_wait(c, (int)(deadline - clock_ms()));
}

static int give_up(struct ssh_login *l, struct error *err)
{
	if (l->broken) {
		*err = l->err;
		return -1;
	}
	if (l->told)
		let_client_leave(l->conn);
	ssh_conn_end(l->conn, l->over);
	if (l->requests + l->offers == 0)
		return 0; /* a port scan: the exit status says enough */
	return session_monitor_failed(l->monitor, &l->refused, err);
}

int ssh_login_run(struct ssh_login *l, int64_t deadline_ms, struct error *err)
{
	run(l, deadline_ms);
	return l->granted ? 0 : give_up(l, err);
}

void ssh_login_release(struct ssh_login *l)
{
	strv_free_p(&l->refused);
	strv_free_p(&l->types);
	strbuf_release(&l->known);
}
