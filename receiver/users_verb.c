/* The verb `user`: add, list, remove. */
#include "receiver/users.h"
#include <errno.h>
#include <sys/file.h>
#include "common/fs.h"
#include "common/ini.h"
#include "common/json.h"
#include "common/names.h"
#include "receiver/pubkey.h"

enum { KEYS_MAX_BYTES = 64 << 10 };

static const char user_usage[] = "usage: user add NAME [--role admin|deploy|read] [--app APP]... "
				 "< key.pub\n       user list [--json]\n       user remove NAME";

/* The lock on the directory keeps two `user add` from taking one key for two users. */
static int open_users(const struct node *node, int operation, int *out, struct error *err)
{
	if (fs_open_dir(node->fd, "users", out, err) == -1)
		return -1;
	if (flock(*out, operation) == -1) {
		int saved_errno = errno;

		fd_close(out);
		return error_sys(err, saved_errno, "cannot lock the users");
	}
	return 0;
}

static int write_user(int users_fd, const struct user *user, struct error *err)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	strbuf_addstr(&s, "[user]\n");
	ini_add(&s, "role", role_name(user->role));
	for (size_t i = 0; i < user->apps.n; i++)
		ini_add(&s, "app", user->apps.v[i]);
	for (size_t i = 0; i < user->keys.n; i++) {
		const char *comment = user->comments.v[i];

		ini_addf(&s, "key", "%s%s%s", user->keys.v[i], *comment ? " " : "", comment);
		if (*user->fingerprints.v[i])
			ini_add(&s, "fingerprint", user->fingerprints.v[i]);
	}
	return fs_replace_file(users_fd, user->name, s.buf, s.len, 0600, err);
}

/* What `user add` was asked for. */
struct addition {
	const char *name;
	enum role role; /* ROLE_NONE: not given */
	struct strv apps;
	struct pubkeys keys;
};

static int parse_addition(struct addition *a, char *const *words, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *word = words[i];

		if ((!strcmp(word, "--role") || !strcmp(word, "--app")) && i + 1 == n)
			return error_set(err, E_USAGE, "%s wants a value\n%s", word, user_usage);
		if (!strcmp(word, "--role")) {
			if (role_parse(words[++i], &a->role, err) == -1)
				return -1;
		} else if (!strcmp(word, "--app")) {
			if (name_check_app(words[++i], err) == -1)
				return -1;
			if (!strv_has(&a->apps, words[i]))
				strv_add(&a->apps, words[i]);
		} else if (word[0] == '-' || a->name) {
			return error_set(err, E_USAGE, "unexpected '%s'\n%s", word, user_usage);
		} else {
			a->name = word;
		}
	}
	if (!a->name)
		return error_set(err, E_USAGE, "which user?\n%s", user_usage);
	return name_check_user(a->name, err);
}

static int find_owner(int users_fd, const char *key, char **owner, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	*owner = NULL;
	if (users_names(users_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		autouser struct user user = {0};

		if (user_read(users_fd, names.v[i], &user, err) == -1)
			return -1; /* adding beside a file nobody can read would hide its keys */
		if (strv_has(&user.keys, key)) {
			*owner = xstrdup(user.name);
			return 0;
		}
	}
	return 0;
}

/* Adds the keys that nobody has yet; *added counts them. */
static int add_keys(int users_fd, struct user *user, const struct pubkeys *keys, size_t *added,
		    FILE *out, struct error *err)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct pubkey *k = &keys->v[i];
		autofree char *owner = NULL;

		if (strv_has(&user->keys, k->key)) {
			fprintf(out, "silver: %s has the key %s already\n", user->name,
				k->fingerprint);
			continue;
		}
		if (find_owner(users_fd, k->key, &owner, err) == -1)
			return -1;
		if (owner)
			return error_set(err, E_REFUSED,
					 "the key %s is %s's: a key belongs to one user (`user "
					 "remove %s` takes it away)",
					 k->fingerprint, owner, owner);
		strv_add(&user->keys, k->key);
		strv_add(&user->comments, k->comment);
		strv_add(&user->fingerprints, k->fingerprint);
		(*added)++;
	}
	return 0;
}

/* Options given replace what the user had; absent ones leave it. True: something is different now.
 */
static bool apply_options(struct user *user, const struct addition *a)
{
	bool changed = false;

	if (a->role != ROLE_NONE && a->role != user->role) {
		user->role = a->role;
		changed = true;
	}
	if (a->apps.n > 0) {
		strv_free_p(&user->apps);
		for (size_t i = 0; i < a->apps.n; i++)
			strv_add(&user->apps, a->apps.v[i]);
		changed = true;
	}
	if (user->role == ROLE_ADMIN && user->apps.n > 0) {
		strv_free_p(&user->apps);
		changed = true;
	}
	return changed;
}

static void describe(const struct user *user, FILE *out)
{
	fprintf(out, "silver: user %s: role %s, apps ", user->name, role_name(user->role));
	if (user->apps.n == 0)
		fputs("all", out);
	for (size_t i = 0; i < user->apps.n; i++)
		fprintf(out, "%s%s", i ? " " : "", user->apps.v[i]);
	fprintf(out, ", %zu key%s\n", user->keys.n, user->keys.n == 1 ? "" : "s");
}

static int load_or_begin(int users_fd, const char *name, struct user *user, struct error *err)
{
	if (user_read(users_fd, name, user, err) == 0)
		return 0;
	if (err->code != E_NOTFOUND)
		return -1;
	*user = (struct user){.name = xstrdup(name), .role = ROLE_DEPLOY};
	return 0;
}

static int store_addition(const struct node *node, const struct addition *a, FILE *out,
			  struct error *err)
{
	autouser struct user user = {0};
	autoclose int users_fd = -1;
	size_t added = 0;
	bool changed;

	if (open_users(node, LOCK_EX, &users_fd, err) == -1 ||
	    load_or_begin(users_fd, a->name, &user, err) == -1)
		return -1;
	changed = apply_options(&user, a);
	if (add_keys(users_fd, &user, &a->keys, &added, out, err) == -1)
		return -1;
	if (!changed && added == 0) {
		fputs("silver: nothing was changed\n", out);
		return 0;
	}
	if (write_user(users_fd, &user, err) == -1)
		return -1;
	for (size_t i = user.keys.n - added; i < user.keys.n; i++)
		fprintf(out, "silver: added %s %s\n", user.fingerprints.v[i], user.comments.v[i]);
	describe(&user, out);
	return 0;
}

static int read_keys(struct addition *a, int in_fd, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (strbuf_read_fd(&text, in_fd, KEYS_MAX_BYTES, err) == -1)
		return error_prefix(err, "reading the key");
	if (memchr(strbuf_str(&text), '\0', text.len))
		return error_set(err, E_REFUSED, "this is no text: give the .pub file");
	if (pubkeys_parse(strbuf_str(&text), &a->keys, err) == -1)
		return -1;
	if (a->keys.n == 0)
		return error_set(err, E_USAGE, "no key on standard input\n%s", user_usage);
	return 0;
}

static int user_add(const struct node *node, char *const *words, size_t n, int in_fd, FILE *out,
		    struct error *err)
{
	struct addition a = {0};
	int result = -1;

	if (parse_addition(&a, words, n, err) == -1)
		;
	else if (a.role == ROLE_ADMIN && a.apps.n > 0)
		error_set(err, E_USAGE, "an admin has every app: leave --app out");
	else if (read_keys(&a, in_fd, err) == 0)
		result = store_addition(node, &a, out, err);
	strv_free_p(&a.apps);
	pubkeys_release(&a.keys);
	return result;
}

static int print_json(struct json *j, const struct user *user, struct error *err)
{
	json_open(j, NULL, '{');
	json_str(j, "user", user->name);
	json_str(j, "role", role_name(user->role));
	json_open(j, "apps", '[');
	for (size_t i = 0; i < user->apps.n; i++)
		json_str(j, NULL, user->apps.v[i]);
	json_close(j, ']');
	json_open(j, "keys", '[');
	for (size_t i = 0; i < user->keys.n; i++) {
		autofree char *fingerprint = NULL;

		if (pubkey_fingerprint(user->keys.v[i], &fingerprint, err) == -1)
			return -1;
		json_open(j, NULL, '{');
		json_str(j, "fingerprint", fingerprint);
		json_str(j, "key", user->keys.v[i]);
		json_str(j, "comment", user->comments.v[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
	return 0;
}

static int print_text(const struct user *user, FILE *out, struct error *err)
{
	fprintf(out, "%s  %s  ", user->name, role_name(user->role));
	if (user->apps.n == 0)
		fputs("all apps", out);
	for (size_t i = 0; i < user->apps.n; i++)
		fprintf(out, "%s%s", i ? " " : "", user->apps.v[i]);
	fputc('\n', out);
	for (size_t i = 0; i < user->keys.n; i++) {
		autofree char *fingerprint = NULL;

		if (pubkey_fingerprint(user->keys.v[i], &fingerprint, err) == -1)
			return -1;
		fprintf(out, "    %s %s\n", fingerprint, user->comments.v[i]);
	}
	return 0;
}

/* A wrong file is told at its place and does not hide the others. */
static int user_list(const struct node *node, bool as_json, FILE *out, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autostrv struct strv names = STRV_INIT;
	autoclose int users_fd = -1;
	struct json j = {.out = &text};

	if (open_users(node, LOCK_SH, &users_fd, err) == -1 ||
	    users_names(users_fd, &names, err) == -1)
		return -1;
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < names.n; i++) {
		autouser struct user user = {0};
		struct error wrong = ERROR_INIT;

		if (user_read(users_fd, names.v[i], &user, &wrong) == -1)
			error_report(&wrong);
		else if ((as_json ? print_json(&j, &user, err) : print_text(&user, out, err)) == -1)
			return -1;
	}
	json_close(&j, ']');
	if (as_json)
		fprintf(out, "%s\n", strbuf_str(&text));
	else if (names.n == 0)
		fputs("no users yet: `user add NAME < key.pub`\n", out);
	return 0;
}

static int user_remove(const struct node *node, const char *name, FILE *out, struct error *err)
{
	autoclose int users_fd = -1;

	if (name_check_user(name, err) == -1 || open_users(node, LOCK_EX, &users_fd, err) == -1)
		return -1;
	if (!fs_exists(users_fd, name))
		return error_set(err, E_NOTFOUND, "no user '%s' (`user list` names all)", name);
	if (fs_unlink(users_fd, name, err) == -1 || fs_sync(users_fd, err) == -1)
		return -1;
	fprintf(out, "silver: user %s is removed; connections that are open go on to their end\n",
		name);
	return 0;
}

int users_verb(const struct node *node, char *const *words, size_t n, int in_fd, FILE *out,
	       struct error *err)
{
	if (n >= 1 && !strcmp(words[0], "add"))
		return user_add(node, words + 1, n - 1, in_fd, out, err);
	if (n == 1 && !strcmp(words[0], "list"))
		return user_list(node, false, out, err);
	if (n == 2 && !strcmp(words[0], "list") && !strcmp(words[1], "--json"))
		return user_list(node, true, out, err);
	if (n == 2 && !strcmp(words[0], "remove"))
		return user_remove(node, words[1], out, err);
	return error_set(err, E_USAGE, "%s", user_usage);
}
