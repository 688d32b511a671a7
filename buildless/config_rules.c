#include "buildless/config_rules.h"

#include "common/names.h"
#include "services/catalog.h"
#include "services/record.h"

/* What a service gives is there once it is provided, which comes after this. */
static bool is_given(const struct appini *ini, const char *name)
{
	for (size_t i = 0; i < ini->services.n; i++) {
		const struct service *service = service_named(ini->services.v[i].name);

		if (service && name_is_listed(name, service->gives))
			return true;
	}
	return false;
}

static bool has(const struct appini *ini, const struct config *config, const char *name)
{
	if (!config_is_name(name))
		return config_find_file(config, name) != NULL;
	return config_get(config, name) || service_env_get(&ini->config.defaults, name) ||
	       config_find_file(config, name) || is_given(ini, name);
}

void config_check_required(const struct app *app, const struct appini *ini,
			   const struct config *config, struct strv *errors)
{
	const struct appini_config *asked = &ini->config;

	if (asked->anything && config->set.n + config->n_files == 0)
		strv_addf(errors,
			  "app.ini:%u: 'config.required': %s has no configuration; `silver config "
			  "set %s NAME=VALUE` or `silver config put %s FILE < FILE` gives it some, "
			  "then push again",
			  asked->required_line, app->name, app->name, app->name);
	for (size_t i = 0; i < asked->required.n; i++) {
		const char *name = asked->required.v[i];

		if (has(ini, config, name))
			continue;
		if (config_is_name(name))
			strv_addf(errors,
				  "app.ini:%u: 'config.required': %s is not set; `silver config "
				  "set %s %s=VALUE` sets it",
				  asked->required_line, name, app->name, name);
		else
			strv_addf(errors,
				  "app.ini:%u: 'config.required': there is no file %s; `silver "
				  "config put %s %s < %s` brings it",
				  asked->required_line, name, app->name, name, name);
	}
}

char *config_dir_of(const struct appini_config *asked, const struct config *config,
		    unsigned release, unsigned slot)
{
	if (config->n_files == 0 && asked->default_dir)
		return xasprintf("slots/%u/%s", slot, asked->default_dir);
	return xasprintf("releases/%u/config.d", release);
}
