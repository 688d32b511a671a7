/* init.c - `silver init`: what a new app begins with. What is there already is kept as it is. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include "cli/command.h"
#include "cli/git.h"
#include "cli/remotes.h"
#include "common/fs.h"
#include "common/names.h"

#define COMMON_INI                                                                                 \
	"\n"                                                                                       \
	"# A path that must answer below 400 before a new release goes live. Without it any\n"     \
	"# answer below 500 of / will do.\n"                                                       \
	"#health = /up\n"                                                                          \
	"\n"                                                                                       \
	"# Debian packages that must be installed on the node.\n"                                  \
	"#packages = python3-lxml\n"                                                               \
	"\n"                                                                                       \
	"# Run in order on a release that is not live yet: a path is fetched, a script is run.\n"  \
	"# One that fails refuses the push.\n"                                                     \
	"#update_fetch = script:bin/migrate\n"                                                     \
	"#test = /\n"                                                                              \
	"\n"                                                                                       \
	"# The host name that the first deploy asks for; else it is APP.DOMAIN of the node.\n"     \
	"#default_location = www.example.com\n"                                                    \
	"\n"                                                                                       \
	"# All keys: `silver help app.ini`, app.ini(5)\n"

static const char page[] = "<!DOCTYPE html>\n"
			   "<title>Hello</title>\n"
			   "<p>Each file below <code>static/</code> is served at <code>/</code>.\n";

struct file {
	const char *platform; /* NULL: of every one */
	const char *path, *content;
	mode_t mode;
};

static const struct file files[] = {
	{NULL, ".gitignore", "__pycache__/\n*.pyc\n.venv/\n.env\n", 0644},
	{"python", "app.ini",
	 "[production]\n"
	 "platform = python\n"
	 "\n"
	 "# path/file.py#object or module:object, WSGI or ASGI; the object is `application`\n"
	 "# where none is named\n"
	 "runner = src/app.py#application\n" COMMON_INI,
	 0644},
	{"python", "src/app.py",
	 "def application(environ, start_response):\n"
	 "    body = b\"Hello!\\n\"\n"
	 "    start_response(\"200 OK\", [(\"Content-Type\", \"text/plain; charset=utf-8\"),\n"
	 "                              (\"Content-Length\", str(len(body)))])\n"
	 "    return [body]\n",
	 0644},
	{"python", "lib/python/.gitkeep", "",
	 0644}, /* libraries: pip install --target lib/python */
	{"python", "static/.gitkeep", "", 0644},
	{"php", "app.ini",
	 "[production]\n"
	 "platform = php\n"
	 "\n"
	 "# the file that requests enter, and where files are served from that are no PHP\n"
	 "runner = web/index.php\n"
	 "php_root = web\n" COMMON_INI,
	 0644},
	{"php", "web/index.php",
	 "<!DOCTYPE html>\n"
	 "<title>Hello</title>\n"
	 "<p>Hello from <?= htmlspecialchars($_SERVER[\"PATH_INFO\"]) ?>\n",
	 0644},
	{"php", "static/.gitkeep", "", 0644},
	{"static", "app.ini", "[production]\nplatform = static\n" COMMON_INI, 0644},
	{"static", "static/index.html", page, 0644},
	{"exec", "app.ini",
	 "[production]\n"
	 "platform = exec\n"
	 "\n"
	 "# a program that serves HTTP on the socket it inherits (LISTEN_FDS), or on $PORT\n"
	 "runner = bin/serve\n" COMMON_INI,
	 0644},
	{"exec", "bin/serve",
	 "#!/bin/sh\n"
	 "exec python3 -m http.server --bind 127.0.0.1 --directory static \"$PORT\"\n",
	 0755},
	{"exec", "static/.gitkeep", "", 0644},
};

static int make_dirs(int dir_fd, const char *path, struct error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		autofree char *dir = xstrndup(path, (size_t)(slash - path));

		if (mkdirat(dir_fd, dir, 0777) == -1 && errno != EEXIST)
			return error_sys(err, errno, "cannot make '%s'", dir);
	}
	return 0;
}

static int write_file(int dir_fd, const struct file *f, struct error *err)
{
	autoclose int fd = -1;

	if (make_dirs(dir_fd, f->path, err) == -1)
		return -1;
	fd = openat(dir_fd, f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    f->mode | 022);
	if (fd == -1 && errno == EEXIST) {
		printf("kept   %s\n", f->path);
		return 0;
	}
	if (fd == -1)
		return error_sys(err, errno, "cannot make '%s'", f->path);
	printf("wrote  %s\n", f->path);
	return fs_write_all(fd, f->content, strlen(f->content), err);
}

static int write_files(const char *dir, const char *platform, struct error *err)
{
	autoclose int dir_fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &dir_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if ((!files[i].platform || !strcmp(files[i].platform, platform)) &&
		    write_file(dir_fd, &files[i], err) == -1)
			return error_prefix(err, "in '%s'", dir);
	return 0;
}

static int check_platform(const char *platform, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i].platform && !strcmp(files[i].platform, platform))
			return 0;
	return error_set(err, E_USAGE,
			 "'%s': `silver init` knows --platform python, php, static and exec",
			 platform);
}

/* The first push decides between master and main: nothing else would be deployed. */
static int make_repository(const char *dir, char **branch, struct error *err)
{
	struct git g = {.dir = dir};
	autofree char *own = xasprintf("%s/.git", dir);
	autostrbuf struct strbuf wanted = STRBUF_INIT, head = STRBUF_INIT;
	int status;

	if (access(own, F_OK) == -1) {
		if (GIT_ASK(&g, &wanted, &status, err, "config", "init.defaultBranch") == -1)
			return -1;
		if (GIT(&g, NULL, err, "init", "--quiet", "-b",
			strcmp(strbuf_str(&wanted), "main") != 0 ? "master" : "main") == -1)
			return -1;
		puts("made   .git");
	}
	if (GIT(&g, &head, err, "symbolic-ref", "--short", "HEAD") == -1)
		return -1;
	*branch = strbuf_detach(&head);
	return 0;
}

static int add_remote(const struct call *call, const char *dir, const char *app, struct error *err)
{
	const struct args *a = &call->args;
	autostrv struct strv nodes = STRV_INIT;

	for (size_t i = 0; i < a->names.n; i++)
		if (!strcmp(a->names.v[i], "--node"))
			strv_add(&nodes, a->values.v[i]);
	if (nodes.n == 0 && call->options->node)
		strv_add(&nodes, call->options->node);
	if (nodes.n == 0)
		return 0;
	return remotes_add(dir, "silver", app, nodes.v, nodes.n, err);
}

int cmd_init(struct call *call, struct error *err)
{
	const char *said = call->args.words.v[0];
	const char *platform = args_value(&call->args, "--platform");
	autofree char *app = NULL, *branch = NULL, *dir = NULL;

	platform = platform ? platform : "python";
	if (check_platform(platform, err) == -1)
		return -1;
	if (mkdir(said, 0777) == -1 && errno != EEXIST)
		return error_sys(err, errno, "cannot make '%s'", said);
	dir = realpath(said, NULL);
	if (!dir)
		return error_sys(err, errno, "cannot enter '%s'", said);
	if (remotes_app(dir, args_value(&call->args, "--app"), &app, err) == -1 ||
	    write_files(dir, platform, err) == -1 || make_repository(dir, &branch, err) == -1 ||
	    add_remote(call, dir, app, err) == -1)
		return -1;
	printf("\n%s is ready. Next:\n\n    cd %s\n    git add -A && git commit -m 'Begin'\n", app,
	       said);
	if (!call->options->node && !args_has(&call->args, "--node"))
		printf("    silver remote add HOST:PORT\n");
	printf("    git push silver %s\n", branch);
	return 0;
}
