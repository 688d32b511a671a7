#include <errno.h>
#include <fcntl.h>
#include "cli/provider.h"
#include "cli/settings.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"

void note_release(struct machine_note *note)
{
	free(note->provider);
	free(note->login);
	free(note->ssh);
	free(note->http);
	*note = (struct machine_note){0};
}

char *settings_dir(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (xdg && *xdg == '/')
		return xasprintf("%s/silver", xdg);
	return xasprintf("%s/.config/silver", home && *home ? home : "");
}

/* E_NOTFOUND: there are no notes. */
static int open_notes(int *out, struct error *err)
{
	autofree char *dir = settings_dir(), *path = xasprintf("%s/nodes", dir);

	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out != -1)
		return 0;
	if (errno == ENOENT)
		return error_set(err, E_NOTFOUND, "no notes in '%s'", path);
	return error_sys(err, errno, "cannot open '%s'", path);
}

static int make_notes(int *out, struct error *err)
{
	autofree char *dir = settings_dir(), *path = xasprintf("%s/nodes", dir);

	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0700) == -1 && errno != EEXIST)
			return error_sys(err, errno, "cannot make '%s'", path);
		if (!slash)
			break;
		*slash = '/';
	}
	return open_notes(out, err);
}

static char *value_of(const struct ini *ini, const char *key)
{
	const char *value = ini_get(ini, "", key);

	return value && *value ? xstrdup(value) : NULL;
}

int note_read(const char *name, struct machine_note *out, struct error *err)
{
	autoini struct ini ini = INI_INIT;
	autoclose int notes = -1;

	*out = (struct machine_note){0};
	if (name_check_app(name, err) == -1 || open_notes(&notes, err) == -1 ||
	    ini_read(notes, name, &ini, err) == -1)
		return -1;
	out->provider = value_of(&ini, "provider");
	out->login = value_of(&ini, "login");
	out->ssh = value_of(&ini, "ssh");
	out->http = value_of(&ini, "http");
	return 0;
}

int note_write(const char *name, const struct machine_note *note, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int notes = -1;

	if (name_check_app(name, err) == -1 || make_notes(&notes, err) == -1)
		return -1;
	ini_add(&text, "provider", note->provider);
	if (note->login)
		ini_add(&text, "login", note->login);
	if (note->ssh)
		ini_add(&text, "ssh", note->ssh);
	if (note->http)
		ini_add(&text, "http", note->http);
	return fs_replace_file(notes, name, text.buf, text.len, 0600, err);
}

int note_remove(const char *name, struct error *err)
{
	autoclose int notes = -1;

	if (open_notes(&notes, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_unlink(notes, name, err) == -1)
		return -1;
	return fs_sync(notes, err);
}

int note_list(struct strv *names, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	autoclose int notes = -1;
	struct error bad = ERROR_INIT;

	if (open_notes(&notes, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(notes, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (name_check_app(all.v[i], &bad) == 0)
			strv_add(names, all.v[i]);
	return 0;
}
