#include "services/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/ini.h"
#include "services/plugin.h"

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

static int take_text(const struct ini_entry *entry, char **field)
{
	free(*field);
	*field = xstrdup(entry->value);
	return 0;
}

static int take_admin(const struct node *node, const struct ini_entry *entry,
		      struct service_settings *out, struct error *err)
{
	if (check_secrecy(node, entry, err) == -1)
		return -1;
	return take_text(entry, &out->admin);
}

static int take_password_file(const struct node *node, const struct ini_entry *entry,
			      struct service_settings *out, struct error *err)
{
	(void)node;
	if (entry->value[0] != '/')
		return refuse(err, entry->line, "[%s]: password_file is an absolute path",
			      entry->section);
	return take_text(entry, &out->password_file);
}

/* HOST[:PORT], of letters that mean nothing in an address: no scheme, no user, no path. */
static int take_host(const struct node *node, const struct ini_entry *entry,
		     struct service_settings *out, struct error *err)
{
	(void)node;
	size_t len = strspn(entry->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789.-:[]");

	if (len == 0 || entry->value[len] || len > 250)
		return refuse(err, entry->line, "[%s]: host is HOST or HOST:PORT", entry->section);
	return take_text(entry, &out->host);
}

static int take_ms(const struct ini_entry *entry, int max, int *field, struct error *err)
{
	uint64_t ms;

	if (!str_to_uint(entry->value, (uint64_t)max, &ms) || ms < 100)
		return refuse(err, entry->line, "[%s]: %s is 100 to %d", entry->section, entry->key,
			      max);
	*field = (int)ms;
	return 0;
}

static int take_timeout(const struct node *node, const struct ini_entry *entry,
			struct service_settings *out, struct error *err)
{
	(void)node;
	return take_ms(entry, PLUGIN_MS_MAX, &out->timeout_ms, err);
}

static int take_data_timeout(const struct node *node, const struct ini_entry *entry,
			     struct service_settings *out, struct error *err)
{
	(void)node;
	return take_ms(entry, INT32_MAX, &out->data_timeout_ms, err);
}

enum { OF_OURS = 1, OF_FOREIGN = 2, OF_PLUGIN = 4 };

static const struct setting {
	const char *key;
	unsigned of;
	int (*take)(const struct node *node, const struct ini_entry *entry,
		    struct service_settings *out, struct error *err);
} settings[] = {
	{"admin", OF_OURS | OF_PLUGIN, take_admin},
	{"password_file", OF_OURS | OF_PLUGIN, take_password_file},
	{"host", OF_FOREIGN, take_host},
	{"timeout_ms", OF_PLUGIN, take_timeout},
	{"data_timeout_ms", OF_PLUGIN, take_data_timeout},
};

static int take(const struct node *node, const struct ini_entry *entry, unsigned of,
		struct service_settings *out, struct error *err)
{
	autostrbuf struct strbuf known = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (!(settings[i].of & of))
			continue;
		if (strcmp(settings[i].key, entry->key) == 0)
			return settings[i].take(node, entry, out, err);
		strbuf_addf(&known, "%s%s", known.len ? ", " : "", settings[i].key);
	}
	return refuse(err, entry->line, "[%s]: unknown setting '%s'; there is %s", entry->section,
		      entry->key, known.buf);
}

int service_settings_read(const struct node *node, const struct service *service,
			  struct service_settings *out, struct error *err)
{
	autofree char *section = xasprintf("service.%s", service->record);
	unsigned of = service->plugin ? OF_PLUGIN : service->foreign ? OF_FOREIGN : OF_OURS;
	autoini struct ini ini = INI_INIT;

	*out = (struct service_settings){.timeout_ms = PLUGIN_MS,
					 .data_timeout_ms = PLUGIN_DATA_MS};
	if (ini_read(node->fd, "node.ini", &ini, err) == -1)
		return -1;
	for (size_t i = 0; i < ini.n; i++)
		if (strcmp(ini.v[i].section, section) == 0 &&
		    take(node, &ini.v[i], of, out, err) == -1)
			return -1;
	return 0;
}

void service_settings_release(struct service_settings *s)
{
	free(steal_ptr(&s->admin));
	free(steal_ptr(&s->password_file));
	free(steal_ptr(&s->host));
}
