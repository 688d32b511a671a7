#include "receiver/pubkey.h"
#include <errno.h>
#include <sys/mman.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"

enum { KEYGEN_MS = 10000, RSA_MIN_BITS = 2048, COMMENT_MAX = 100 };

static const char *const key_types[] = {
	"ssh-ed25519",
	"ecdsa-sha2-nistp256",
	"ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521",
	"ssh-rsa",
	"sk-ssh-ed25519@openssh.com",
	"sk-ecdsa-sha2-nistp256@openssh.com",
};

void pubkeys_release(struct pubkeys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		free(keys->v[i].key);
		free(keys->v[i].comment);
		free(keys->v[i].fingerprint);
	}
	free(keys->v);
	*keys = (struct pubkeys)PUBKEYS_INIT;
}

static bool is_type(const char *word, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++)
		if (strlen(key_types[i]) == len && !memcmp(key_types[i], word, len))
			return true;
	return false;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* Why a line whose first word is no key type is refused. */
static int no_key(const char *line, struct error *err)
{
	autostrbuf struct strbuf word = STRBUF_INIT;
	const char *at;

	if (strstr(line, "PRIVATE KEY"))
		return error_set(
			err, E_REFUSED,
			"this is a private key: keep it, and give the .pub file beside it");
	for (at = line; *at; at = skip_blanks(at + strcspn(at, " \t")))
		if (at != line && is_type(at, strcspn(at, " \t")))
			return error_set(err, E_REFUSED,
					 "options before a key are not understood: roles stand in "
					 "their place (--role, --app); give 'TYPE BASE64 COMMENT'");
	name_add_printable(&word, line,
			   strnlen(line, strcspn(line, " \t") > 40 ? 40 : strcspn(line, " \t")));
	return error_set(err, E_REFUSED,
			 "'%s' is no key type: expected a line of a .pub file, like 'ssh-ed25519 "
			 "AAAA... you@host'",
			 strbuf_str(&word));
}

/* What may stand in users/NAME and on a terminal. */
static char *clean_comment(const char *text)
{
	struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, text, strnlen(text, COMMENT_MAX));
	while (s.len && (s.buf[s.len - 1] == ' ' || s.buf[s.len - 1] == '\t'))
		s.buf[--s.len] = '\0';
	return strbuf_detach(&s);
}

/* Feeds ssh-keygen -lf - and collects what it says. */
static int ask_keygen(const char *text, int *status, struct strbuf *said, struct error *err)
{
	char *argv[] = {xstrdup("ssh-keygen"), xstrdup("-lf"), xstrdup("-"), NULL};
	autoclose int in = memfd_create("key", MFD_CLOEXEC);
	char *envp[] = {xstrdup("LC_ALL=C"), NULL};
	struct proc_spec spec = {
		.path = "ssh-keygen", .argv = argv, .envp = envp, .in = in, .out = -1, .err = -1};
	int result = -1;

	if (in == -1)
		error_sys(err, errno, "cannot make a file in memory");
	else if (fs_write_all(in, text, strlen(text), err) == 0 && lseek(in, 0, SEEK_SET) == 0)
		result = proc_run(&spec, KEYGEN_MS, status, said, err);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	free(envp[0]);
	return result;
}

/* "256 SHA256:... comment (ED25519)" -> bits and fingerprint. */
static bool read_verdict(const char *line, uint64_t *bits, char **fingerprint)
{
	size_t digits = strcspn(line, " ");
	autofree char *number = xstrndup(line, digits);
	const char *print = skip_blanks(line + digits);

	if (!str_to_uint(number, 1 << 20, bits) || !str_starts(print, "SHA256:"))
		return false;
	*fingerprint = xstrndup(print, strcspn(print, " \n"));
	return true;
}

static int judge(struct pubkey *key, struct error *err)
{
	autofree char *text = xasprintf("%s\n", key->key);
	autostrbuf struct strbuf said = STRBUF_INIT;
	uint64_t bits;
	int status;

	if (ask_keygen(text, &status, &said, err) == -1)
		return -1;
	if (status != 0 || !read_verdict(strbuf_str(&said), &bits, &key->fingerprint))
		return error_set(err, E_REFUSED,
				 "ssh-keygen does not take it for a public key: copy the whole "
				 "line of the .pub file");
	if (str_starts(key->key, "ssh-rsa ") && bits < RSA_MIN_BITS)
		return error_set(err, E_REFUSED,
				 "an RSA key of %u bits is too weak: at least %d, or `ssh-keygen "
				 "-t ed25519`",
				 (unsigned)bits, RSA_MIN_BITS);
	return 0;
}

static bool is_base64(const char *word, size_t len)
{
	return len > 0 && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/=") >= len;
}

static int parse_line(const char *line, struct pubkey *key, struct error *err)
{
	size_t type_len = strcspn(line, " \t");
	const char *body = skip_blanks(line + type_len);
	size_t body_len = strcspn(body, " \t");

	if (!is_type(line, type_len))
		return no_key(line, err);
	if (!is_base64(body, body_len))
		return error_set(err, E_REFUSED, "no base64 behind '%.*s'", (int)type_len, line);
	key->key = xasprintf("%.*s %.*s", (int)type_len, line, (int)body_len, body);
	key->comment = clean_comment(skip_blanks(body + body_len));
	return judge(key, err);
}

int pubkeys_parse(const char *text, struct pubkeys *out, struct error *err)
{
	unsigned number = 0;

	*out = (struct pubkeys)PUBKEYS_INIT;
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");
		autofree char *line = xstrndup(at, len && at[len - 1] == '\r' ? len - 1 : len);
		const char *start = skip_blanks(line);

		at += len + (at[len] == '\n');
		number++;
		if (*start == '\0' || *start == '#')
			continue;
		out->v = xrealloc_array(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n] = (struct pubkey){0};
		if (parse_line(start, &out->v[out->n++], err) == -1) {
			pubkeys_release(out);
			return error_prefix(err, "key line %u", number);
		}
	}
	return 0;
}

int pubkey_fingerprint(const char *key, char **out, struct error *err)
{
	autofree char *text = xasprintf("%s\n", key);
	autostrbuf struct strbuf said = STRBUF_INIT;
	uint64_t bits;
	int status;

	if (ask_keygen(text, &status, &said, err) == -1)
		return -1;
	if (status != 0 || !read_verdict(strbuf_str(&said), &bits, out))
		*out = xstrdup("?");
	return 0;
}
