#include "buildless/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include "buildless/packages.h"
#include "common/fs.h"
#include "common/names.h"

#define STORE "packages"
#define LOCK  STORE "/lock"

char *store_entry_name(const char *name, const char *version, const char *arch)
{
	struct strbuf s = STRBUF_INIT;

	strbuf_addf(&s, "%s_", name);
	for (; *version; version++)
		if (*version == ':')
			strbuf_addstr(&s, "%3a");
		else
			strbuf_addch(&s, *version);
	strbuf_addf(&s, "_%s", arch);
	return strbuf_detach(&s);
}

bool store_is_entry(const char *name)
{
	const char *first = strchr(name, '_'), *last = strrchr(name, '_');
	autofree char *package = first ? xstrndup(name, (size_t)(first - name)) : NULL;

	return first != last && last[1] && !strchr(name, '/') && name_is_package(package);
}

bool store_has(const struct node *node, const char *entry)
{
	autofree char *path = xasprintf(STORE "/%s", entry);

	return store_is_entry(entry) && fs_exists(node->fd, path);
}

bool store_has_all(const struct node *node, const struct strv *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		if (!store_has(node, entries->v[i]))
			return false;
	return true;
}

int store_hold(const struct node *node, struct error *err)
{
	static int held = -1;

	if (held != -1)
		return 0;
	if (fs_ensure_dir(node->fd, STORE, 0755, NULL, err) == -1 ||
	    fs_open(node->fd, LOCK, O_RDWR | O_CREAT, 0644, &held, err) == -1)
		return -1;
	while (flock(held, LOCK_SH) == -1)
		if (errno != EINTR)
			return error_sys(err, errno, "cannot lock '" LOCK "'");
	return 0;
}

/* The environment */

/* Directories of a package, and the variable by which programs find what is in them. "*" is the
 * architecture's ("x86_64-linux-gnu"), "%" any name; `usual` is what counts behind a variable that
 * was not set. */
static const struct place {
	const char *variable, *dir, *usual;
} places[] = {
	{"PATH", "usr/bin", ""},
	{"PATH", "bin", ""},
	{"PATH", "usr/sbin", ""},
	{"PATH", "sbin", ""},
	{"PATH", "usr/games", ""},
	{"LD_LIBRARY_PATH", "usr/lib/*", ""},
	{"LD_LIBRARY_PATH", "lib/*", ""},
	{"LD_LIBRARY_PATH", "usr/lib", ""},
	{"LD_LIBRARY_PATH", "lib", ""},
	{"PYTHONPATH", "usr/lib/python3/dist-packages", ""},
	{"PERL5LIB", "usr/share/perl5", ""},
	{"PERL5LIB", "usr/lib/*/perl5/%", ""},
	{"GI_TYPELIB_PATH", "usr/lib/*/girepository-1.0", ""},
	{"NODE_PATH", "usr/share/nodejs", ""},
	{"MANPATH", "usr/share/man", ":"},
	{"XDG_DATA_DIRS", "usr/share", ":/usr/local/share:/usr/share"},
};

static bool fits(const char *name, char wanted)
{
	return *name != '.' && (wanted == '%' || strstr(name, "-linux-"));
}

/* Adds the directories below `path` that the pattern leads to. */
static void expand(int node_fd, const char *path, const char *pattern, struct strv *out)
{
	size_t len = strcspn(pattern, "/");
	autostrv struct strv names = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(node_fd, path, &fd, &none) == -1)
		return;
	if (len == 0) {
		strv_add(out, path);
		return;
	}
	if (*pattern != '*' && *pattern != '%') {
		autofree char *name = xstrndup(pattern, len);

		strv_add(&names, name);
	} else if (fs_list(fd, &names, &none) == -1) {
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		autofree char *next = xasprintf("%s/%s", path, names.v[i]);

		if ((*pattern != '*' && *pattern != '%') || fits(names.v[i], *pattern))
			expand(node_fd, next, pattern + len + (pattern[len] == '/'), out);
	}
}

/* Does a shared library lie there? A usr/lib full of other things is nothing for the linker. */
static bool has_libraries(int node_fd, const char *path)
{
	autostrv struct strv names = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(node_fd, path, &fd, &none) == -1 || fs_list(fd, &names, &none) == -1)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (strstr(names.v[i], ".so"))
			return true;
	return false;
}

static void find_dirs(const struct node *node, const struct strv *entries, const char *variable,
		      struct strbuf *joined)
{
	for (size_t i = 0; i < entries->n; i++) {
		autofree char *top = xasprintf(STORE "/%s", entries->v[i]);
		autostrv struct strv dirs = STRV_INIT;

		for (size_t k = 0; k < ARRAY_SIZE(places); k++)
			if (strcmp(places[k].variable, variable) == 0)
				expand(node->fd, top, places[k].dir, &dirs);
		for (size_t k = 0; k < dirs.n; k++)
			if (strcmp(variable, "LD_LIBRARY_PATH") != 0 ||
			    has_libraries(node->fd, dirs.v[k]))
				strbuf_addf(joined, "%s%s/%s", joined->len ? ":" : "", node->dir,
					    dirs.v[k]);
	}
}

static char **variable_in(struct strv *env, const char *variable)
{
	size_t len = strlen(variable);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], variable, len) == 0 && env->v[i][len] == '=')
			return &env->v[i];
	return NULL;
}

/* The app's own programs come first, then those it asked for, then the machine's. */
static char *join(const char *old, const char *dirs)
{
	const char *machine = strstr(old, ":/usr/local/bin:");
	int own = machine ? (int)(machine - old) : (int)strlen(old);

	return xasprintf("%.*s:%s%s", own, old, dirs, machine ? machine : "");
}

static void set_variable(const struct place *place, const char *dirs, struct strv *env)
{
	char **there = variable_in(env, place->variable);
	char *joined;

	if (!there) {
		strv_addf(env, "%s=%s%s", place->variable, dirs, place->usual);
		return;
	}
	joined = join(*there, dirs);
	free(*there);
	*there = joined;
}

int store_compose(const struct node *node, const struct strv *entries, struct strv *env,
		  struct error *err)
{
	for (size_t i = 0; i < entries->n; i++)
		if (!store_has(node, entries->v[i]))
			return error_set(err, E_SYSTEM, STORE "/%s is gone", entries->v[i]);
	for (size_t i = 0; entries->n && i < ARRAY_SIZE(places); i++) {
		autostrbuf struct strbuf joined = STRBUF_INIT;

		if (i && strcmp(places[i].variable, places[i - 1].variable) == 0)
			continue;
		find_dirs(node, entries, places[i].variable, &joined);
		if (joined.len)
			set_variable(&places[i], joined.buf, env);
	}
	return 0;
}

/* Pruning */

static int add_used_by(int releases_fd, struct strv *used, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(releases_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/record.ini", names.v[i]);
		autoini struct ini ini = INI_INIT;
		struct packages packages;

		if (!fs_exists(releases_fd, path)) /* half made, or half removed */
			continue;
		if (ini_read(releases_fd, path, &ini, err) == -1)
			return -1;
		packages_read(&ini, &packages);
		for (size_t k = 0; k < packages.store.n; k++)
			strv_add(used, packages.store.v[k]);
		packages_release(&packages);
	}
	return 0;
}

static int add_used(const struct node *node, struct strv *used, struct error *err)
{
	autostrv struct strv apps = STRV_INIT;
	autoclose int apps_fd = -1;

	if (fs_open_dir(node->fd, "apps", &apps_fd, err) == -1 ||
	    fs_list(apps_fd, &apps, err) == -1)
		return -1;
	for (size_t i = 0; i < apps.n; i++) {
		autofree char *path = xasprintf("%s/releases", apps.v[i]);
		autoclose int fd = -1;

		if (!fs_exists(apps_fd, path))
			continue;
		if (fs_open_dir(apps_fd, path, &fd, err) == -1 || add_used_by(fd, used, err) == -1)
			return -1;
	}
	return 0;
}

static bool is_litter(const char *name)
{
	return *name == '.' && (str_ends(name, ".new") || str_ends(name, ".gone"));
}

/* Out of the way first, on disk: what has an entry's name is whole. */
static int remove_entry(int store_fd, const char *name, struct error *err)
{
	autofree char *gone = is_litter(name) ? xstrdup(name) : xasprintf(".%s.gone", name);

	if (strcmp(gone, name) != 0 && fs_rename_sync(store_fd, name, store_fd, gone, err) == -1)
		return -1;
	return fs_remove_tree(store_fd, gone, err);
}

static int prune_locked(const struct node *node, int store_fd, struct error *err)
{
	autostrv struct strv names = STRV_INIT, used = STRV_INIT;

	if (add_used(node, &used, err) == -1 || fs_list(store_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if ((is_litter(names.v[i]) ||
		     (store_is_entry(names.v[i]) && !strv_has(&used, names.v[i]))) &&
		    remove_entry(store_fd, names.v[i], err) == -1)
			return error_prefix(err, "removing packages/%s", names.v[i]);
	return 0;
}

static bool try_lock(int dir_fd, const char *path, int *fd)
{
	struct error none = ERROR_INIT;

	return fs_open(dir_fd, path, O_RDWR, 0, fd, &none) == 0 &&
	       flock(*fd, LOCK_EX | LOCK_NB) == 0;
}

int store_prune(const struct node *node, struct error *err)
{
	autoclose int store_fd = -1, chosen_fd = -1, installing_fd = -1;

	if (!fs_exists(node->fd, LOCK))
		return 0;
	if (!try_lock(node->fd, LOCK, &chosen_fd) ||
	    !try_lock(node->fd, "run/packages.lock", &installing_fd))
		return 0;
	if (fs_open_dir(node->fd, STORE, &store_fd, err) == -1)
		return -1;
	return prune_locked(node, store_fd, err);
}
