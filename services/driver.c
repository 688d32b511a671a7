#include "services/driver.h"

#include <sys/random.h>

char *service_new_password(void)
{
	unsigned char bytes[16];
	struct strbuf s = STRBUF_INIT;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		abort(); /* the kernel does not give so few in part */
	for (size_t i = 0; i < sizeof(bytes); i++)
		strbuf_addf(&s, "%02x", bytes[i]);
	return strbuf_detach(&s);
}

char *service_url_quoted(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	struct strbuf s = STRBUF_INIT;

	for (; *text; text++)
		if (strchr(plain, *text))
			strbuf_addch(&s, *text);
		else
			strbuf_addf(&s, "%%%02X", (unsigned char)*text);
	return strbuf_detach(&s);
}

char *service_database_name(const char *app, const char *const *taken, size_t n)
{
	autofree char *name = xstrdup(app);

	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, taken[i]) == 0)
			return xasprintf("%s_", name);
	return steal_ptr(&name);
}
