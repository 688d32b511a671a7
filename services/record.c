#include "services/record.h"

#include "common/fs.h"
#include "services/catalog.h"

#define RECORD_MAX (1 << 20)

static bool is_variable(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return len > 0 && (text[0] < '0' || text[0] > '9') && text[len] == '=';
}

static int parse_env(struct strv *env, const char *bytes, size_t len, struct error *err)
{
	if (len > 0 && bytes[len - 1] != '\0')
		return error_set(err, E_SYSTEM, "a list of variables is cut");
	for (const char *at = bytes; at < bytes + len; at += strlen(at) + 1) {
		if (!is_variable(at) || str_starts(at, "SILVER_"))
			return error_set(err, E_SYSTEM, "a list of variables holds another thing");
		strv_add(env, at);
	}
	return 0;
}

const char *service_env_get(const struct strv *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
			return env->v[i] + len + 1;
	return NULL;
}

int service_record_parse(struct service_record *out, const char *bytes, size_t len,
			 struct error *err)
{
	size_t first = strnlen(bytes, len) + 1;

	*out = (struct service_record){NULL, STRV_INIT};
	if (len < first || bytes[0] != '=')
		return error_set(err, E_SYSTEM, "this is no record of a service");
	if (parse_env(&out->env, bytes + first, len - first, err) == -1) {
		strv_free_p(&out->env);
		return -1;
	}
	out->value = xstrdup(bytes + 1);
	return 0;
}

int service_record_read(int app_fd, const char *name, struct service_record *out, struct error *err)
{
	autofree char *path = xasprintf("services/%s", name);
	autostrbuf struct strbuf text = STRBUF_INIT;

	*out = (struct service_record){NULL, STRV_INIT};
	if (fs_read_file(app_fd, path, RECORD_MAX, &text, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (service_record_parse(out, strbuf_str(&text), text.len, err) == -1)
		return error_prefix(err, "'%s'", path);
	return 0;
}

void service_record_format(const struct service_record *r, struct strbuf *out)
{
	strbuf_addf(out, "=%s", r->value);
	strbuf_addch(out, '\0');
	for (size_t i = 0; i < r->env.n; i++)
		strbuf_add(out, r->env.v[i], strlen(r->env.v[i]) + 1);
}

/* A name that shares its record with another is that record's value: who was given postgis has
 * postgresql too. */
bool service_record_gives(const struct service_record *r, const char *name, const char *value)
{
	const struct service *service = service_named(name);

	if (!r->value)
		return false;
	if (service && strcmp(service->name, service->record) != 0)
		return strcmp(r->value, name) == 0;
	return strcmp(r->value, value) == 0 || (service && service_is_variant(r->value, service));
}

void service_record_release(struct service_record *r)
{
	free(steal_ptr(&r->value));
	strv_free_p(&r->env);
}
