#include "cli/args.h"

#include "common/names.h"

#define OPTIONS_MAX 32

void args_release(struct args *a)
{
	strv_free_p(&a->names);
	strv_free_p(&a->values);
	strv_free_p(&a->words);
}

/* The names of a specification without their "=". */
static size_t list_names(const char *spec, struct strv *names)
{
	for (const char *at = spec; *at;) {
		size_t len = strcspn(at, " ");

		strv_addf(names, "%.*s", (int)(len - (at[len - 1] == '=')), at);
		at += len + strspn(at + len, " ");
	}
	return names->n;
}

static bool takes_value(const char *spec, const char *name)
{
	autofree char *valued = xasprintf("%s=", name);
	size_t len = strlen(valued);

	for (const char *at = strstr(spec, valued); at; at = strstr(at + 1, valued))
		if ((at == spec || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static int unknown(const char *name, struct strv *known, struct error *err)
{
	autofree char *shown = name_printable(name);
	const char *near = name_nearest(name, (const char *const *)strv_argv(known), known->n);

	return error_set(err, E_USAGE, "unknown option '%.60s'%s%s%s", shown,
			 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static int take_option(struct args *out, const char *spec, char *const *words, size_t n, size_t *i,
		       struct error *err)
{
	const char *word = words[*i], *equals = strchr(word, '=');
	autofree char *name = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(word);
	autostrv struct strv known = STRV_INIT;

	list_names(spec, &known);
	if (!strv_has(&known, name))
		return unknown(name, &known, err);
	if (!takes_value(spec, name) && equals)
		return error_set(err, E_USAGE, "%s takes no value", name);
	if (takes_value(spec, name) && !equals && *i + 1 == n)
		return error_set(err, E_USAGE, "%s wants a value", name);
	strv_add(&out->names, name);
	if (!takes_value(spec, name))
		strv_add(&out->values, "");
	else
		strv_add(&out->values, equals ? equals + 1 : words[++*i]);
	return 0;
}

int args_parse(struct args *out, const char *spec, char *const *words, size_t n, struct error *err)
{
	bool options = true;

	*out = (struct args){0};
	for (size_t i = 0; i < n; i++) {
		if (options && !strcmp(words[i], "--")) {
			options = false;
		} else if (options && words[i][0] == '-' && words[i][1]) {
			if (take_option(out, spec ? spec : "", words, n, &i, err) == -1) {
				args_release(out);
				return -1;
			}
		} else {
			strv_add(&out->words, words[i]);
		}
	}
	return 0;
}

bool args_has(const struct args *a, const char *name)
{
	return strv_has(&a->names, name);
}

const char *args_value(const struct args *a, const char *name)
{
	for (size_t i = a->names.n; i-- > 0;)
		if (!strcmp(a->names.v[i], name))
			return a->values.v[i];
	return NULL;
}
