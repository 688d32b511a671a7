/* silver-activate - what git runs as post-receive: makes live what pre-receive staged, without
 * libgit2. For any other push it becomes silver-hook. As proc-receive it sets aside what `-o stage`
 * staged. */
#include "hooks/post_receive.h"
#include "hooks/proc_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"

/* git's lines again, for the next program to read. */
static int feed_stdin(const struct push *push, struct error *err)
{
	autostrbuf struct strbuf lines = STRBUF_INIT;
	autoclose int fd = memfd_create("post-receive", MFD_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	for (size_t i = 0; i < push->n; i++)
		strbuf_addf(&lines, "%s %s %s\n", push->ref[i].old_oid, push->ref[i].new_oid,
			    push->ref[i].name);
	if (fs_write_all(fd, strbuf_str(&lines), lines.len, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1 || dup2(fd, STDIN_FILENO) == -1)
		return error_sys(err, errno, "cannot pass on what was pushed");
	return 0;
}

/* The lock goes with its descriptor: nobody else gets in between. */
static int become_whole(struct app *app, struct push *push, char **deploy_ref,
			struct release_info *out, bool *reused, struct error *err)
{
	autofree char *path = proc_program("silver-hook");
	char name[] = "post-receive", *const argv[] = {name, NULL};

	(void)deploy_ref;
	(void)out;
	*reused = false;
	if (feed_stdin(push, err) == -1)
		return -1;
	if (fcntl(app->lock_fd, F_SETFD, 0) == -1)
		return error_sys(err, errno, "cannot pass on the lock");
	execv(path, argv);
	return error_sys(err, errno, "cannot run '%s'", path);
}

int main(int argc, char **argv)
{
	/* a client that is gone ends the words, not the deploy */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stderr, NULL, _IOLBF, 0); /* each write(2) is a packet to the client */
	if (argc > 0 && str_ends(argv[0], "proc-receive"))
		return proc_receive();
	return post_receive(become_whole);
}
