#include "services/driver.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "common/proc.h"

#define SAID_MAX 600

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

/* The end of what a program said; the caller frees. */
static char *last_words(int fd)
{
	char text[SAID_MAX + 1];
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, text, SAID_MAX, size > SAID_MAX ? size - SAID_MAX : 0);

	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	return xstrdup(text);
}

int service_program(const struct strv *argv, const struct strv *env, int in, int out,
		    struct error *err)
{
	struct strv words = *argv; /* strv_argv() wants one that it may change */
	autostrv struct strv all = STRV_INIT;
	autoclose int said = memfd_create("said", MFD_CLOEXEC);
	struct proc_spec spec = {
		.path = argv->v[0], .in = in, .out = out, .err = said, .ends_with_us = true};
	autofree char *text = NULL;
	pid_t pid;
	int status;

	if (said == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	strv_add(&all, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strv_add(&all, "LC_ALL=C.UTF-8");
	strv_add(&all, "HOME=/nonexistent");
	for (size_t i = 0; i < env->n; i++)
		strv_add(&all, env->v[i]);
	spec.argv = strv_argv(&words);
	spec.envp = strv_argv(&all);
	if (proc_start(&spec, &pid, err) == -1 || proc_wait(pid, -1, &status, err) == -1)
		return -1;
	if (status == 0)
		return 0;
	text = last_words(said);
	return error_set(err, E_SYSTEM, "'%s' ended with status %d: %s", argv->v[0], status, text);
}
