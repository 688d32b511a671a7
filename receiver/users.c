#include "receiver/users.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/ini.h"
#include "common/log.h"
#include "common/names.h"

static const char *const role_names[] = {[ROLE_NONE] = "none",
					 [ROLE_READ] = "read",
					 [ROLE_DEPLOY] = "deploy",
					 [ROLE_ADMIN] = "admin"};

const char *role_name(enum role role)
{
	return role_names[role];
}

int role_parse(const char *text, enum role *out, struct error *err)
{
	for (enum role r = ROLE_READ; r <= ROLE_ADMIN; r++) {
		if (!strcmp(text, role_names[r])) {
			*out = r;
			return 0;
		}
	}
	return error_set(err, E_USAGE, "unknown role '%s': the roles are admin, deploy, read",
			 text);
}

void user_release(struct user *user)
{
	free(user->name);
	strv_free_p(&user->apps);
	strv_free_p(&user->keys);
	strv_free_p(&user->comments);
	strv_free_p(&user->fingerprints);
	*user = (struct user){0};
}

static void copy_strv(struct strv *out, const struct strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		strv_add(out, from->v[i]);
}

void user_copy(struct user *out, const struct user *from)
{
	*out = (struct user){.name = xstrdup(from->name), .role = from->role};
	copy_strv(&out->apps, &from->apps);
	copy_strv(&out->keys, &from->keys);
	copy_strv(&out->comments, &from->comments);
	copy_strv(&out->fingerprints, &from->fingerprints);
}

bool user_sees(const struct user *user, const char *app)
{
	return user->role == ROLE_ADMIN || user->apps.n == 0 || strv_has(&user->apps, app);
}

static int read_key(struct user *user, const char *value, struct error *err)
{
	const char *type_end = strchr(value, ' ');
	size_t len;

	if (!type_end || type_end == value || type_end[1] == ' ' || type_end[1] == '\0')
		return error_set(err, E_SYSTEM, "expected TYPE BASE64 [COMMENT]");
	len = (size_t)(type_end + 1 - value) + strcspn(type_end + 1, " ");
	strv_addf(&user->keys, "%.*s", (int)len, value);
	strv_add(&user->comments, value[len] ? value + len + 1 : "");
	strv_add(&user->fingerprints, "");
	return 0;
}

static int read_entry(struct user *user, const struct ini_entry *e, struct error *err)
{
	if (strcmp(e->section, "user") != 0)
		return error_set(err, E_SYSTEM, "not in section [user]");
	if (!strcmp(e->key, "role"))
		return role_parse(e->value, &user->role, err);
	if (!strcmp(e->key, "key"))
		return read_key(user, e->value, err);
	if (!strcmp(e->key, "app")) {
		if (name_check_app(e->value, err) == -1)
			return -1;
		strv_add(&user->apps, e->value);
		return 0;
	}
	if (!strcmp(e->key, "fingerprint") && user->keys.n > 0) {
		char **last = &user->fingerprints.v[user->fingerprints.n - 1];

		free(*last);
		*last = xstrdup(e->value);
		return 0;
	}
	return error_set(err, E_SYSTEM, "unknown key '%s': role, app, key, fingerprint", e->key);
}

int user_read(int users_fd, const char *name, struct user *out, struct error *err)
{
	autoini struct ini ini = INI_INIT;

	*out = (struct user){.name = xstrdup(name)};
	if (ini_read(users_fd, name, &ini, err) == -1)
		goto failed;
	for (size_t i = 0; i < ini.n; i++) {
		if (read_entry(out, &ini.v[i], err) == -1) {
			error_prefix(err, "users/%s:%u", name, ini.v[i].line);
			goto failed;
		}
	}
	if (out->role == ROLE_NONE) {
		error_set(err, E_SYSTEM, "users/%s: no role", name);
		goto failed;
	}
	return 0;
failed:
	user_release(out);
	return -1;
}

/* What of a file tells that it is another one than was read. Two changes within one tick of the
 * kernel's clock can share an mtime, but a replaced file then has another inode. */
struct stamp {
	struct timespec mtime;
	ino_t ino;
	off_t size;
};

struct cached {
	struct stamp stamp;
	struct user user; /* no role and no key: the file is wrong */
};

struct users {
	int fd;
	struct strv names;
	struct cached *v;
};

struct users *users_new(int users_fd)
{
	struct users *users = xcalloc(1, sizeof(*users));

	users->fd = users_fd;
	return users;
}

static void forget(struct users *users)
{
	for (size_t i = 0; i < users->names.n; i++)
		user_release(&users->v[i].user);
	free(users->v);
	users->v = NULL;
	strv_free_p(&users->names);
}

void users_free(struct users *users)
{
	if (!users)
		return;
	forget(users);
	free(users);
}

static struct stamp stamp_of(int fd, const char *name)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return (struct stamp){0};
	return (struct stamp){st.st_mtim, st.st_ino, st.st_size};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->ino == b->ino && a->size == b->size;
}

/* Names of users in the directory: editors' and our own temporary files are none. */
int users_names(int users_fd, struct strv *names, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	struct error ignored = ERROR_INIT;

	if (fs_list(users_fd, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (name_check_user(all.v[i], &ignored) == 0 && !str_ends(all.v[i], "~"))
			strv_add(names, all.v[i]);
	return 0;
}

static bool same_names(const struct strv *a, const struct strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static void read_cached(struct users *users, size_t i, const struct stamp *stamp)
{
	struct error err = ERROR_INIT;

	user_release(&users->v[i].user);
	users->v[i].stamp = *stamp;
	if (user_read(users->fd, users->names.v[i], &users->v[i].user, &err) == -1)
		log_line("user '%s' has no rights: %s", users->names.v[i], err.text);
}

/* Looking at a few inodes costs less than reading their files, and finds files edited in place, of
 * which the directory's own mtime would not tell. */
static void refresh(struct users *users)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;

	if (users_names(users->fd, &names, &err) == -1) {
		log_line("%s: nobody can log in", err.text);
		forget(users);
		return;
	}
	if (!same_names(&names, &users->names)) {
		forget(users);
		users->names = names;
		names = (struct strv)STRV_INIT;
		users->v = xcalloc(users->names.n + 1, sizeof(*users->v));
	}
	for (size_t i = 0; i < users->names.n; i++) {
		struct stamp now = stamp_of(users->fd, users->names.v[i]);

		if (!same_stamp(&now, &users->v[i].stamp))
			read_cached(users, i, &now);
	}
}

const struct user *users_by_key(struct users *users, const char *key, const char **fingerprint)
{
	const char *type_end = strchr(key, ' ');
	size_t len;

	if (!type_end)
		return NULL;
	len = (size_t)(type_end + 1 - key) + strcspn(type_end + 1, " ");
	refresh(users);
	for (size_t i = 0; i < users->names.n; i++) {
		const struct user *user = &users->v[i].user;

		for (size_t k = 0; k < user->keys.n; k++) {
			if (strlen(user->keys.v[k]) != len ||
			    memcmp(user->keys.v[k], key, len) != 0)
				continue;
			if (fingerprint)
				*fingerprint = user->fingerprints.v[k];
			return user;
		}
	}
	return NULL;
}
