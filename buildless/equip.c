#include "buildless/equip.h"

#include "buildless/report.h"
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

	if (service_check(s->name, s->value, err) == -1)
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
