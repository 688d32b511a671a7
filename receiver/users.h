/* users.h - who may do what: DIR/users/NAME, one file a user.
 *
 *	[user]
 *	role = deploy
 *	app = blog
 *	app = shop
 *	key = ssh-ed25519 AAAA... ian@laptop
 *	fingerprint = SHA256:...
 *
 * `key` may be there several times; `fingerprint` belongs to the key above it and is only for
 * people. Without `app` a user may see every app. A file that is wrong gives nobody any right, and
 * the log says so.
 *
 * Files are replaced whole, under a lock on the directory; people may also edit them. */
#pragma once
#include "common/node.h"

enum role {
	ROLE_NONE, /* anybody whose key is known */
	ROLE_READ,
	ROLE_DEPLOY,
	ROLE_ADMIN,
};
const char *role_name(enum role role);
/* "admin", "deploy", "read". E_USAGE. */
MUST_CHECK int role_parse(const char *text, enum role *out, struct error *err);

struct user {
	char *name;
	enum role role;
	struct strv apps;         /* empty: all */
	struct strv keys;         /* "TYPE BASE64", nothing else */
	struct strv comments;     /* one for each key, may be "" */
	struct strv fingerprints; /* one for each key, "" where the file has none */
};
#define autouser __attribute__((cleanup(user_release)))
void user_release(struct user *user);
void user_copy(struct user *out, const struct user *from);
/* Whether the user may know of this app at all. */
bool user_sees(const struct user *user, const char *app);

/* One user; E_NOTFOUND, or E_SYSTEM "users/NAME:LINE: ...". */
MUST_CHECK int user_read(int users_fd, const char *name, struct user *out, struct error *err);
/* Names of all users, sorted. */
MUST_CHECK int users_names(int users_fd, struct strv *names, struct error *err);

/* All users of a node, read again when a file changed. */
struct users;
struct users *users_new(int users_fd); /* the fd stays the caller's and must outlive it */
void users_free(struct users *users);
/* Whose key this is ("TYPE BASE64", more words ignored), or NULL. Valid until the next call.
 * *fingerprint (if not NULL) is "" where it is not known. */
const struct user *users_by_key(struct users *users, const char *key, const char **fingerprint);

/* The verb `user`: words after it are "add NAME [--role R] [--app A]...", "list [--json]", "remove
 * NAME". add reads the keys, one a line, from in_fd. Text for people goes to out. */
MUST_CHECK int users_verb(const struct node *node, char *const *words, size_t n, int in_fd,
			  FILE *out, struct error *err);
