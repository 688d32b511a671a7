#include "services/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/ini.h"

static int refuse(struct error *err, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct error *err, unsigned line, const char *fmt, ...)
{
	va_list args;
	autofree char *text = NULL;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	return error_set(err, E_SYSTEM, "node.ini:%u: %s", line, text);
}

/* postgresql://user:secret@host/: is there a ':' before the '@' of the authority? */
static bool has_password(const char *url)
{
	const char *host = strstr(url, "://");
	const char *at = host ? strchr(host + 3, '@') : NULL;
	const char *slash = host ? strchr(host + 3, '/') : NULL;

	if (strstr(url, "password="))
		return true;
	return at && (!slash || at < slash) && memchr(host + 3, ':', (size_t)(at - host - 3));
}

static int check_secrecy(const struct node *node, const struct ini_entry *entry, struct error *err)
{
	struct stat st;

	if (!has_password(entry->value))
		return 0;
	if (fstatat(node->fd, "node.ini", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return error_sys(err, errno, "cannot stat 'node.ini'");
	if (!(st.st_mode & 077))
		return 0;
	return refuse(err, entry->line,
		      "[%s]: everybody may read this file, and there is a password in it; write it "
		      "into a file of mode 0600 and name that: password_file = /PATH",
		      entry->section);
}

static int take(const struct node *node, const struct ini_entry *entry,
		struct service_settings *out, struct error *err)
{
	char **field = strcmp(entry->key, "admin") == 0           ? &out->admin
		       : strcmp(entry->key, "password_file") == 0 ? &out->password_file
								  : NULL;

	if (!field)
		return refuse(err, entry->line,
			      "[%s]: unknown setting '%s'; they are admin and password_file",
			      entry->section, entry->key);
	if (field == &out->admin && check_secrecy(node, entry, err) == -1)
		return -1;
	if (field == &out->password_file && entry->value[0] != '/')
		return refuse(err, entry->line, "[%s]: password_file is an absolute path",
			      entry->section);
	free(*field);
	*field = xstrdup(entry->value);
	return 0;
}

int service_settings_read(const struct node *node, const char *name, struct service_settings *out,
			  struct error *err)
{
	autofree char *section = xasprintf("service.%s", name);
	autoini struct ini ini = INI_INIT;

	*out = (struct service_settings){NULL, NULL};
	if (ini_read(node->fd, "node.ini", &ini, err) == -1)
		return -1;
	for (size_t i = 0; i < ini.n; i++)
		if (strcmp(ini.v[i].section, section) == 0 && take(node, &ini.v[i], out, err) == -1)
			return -1;
	return 0;
}

void service_settings_release(struct service_settings *s)
{
	free(steal_ptr(&s->admin));
	free(steal_ptr(&s->password_file));
}
