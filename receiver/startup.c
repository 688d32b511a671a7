#include "receiver/startup.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/log.h"
#include "common/proc.h"
#include "receiver/errand.h"
#include "receiver/notify.h"

#define SSH_DEFAULT  "127.0.0.1:2222"
#define HTTP_DEFAULT "127.0.0.1:8080"

enum {
	KEYGEN_MS = 20000,
	NODE_MS = 60000,
	HOST_KEY_MAX = 8192,
	TREE_MS = 60000, /* until what supervises the apps must be there */
	POLL_MS = 20,
};

/* Programs of the system that a node uses, and the packages that have them. */
static const struct {
	const char *program, *package;
	bool as_root; /* only where every app has users of its own */
} needed[] = {
	{"git", "git", false},           {"nginx", "nginx-light", false},
	{"s6-svscan", "s6", false},      {"s6-supervise", "s6", false},
	{"s6-svscanctl", "s6", false},   {"s6-svc", "s6", false},
	{"s6-log", "s6", false},         {"ssh-keygen", "openssh-client", false},
	{"setfacl", "acl", true},        {"useradd", "passwd", true},
	{"setpriv", "util-linux", true},
};

static const char *const own_programs[] = {"silver-session", "silver-root", "silver-deploy",
					   "silver-exec",    "silver-hook", "silver-service",
					   "silver-tls"};

static int check_programs(struct error *err)
{
	autostrv struct strv packages = STRV_INIT;
	autostrbuf struct strbuf list = STRBUF_INIT;
	const char *missing = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if ((needed[i].as_root && geteuid() != 0) || proc_is_installed(needed[i].program))
			continue;
		missing = missing ? missing : needed[i].program;
		if (strv_has(&packages, needed[i].package))
			continue;
		strv_add(&packages, needed[i].package);
		strbuf_addf(&list, " %s", needed[i].package);
	}
	if (missing)
		return error_set(err, E_SYSTEM,
				 "'%s' is not installed: apt-get install --no-install-recommends%s",
				 missing, strbuf_str(&list));
	for (size_t i = 0; i < ARRAY_SIZE(own_programs); i++) {
		autofree char *path = proc_program(own_programs[i]);

		if (access(path, X_OK) == -1)
			return error_set(err, E_SYSTEM,
					 "'%s' is not there: `make install`, or run silverd from "
					 "the directory it was built in",
					 path);
	}
	return 0;
}

/* Absolute and without links, also of a path whose last name is not there; NULL with errno. The
 * caller frees. */
static char *whole_path(const char *path)
{
	autofree char *above = xstrdup(path), *last = xstrdup(path), *parent = NULL;
	char *whole = realpath(path, NULL);

	if (whole || errno != ENOENT)
		return whole;
	parent = realpath(dirname(above), NULL);
	return parent ? xasprintf("%s/%s", parent, basename(last)) : NULL;
}

/* As root, what others must reach is reached by them: each directory above has to let them pass. */
static int check_passable(const char *path, const char *what, const char *remedy, struct error *err)
{
	autofree char *resolved = NULL;
	struct stat st;

	if (geteuid() != 0)
		return 0;
	resolved = whole_path(path);
	if (!resolved)
		return error_sys(err, errno, "cannot find '%s'", path);
	for (char *slash = resolved + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (stat(resolved, &st) == -1)
			return error_sys(err, errno, "cannot look at '%s'", resolved);
		if (!(st.st_mode & S_IXOTH))
			return error_set(err, E_SYSTEM,
					 "'%s' lets only its owner pass, so the users of the apps "
					 "cannot reach %s '%s': %s, or chmod o+x %s",
					 resolved, what, path, remedy, resolved);
		*slash = '/';
	}
	return 0;
}

static int open_dir(const char *dir, int *out, struct error *err)
{
	if (check_passable(dir, "the node", "choose another directory, like --dir /var/lib/silver",
			   err) == -1)
		return -1;
	if (mkdir(dir, 0755) == -1 && errno != EEXIST)
		return error_sys(err, errno, "cannot make '%s'", dir);
	return fs_open_dir(AT_FDCWD, dir, out, err);
}

static int take_lock(int dir_fd, const char *dir, int *out, struct error *err)
{
	autoclose int run_fd = -1;
	autoclose int fd = -1;

	if (fs_ensure_dir(dir_fd, "run", 0755, &run_fd, err) == -1 ||
	    fs_open(run_fd, "silverd.lock", O_RDWR | O_CREAT, 0600, &fd, err) == -1)
		return error_prefix(err, "the directory '%s' cannot be used as a node", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return error_set(err, E_BUSY, "another silverd runs this node already (%s)", dir);
	*out = steal_fd(&fd);
	return 0;
}

static int ensure_node_ini(int dir_fd, const struct startup_options *o, struct error *err)
{
	autofree char *text =
		node_default_ini(o->ssh ? o->ssh : SSH_DEFAULT, o->http ? o->http : HTTP_DEFAULT);

	if (fs_exists(dir_fd, "node.ini"))
		return 0;
	return fs_replace_file(dir_fd, "node.ini", text, strlen(text), 0644, err);
}

/* The HTTP address that a silverd had which did not end by itself, or NULL. Its nginx may well be
 * alive. */
static char *take_last_http(int dir_fd, struct error *err)
{
	autoini struct ini ini = INI_INIT;
	autoclose int run_fd = -1;
	const char *http;
	char *last = NULL;

	if (ini_read(dir_fd, NODE_RUN_INI, &ini, err) == 0 &&
	    (http = ini_get(&ini, "node", "http")) != NULL)
		last = xstrdup(http);
	if (fs_open_dir(dir_fd, "run", &run_fd, err) == -1 ||
	    fs_unlink(run_fd, "node.ini", err) == -1)
		log_line("%s", err->text); /* what it says is not read before it is replaced */
	return last;
}

static void override(char **setting, const char *option)
{
	if (!option)
		return;
	free(*setting);
	*setting = xstrdup(option);
}

static bool tree_is_alive(const struct node *node)
{
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	/* Opens only if s6-svscan has it open for reading. */
	return fs_open(node->fd, "run/service/.s6-svscan/control", O_WRONLY | O_NONBLOCK, 0, &fd,
		       &err) == 0;
}

/* Is `last` what the setting asks for? Port 0 is content with any port of that address. */
static bool is_same_place(const char *setting, const char *last)
{
	struct error err = ERROR_INIT;
	union address wanted, had;

	if (address_parse(setting, &wanted, &err) == -1 || address_parse(last, &had, &err) == -1)
		return false;
	autofree char *wanted_host = address_host(&wanted);
	autofree char *had_host = address_host(&had);
	return strcmp(wanted_host, had_host) == 0 &&
	       (address_port(&wanted) == 0 || address_port(&wanted) == address_port(&had));
}

static int bind_one(char **setting, const char *what, int *out, struct error *err)
{
	union address bound;

	if (!*setting)
		return error_set(err, E_USAGE, "node.ini: no '%s' address in section [node]", what);
	if (address_bind(*setting, what, &bound, out, err) == -1)
		return -1;
	free(*setting);
	*setting = address_text(&bound);
	return 0;
}

static int await_tree(const struct node *node, struct error *err)
{
	for (int64_t deadline = clock_ms() + TREE_MS; !tree_is_alive(node); usleep(POLL_MS * 1000))
		if (clock_ms() >= deadline)
			return error_set(err, E_SYSTEM,
					 "--keep-apps: nothing supervises '%s/run/service': "
					 "systemctl start silver-apps",
					 node->dir);
	return 0;
}

static int bind_addresses(struct startup *s, const char *last_http, struct error *err)
{
	s->ssh_fd = s->node.ssh ? notify_take(s->node.ssh) : -1;
	s->ssh_kept = s->ssh_fd != -1;
	if (!s->ssh_kept && bind_one(&s->node.ssh, "ssh", &s->ssh_fd, err) == -1)
		return -1;
	if (s->keep_apps && await_tree(&s->node, err) == -1)
		return -1;
	s->tree_was_alive = tree_is_alive(&s->node);
	if (s->tree_was_alive && last_http && s->node.http &&
	    is_same_place(s->node.http,
			  last_http)) { /* our own nginx, which outlived a killed silverd, has it */
		override(&s->node.http, last_http);
		return 0;
	}
	return bind_one(&s->node.http, "http", &s->http_fd, err);
}

static int write_run_ini(const struct node *node, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int run_fd = -1;

	strbuf_addstr(&text, "# The addresses of the silverd that runs now.\n[node]\n");
	ini_add(&text, "ssh", node->ssh);
	ini_add(&text, "http", node->http);
	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1)
		return -1;
	return fs_replace_file(run_fd, "node.ini", text.buf, text.len, 0644, err);
}

/* Runs a program to its end; what it says is the error. */
static int run_program(const char *path, struct strv *argv, int timeout_ms, struct error *err)
{
	char env[] = "PATH=" CHILD_PATH;
	char *envp[] = {env, NULL};
	struct proc_spec spec = {.path = path,
				 .argv = strv_argv(argv),
				 .envp = envp,
				 .in = -1,
				 .out = -1,
				 .err = -1};
	autostrbuf struct strbuf said = STRBUF_INIT;
	const char *text;
	int status;

	if (proc_run(&spec, timeout_ms, &status, &said, err) == -1)
		return -1;
	while (said.len && said.buf[said.len - 1] == '\n')
		said.buf[--said.len] = '\0';
	text = strbuf_str(&said);
	if (status == 0) {
		if (*text) /* it did its work, and has something to tell */
			log_line("%s", text);
		return 0;
	}
	return error_set(err, E_SYSTEM, "%s%s", str_starts(text, "silver: ") ? "" : "silver-root: ",
			 str_starts(text, "silver: ") ? text + strlen("silver: ") : text);
}

/* Directories with their modes, and as root the system users. */
static int make_node(const struct node *node, struct error *err)
{
	autofree char *program = proc_program("silver-root");
	autostrv struct strv argv = STRV_INIT;

	strv_add(&argv, "silver-root");
	strv_add(&argv, "--dir");
	strv_add(&argv, node->dir);
	strv_add(&argv, "node");
	return run_program(program, &argv, NODE_MS, err);
}

/* The public half goes first: a private key in place is complete, and never made again. */
static int make_host_key(const struct node *node, int ssh_dir, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	if (fs_unlink(ssh_dir, "host_ed25519.new", err) == -1)
		return -1;
	for (const char *const *word = (const char *const[]){"ssh-keygen", "-q", "-t", "ed25519",
							     "-N", "", "-C", "silver", "-f", NULL};
	     *word; word++)
		strv_add(&argv, *word);
	strv_addf(&argv, "%s/ssh/host_ed25519.new", node->dir);
	if (run_program("ssh-keygen", &argv, KEYGEN_MS, err) == -1)
		return -1;
	if (fs_rename_sync(ssh_dir, "host_ed25519.new.pub", ssh_dir, "host_ed25519.pub", err) == -1)
		return -1;
	return fs_rename_sync(ssh_dir, "host_ed25519.new", ssh_dir, "host_ed25519", err);
}

static int read_host_key(struct startup *s, struct error *err)
{
	autoclose int ssh_dir = -1;

	if (fs_ensure_dir(s->node.fd, "ssh", 0700, &ssh_dir, err) == -1)
		return -1;
	if (!fs_exists(ssh_dir, "host_ed25519") && make_host_key(&s->node, ssh_dir, err) == -1)
		return error_prefix(err, "making the host key");
	if (fs_read_file(ssh_dir, "host_ed25519", HOST_KEY_MAX, &s->host_key, err) == -1)
		return error_prefix(err, "the host key");
	if (!strstr(strbuf_str(&s->host_key), "PRIVATE KEY"))
		return error_set(err, E_SYSTEM,
				 "%s/ssh/host_ed25519 is no private key: put it back from a backup "
				 "(or remove it, and every client will have to accept a new one)",
				 s->node.dir);
	return 0;
}

static int check_options(const struct startup_options *o, struct error *err)
{
	union address unused;

	if (o->ssh && address_parse(o->ssh, &unused, err) == -1)
		return error_prefix(err, "--ssh");
	if (o->http && address_parse(o->http, &unused, err) == -1)
		return error_prefix(err, "--http");
	return 0;
}

/* The directory, ours alone, with its node.ini. */
static int take_directory(struct startup *s, const struct startup_options *o, int *dir_fd,
			  struct error *err)
{
	autofree char *hooks = proc_program("hooks/post-receive");

	if (check_options(o, err) == -1 || check_programs(err) == -1 ||
	    check_passable(hooks, "silver's own program",
			   "install silver (`make install`) and run the installed one", err) == -1)
		return -1;
	if (open_dir(o->dir, dir_fd, err) == -1 ||
	    take_lock(*dir_fd, o->dir, &s->lock_fd, err) == -1)
		return -1;
	return ensure_node_ini(*dir_fd, o, err);
}

static int prepare(struct startup *s, const struct startup_options *o, struct error *err)
{
	autofree char *last_http = NULL;
	autoclose int dir_fd = -1;
	struct error ignored = ERROR_INIT;

	if (take_directory(s, o, &dir_fd, err) == -1)
		return -1;
	last_http = take_last_http(dir_fd, &ignored);
	if (node_open(&s->node, o->dir, err) == -1)
		return -1;
	override(&s->node.ssh, o->ssh);
	override(&s->node.http, o->http);
	if (bind_addresses(s, last_http, err) == -1 || write_run_ini(&s->node, err) == -1 ||
	    make_node(&s->node, err) == -1)
		return -1;
	return read_host_key(s, err);
}

static struct startup nothing(void)
{
	return (struct startup){
		.node.fd = -1, .lock_fd = -1, .ssh_fd = -1, .http_fd = -1, .host_key = STRBUF_INIT};
}

int startup_make(const struct startup_options *options, struct error *err)
{
	struct startup s = nothing();
	autoclose int dir_fd = -1;
	int r = take_directory(&s, options, &dir_fd, err);

	if (r == 0 && (node_open(&s.node, options->dir, err) == -1 ||
		       make_node(&s.node, err) == -1 || read_host_key(&s, err) == -1 ||
		       fs_ensure_dir(s.node.fd, "users", 0700, NULL, err) == -1))
		r = -1;
	if (r == -1 && err->code == E_BUSY)
		r = 0;
	s.keep_apps = true; /* what runs there is not ours */
	startup_release(&s);
	return r;
}

int startup_prepare(struct startup *out, const struct startup_options *options, struct error *err)
{
	*out = nothing();
	out->keep_apps = options->keep_apps;
	if (prepare(out, options, err) == 0)
		return 0;
	startup_release(out);
	return -1;
}

void startup_release(struct startup *s)
{
	struct error ignored = ERROR_INIT;
	autoclose int run_fd = -1;

	/* where nginx answers is asked again by who takes it over */
	if (s->node.fd != -1 && fs_open_dir(s->node.fd, "run", &run_fd, &ignored) == 0 &&
	    (fs_unlink(run_fd, "control", &ignored) == -1 ||
	     (!s->keep_apps && fs_unlink(run_fd, "node.ini", &ignored) == -1)))
		log_line("%s", ignored.text);
	fd_close(&s->ssh_fd);
	fd_close(&s->http_fd);
	strbuf_release(&s->host_key);
	node_release(&s->node);
	fd_close(&s->lock_fd); /* last: only now may another silverd have the directory */
}
