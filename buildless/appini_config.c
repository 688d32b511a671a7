/* appini_config.c - the keys config.* of [production]. */
#include "buildless/appini_parse.h"

#include <strings.h>
#include "buildless/config.h"
#include "buildless/runner.h"

/* Silver Lining took a yes or a no. */
bool appini_is_yes_or_no(const char *value, bool *yes)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		*yes = i % 2;
		if (strcasecmp(value, words[i]) == 0)
			return true;
	}
	return false;
}

static void take_required(struct parse *p, unsigned line, const char *word, size_t len)
{
	autofree char *name = xstrndup(word, len), *v = appini_shown(word, len);
	struct strv *required = &p->ini->config.required;
	struct error err = ERROR_INIT;

	if ((config_is_name(name) ? config_check_name(name, &err)
				  : config_check_file(name, &err)) == -1)
		appini_refuse(p, line,
			      "config.required: '%s' is neither a variable that can be set nor a "
			      "file of the configuration",
			      v);
	else if (!strv_has(required, name))
		strv_add(required, name);
}

void appini_take_config_required(struct parse *p, const struct place *at, const char *value)
{
	struct appini_config *config = &p->ini->config;

	config->required_line = at->line;
	if (appini_is_yes_or_no(value, &config->anything))
		return;
	config->anything = false;
	for (unsigned nth = 0; *value; nth++) {
		const char *end = value + strcspn(value, "\n");
		unsigned line = appini_continuation_line(p, at->line, nth);

		while (value < end) {
			size_t len = strcspn(value, " \t,\n");

			if (len)
				take_required(p, line, value, len);
			value += len + (value + len < end);
		}
		value += *value == '\n';
	}
}

static bool take_dir(struct parse *p, unsigned line, const char *key, const char *value, char **out)
{
	autofree char *v = appini_shown(value, strlen(value)), *path = xstrdup(value);

	while (str_ends(path, "/"))
		path[strlen(path) - 1] = '\0';
	if (!runner_is_tree_path(path)) {
		appini_refuse(p, line,
			      "%s '%s' is no directory of the tree; it is relative to the top, "
			      "without '.', '..' and blanks",
			      key, v);
		return false;
	}
	free(*out);
	*out = steal_ptr(&path);
	return true;
}

static void take_default(struct parse *p, unsigned line, const char *text)
{
	struct appini_config *config = &p->ini->config;
	size_t len = strcspn(text, "=");
	autofree char *name = xstrndup(text, len);
	const char *value = text[len] ? text + len + 1 : NULL;
	struct error err = ERROR_INIT;

	if (!value) {
		if (config->default_dir)
			appini_refuse(p, line, "config.default: a second directory; keep one");
		else if (take_dir(p, line, "config.default", text, &config->default_dir))
			config->default_line = line;
		return;
	}
	while (str_ends(name, " ") || str_ends(name, "\t"))
		name[strlen(name) - 1] = '\0';
	value += strspn(value, " \t");
	if (config_check_name(name, &err) == -1)
		appini_refuse(p, line, "config.default: %s", err.text);
	else
		strv_addf(&config->defaults, "%s=%s", name, value);
}

void appini_take_config_default(struct parse *p, const struct place *at, const char *value)
{
	for (unsigned nth = 0; *value; nth++) {
		size_t len = strcspn(value, "\n");
		autofree char *text = xstrndup(value, len);

		if (len)
			take_default(p, appini_continuation_line(p, at->line, nth), text);
		value += len + (value[len] == '\n');
	}
}

void appini_take_config_template(struct parse *p, const struct place *at, const char *value)
{
	if (take_dir(p, at->line, "config.template", value, &p->ini->config.template_dir))
		p->ini->config.template_line = at->line;
}

/* "shop.settings:check" */
static bool is_function(const char *value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_";
	unsigned colons = 0;

	for (bool start = true; *value; value++) {
		if (*value == '.' || *value == ':') {
			if (start)
				return false;
			colons += *value == ':';
			start = true;
		} else if (!strchr(letters, *value) || (start && strchr("0123456789", *value))) {
			return false;
		} else {
			start = false;
		}
		if (value[1] == '\0' && start)
			return false;
	}
	return colons == 1;
}

void appini_take_config_checker(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));

	if (!is_function(value)) {
		appini_refuse(p, at->line,
			      "config.checker '%s' is not of the form module:function, such as "
			      "shop.settings:check",
			      v);
		return;
	}
	p->ini->config.checker = xstrdup(value);
	p->ini->config.checker_line = at->line;
}
