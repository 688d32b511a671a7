#include "buildless/packages.h"

#include "common/proc.h"

#define QUERY_MS 10000

/* Is there a line "NAME installed", or "NAME:ARCH installed"? */
static bool is_installed(const char *listing, const char *name)
{
	autofree char *plain = xasprintf("%s installed", name);

	for (const char *line = listing; *line;) {
		size_t len = strcspn(line, "\n");
		autofree char *text = xstrndup(line, len);
		char *colon = strchr(text, ':'), *blank = strchr(text, ' ');

		if (strcmp(text, plain) == 0)
			return true;
		if (colon && blank && colon < blank) {
			memmove(colon, blank, strlen(blank) + 1);
			if (strcmp(text, plain) == 0)
				return true;
		}
		line += len + (line[len] == '\n');
	}
	return false;
}

int packages_missing(const struct strv *names, struct strv *missing, struct error *err)
{
	autostrbuf struct strbuf listing = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = "dpkg-query", .in = -1, .out = -1, .err = -1};
	int status;

	if (names->n == 0)
		return 0;
	strv_add(&argv, "dpkg-query");
	strv_add(&argv, "--show");
	strv_add(&argv, "--showformat=${Package}:${Architecture} ${db:Status-Status}\\n");
	strv_add(&argv, "--");
	for (size_t i = 0; i < names->n; i++)
		strv_add(&argv, names->v[i]);
	strv_add(&env, "LC_ALL=C");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	/* its status is 1 where one name is unknown: the listing tells which are not */
	if (proc_run(&spec, QUERY_MS, &status, &listing, err) == -1)
		return error_prefix(err, "asking which packages are installed");
	if (status > 1)
		return error_set(err, E_SYSTEM, "dpkg-query ended with status %d: %.200s", status,
				 strbuf_str(&listing));
	for (size_t i = 0; i < names->n; i++)
		if (!is_installed(strbuf_str(&listing), names->v[i]))
			strv_add(missing, names->v[i]);
	return 0;
}
