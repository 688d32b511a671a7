#include "buildless/equip.h"

#include "buildless/env.h"
#include "buildless/release.h"
#include "buildless/report.h"
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/ask.h"
#include "services/catalog.h"
#include "services/record.h"

/* 1: the app has it; 0: not yet. */
static int is_given(const struct app *app, const struct appini_service *s, struct error *err)
{
	const struct service *service = service_named(s->name);
	autorecord struct service_record record = {NULL, STRV_INIT};
	autofree char *value = service_value(s->value);

	if (!service)
		return error_set(err, E_REFUSED, "this node has no service '%s'", s->name);
	if (service_record_read(app->fd, service->record, &record, err) == -1)
		return -1;
	return service_record_gives(&record, s->name, value);
}

static int check_one(const struct app *app, const struct appini_service *s, struct error *err)
{
	int given;

	if (service_check(&app->node, s->name, s->value, err) == -1)
		return -1;
	given = is_given(app, s, err);
	if (given != 0)
		return given == 1 ? 0 : -1;
	return service_available(&app->node, service_named(s->name), err);
}

int equip_check(const struct app *app, const struct appini *ini, struct strv *errors,
		struct error *err)
{
	for (size_t i = 0; i < ini->services.n; i++) {
		const struct appini_service *s = &ini->services.v[i];

		if (check_one(app, s, err) == 0)
			continue;
		if (err->code != E_REFUSED)
			return error_prefix(err, "service.%s", s->name);
		strv_addf(errors, "app.ini:%u: service.%s: %s", s->line, s->name, err->text);
	}
	return 0;
}

int equip_missing(const struct app *app, const struct appini *ini, struct strv *names,
		  struct error *err)
{
	for (size_t i = 0; i < ini->services.n; i++) {
		int given = is_given(app, &ini->services.v[i], err);

		if (given == -1)
			return error_prefix(err, "service.%s", ini->services.v[i].name);
		if (given == 0)
			strv_add(names, ini->services.v[i].name);
	}
	return 0;
}

static int provide(const struct appini_service *s, struct error *err)
{
	autofree char *value = service_value(s->value);
	autostrbuf struct strbuf took = STRBUF_INIT;
	int64_t start_us = clock_us();

	if (ask_provision(s->name, value, err) == -1)
		return -1;
	account_add_time(&took, clock_us() - start_us);
	report_step("service %s: provided in %s", s->name, took.buf);
	return 0;
}

int equip_provide(const struct app *app, const struct appini *ini, struct error *err)
{
	for (size_t i = 0; i < ini->services.n; i++) {
		const struct appini_service *s = &ini->services.v[i];
		int given = is_given(app, s, err);

		if (given == 1 || (given == 0 && provide(s, err) == 0))
			continue;
		return error_prefix(err, "app.ini:%u: service.%s", s->line, s->name);
	}
	return 0;
}

/* Is what the record says of its password what the environment says? */
static bool uses_password(const struct service_record *record, const struct strv *env)
{
	for (size_t i = 0; i < record->env.n; i++) {
		autofree char *name = xstrndup(record->env.v[i], strcspn(record->env.v[i], "="));
		const char *value = service_env_get(env, name);

		if (str_ends(name, "_PASSWORD"))
			return value && strcmp(value, record->env.v[i] + strlen(name) + 1) == 0;
	}
	return true;
}

/* Is a name of the record, at all, in the environment? */
static bool has_password_of(const struct service_record *record, const struct strv *env)
{
	for (size_t i = 0; i < record->env.n; i++) {
		autofree char *name = xstrndup(record->env.v[i], strcspn(record->env.v[i], "="));

		if (str_ends(name, "_PASSWORD"))
			return service_env_get(env, name) != NULL;
	}
	return false;
}

/* Rotated before, and the release that was to use it did not go live: the next one will do. */
static bool is_rotated(const struct app *app, const struct service *service,
		       const struct service_record *record)
{
	autofree char *mark = xasprintf("services/" SERVICE_OLD_MARK, service->record);
	autostrv struct strv env = STRV_INIT;
	struct error none = ERROR_INIT;

	return fs_exists(app->fd, mark) && env_read(app, release_current(app), &env, &none) == 0 &&
	       !uses_password(record, &env);
}

int equip_rotate(const struct app *app, const char *name, struct error *err)
{
	const struct service *service = service_named(name);
	autorecord struct service_record record = {NULL, STRV_INIT};

	if (!service)
		return error_set(err, E_NOTFOUND, "there is no service '%s'", name);
	if (service_record_read(app->fd, service->record, &record, err) == -1)
		return -1;
	if (!record.value)
		return error_set(err, E_NOTFOUND, "%s has no service '%s'", app->name, name);
	return is_rotated(app, service, &record) ? 0 : ask_rotate(name, err);
}

static int retire_one(const struct app *app, const struct service *service, const struct strv *env,
		      struct error *err)
{
	autofree char *mark = xasprintf("services/" SERVICE_OLD_MARK, service->record);
	autorecord struct service_record record = {NULL, STRV_INIT};

	if (!fs_exists(app->fd, mark))
		return 0;
	if (service_record_read(app->fd, service->record, &record, err) == -1)
		return -1;
	return uses_password(&record, env) ? ask_retire(service->name, err) : 0;
}

int equip_retire(const struct app *app, struct error *err)
{
	const struct service *service;
	autostrv struct strv env = STRV_INIT;

	if (!fs_exists(app->fd, "services"))
		return 0;
	if (env_read(app, release_current(app), &env, err) == -1)
		return -1;
	for (size_t i = 0; (service = service_at(i)); i++)
		if (strcmp(service->name, service->record) == 0 &&
		    retire_one(app, service, &env, err) == -1)
			return error_prefix(err, "retiring the old password of %s", service->name);
	return 0;
}

int equip_check_passwords(const struct app *app, unsigned release, const char *commit,
			  const char *branch, struct error *err)
{
	const struct service *service;
	autostrv struct strv env = STRV_INIT;

	if (env_read(app, release, &env, err) == -1)
		return -1;
	for (size_t i = 0; (service = service_at(i)); i++) {
		autorecord struct service_record record = {NULL, STRV_INIT};

		if (strcmp(service->name, service->record) != 0)
			continue;
		if (service_record_read(app->fd, service->record, &record, err) == -1)
			return -1;
		if (!has_password_of(&record, &env) || uses_password(&record, &env))
			continue;
		return error_set(err, E_REFUSED,
				 "the password that release %u has for %s was rotated since; `git "
				 "push -f silver %.7s:%s` deploys its commit with the new one",
				 release, service->name, commit, branch);
	}
	return 0;
}
