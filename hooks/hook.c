/* silver-hook - what git runs as pre-receive and post-receive: the name it is called by says which.
 */
#include <signal.h>
#include "buildless/git.h"
#include "common/error.h"
#include "hooks/post_receive.h"
#include "hooks/pre_receive.h"

static int whole_post_receive(void)
{
	return post_receive(post_receive_unstaged);
}

/* silverd asks whether libgit2 starts without its network libraries (receiver/offline.h). */
static int try_libgit2(void)
{
	struct error err = ERROR_INIT;
	autofree char *library = NULL;

	if (repo_try_libgit2(&library, &err) == -1)
		return error_report(&err);
	printf("%s", library);
	return E_OK;
}

static const struct {
	const char *name;
	int (*run)(void);
} hooks[] = {
	{"pre-receive", pre_receive},
	{"post-receive", whole_post_receive},
	{"try-libgit2", try_libgit2},
};

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	/* a client that is gone ends the words, not the deploy */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stderr, NULL, _IOLBF, 0); /* each write(2) is a packet to the client */
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		if (strcmp(name, hooks[i].name) == 0)
			return hooks[i].run();
	fprintf(stderr, "silver: '%s' is run by git, as pre-receive or post-receive\n", name);
	return E_USAGE;
}
