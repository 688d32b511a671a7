/* silver-git: what `git receive-pack` starts as `git` (GIT_EXEC_PATH; docs/PERFORMANCE.md).
 *
 * Of all that it is started for, one thing is not handed on: the connectivity check of a push,
 * which pre-receive makes itself, of what the push changes (connected.h). git's own reads every
 * tree of the commit before. Whatever is not exactly that question, in a quarantine, with a
 * pre-receive to come, is git's. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `git rev-list --objects --stdin --not --all --quiet --alternate-refs`, as git 2.39 asks; what a
 * later git adds and we do not know makes it another question. */
static bool is_connectivity_check(int argc, char **argv)
{
	static const char *const words[] = {"--objects", "--stdin", "--not", "--all", "--quiet"};
	size_t found = 0;

	if (argc < 2 || strcmp(argv[1], "rev-list") != 0)
		return false;
	for (int i = 2; i < argc; i++) {
		bool known = strcmp(argv[i], "--alternate-refs") == 0 ||
			     strcmp(argv[i], "--exclude-hidden=receive") == 0;

		if (found < sizeof(words) / sizeof(words[0]) &&
		    strcmp(argv[i], words[found]) == 0) {
			found++;
			known = true;
		}
		if (!known)
			return false;
	}
	return found == sizeof(words) / sizeof(words[0]);
}

/* SILVER_PRE_RECEIVE is set by the monitor, beside core.hooksPath. */
static bool pre_receive_comes(void)
{
	const char *hook = getenv("SILVER_PRE_RECEIVE");

	return hook && access(hook, X_OK) == 0 && getenv("GIT_QUARANTINE_PATH");
}

/* git writes the new ids and waits for the end. */
static int leave_it(void)
{
	char bytes[4096];

	while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
		continue;
	return 0;
}

static bool is_this_program(const char *path)
{
	struct stat it, we;

	return stat(path, &it) == 0 && stat("/proc/self/exe", &we) == 0 && it.st_dev == we.st_dev &&
	       it.st_ino == we.st_ino;
}

/* The first git in PATH that is not this program: git itself has put GIT_EXEC_PATH to the front. */
static int become_git(char **argv)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	unsetenv("GIT_EXEC_PATH");
	for (size_t len; path && *path; path += len + (path[len] == ':')) {
		len = strcspn(path, ":");
		if (snprintf(file, sizeof(file), "%.*s/git", (int)len, path) < (int)sizeof(file) &&
		    !is_this_program(file))
			execv(file, argv);
	}
	fputs("silver: there is no git in PATH\n", stderr);
	return 127;
}

int main(int argc, char **argv)
{
	if (is_connectivity_check(argc, argv) && pre_receive_comes())
		return leave_it();
	return become_git(argv);
}
