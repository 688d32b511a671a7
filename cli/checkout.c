/* checkout.c - small commands of a checkout: `silver diff`, `silver vendor`. */
#include <sys/stat.h>
#include "cli/command.h"
#include "cli/git.h"
#include "cli/place.h"
#include "cli/tool.h"

/* The commit that the first node of the remote has live, fetched where it is not here. */
static int find_live(const struct place *p, struct strbuf *oid, struct error *err)
{
	const struct host *host = &p->host[0];
	autofree char *name = NULL;
	int status;

	if (GIT(NULL, oid, err, "ls-remote", "--quiet", host->url, "HEAD") == -1)
		return -1;
	if (oid->len < 40)
		return error_set(err, E_NOTFOUND, "nothing of %s is live on %s", host->app,
				 host->node ? host->node : host->url);
	oid->len = 40;
	oid->buf[40] = '\0';
	name = xasprintf("%s^{commit}", oid->buf);
	if (GIT_ASK(NULL, NULL, &status, err, "cat-file", "-e", name) == -1)
		return -1;
	return status == 0 ? 0
			   : GIT(NULL, NULL, err, "fetch", "--quiet", "--no-tags",
				 "--no-write-fetch-head", host->url, "HEAD");
}

/* From what is live to what is here; git shows it, with the person's pager and colours. */
int cmd_diff(struct call *call, struct error *err)
{
	autoplace struct place place = {0};
	autostrbuf struct strbuf live = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT;
	struct tool git = TOOL_INHERIT(NULL);

	if (place_find(&place, NULL, call->options->remote, err) == -1 ||
	    find_live(&place, &live, err) == -1)
		return -1;
	strv_add(&argv, "git");
	strv_add(&argv, "diff");
	strv_add(&argv, strbuf_str(&live));
	for (size_t i = 0; i < call->args.words.n; i++)
		strv_add(&argv, call->args.words.v[i]);
	strv_add(&argv, "--");
	git.argv = strv_argv(&argv);
	if (tool_run(&git, &call->status, err) == -1)
		return -1;
	if (call->status > E_SYSTEM)
		call->status = E_USAGE;
	return 0;
}

/* The libraries of a requirements file, into the tree: nothing is installed on a node. */
int cmd_vendor(struct call *call, struct error *err)
{
	autofree char *top = NULL, *target = NULL;
	autostrv struct strv argv = STRV_INIT;
	struct tool pip = TOOL_INHERIT(NULL);

	if (git_top(NULL, &top, err) == -1)
		return -1;
	target = xasprintf("%s/lib/python", top);
	strv_add(&argv, "python3");
	strv_add(&argv, "-m");
	strv_add(&argv, "pip");
	strv_add(&argv, "install");
	strv_add(&argv, "--upgrade");
	strv_add(&argv, "--target");
	strv_add(&argv, target);
	for (size_t i = 0; i < call->args.words.n; i++) {
		strv_add(&argv, "--requirement");
		strv_add(&argv, call->args.words.v[i]);
	}
	pip.argv = strv_argv(&argv);
	if (tool_run(&pip, &call->status, err) == -1)
		return -1;
	if (call->status)
		return error_set(err, E_REFUSED,
				 "pip ended with status %d (`python3 -m pip`; Debian has it in "
				 "python3-pip)",
				 call->status);
	printf("in lib/python now; `git add -A lib/python` and commit it\n");
	return 0;
}
