#include "common/apt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/dpkg.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"
#include "common/proc.h"

#define LOCK         "packages.lock"
#define STAMP        "packages.updated"
#define LOG          "packages.log"
#define OUTPUT_MAX   (32 << 20)
#define LOG_MAX      (4 << 20)
#define KEEP_LOCK_FD 9
#define PAUSE_MS     50
#define ASK_EACH_MAX 30 /* names that are simulated one by one, to tell whose fault it is */

void apt_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("say ", stdout);
	vprintf(fmt, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

int apt_init(struct apt *apt, const struct node *node, struct error *err)
{
	autoclose int run_fd = -1;
	struct stat st;

	*apt = (struct apt){.node = node, .lock_fd = -1};
	if (fstat(node->fd, &st) == -1)
		return error_sys(err, errno, "cannot look at '%s'", node->dir);
	apt->in_store = st.st_uid != 0;
	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1)
		return -1;
	return fs_open(run_fd, LOCK, O_RDWR | O_CREAT, 0644, &apt->lock_fd, err);
}

void apt_release(struct apt *apt)
{
	fd_close(&apt->lock_fd);
}

int apt_lock(struct apt *apt, struct error *err)
{
	static const char what[] = "packages are being installed on this node";
	struct error busy = ERROR_INIT;

	if (lock_take_named(apt->lock_fd, what, "silver", 0, &busy) == 0)
		return 0;
	if (busy.code == E_BUSY)
		apt_say("waiting: %s", busy.text);
	return lock_take_named(apt->lock_fd, what, "silver", apt->node->packages.lock_ms, err);
}

/* What apt-get says */

void apt_plan_release(struct apt_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		free(plan->entry[i].name);
		free(plan->entry[i].version);
		free(plan->entry[i].arch);
	}
	free(steal_ptr(&plan->entry));
	plan->n = 0;
	strv_free_p(&plan->removed);
	strv_free_p(&plan->downgraded);
	strv_free_p(&plan->unknown);
	strv_free_p(&plan->unmet);
	strv_free_p(&plan->errors);
}

/* A version is no path and no word of our lines: what dpkg would not take is left out. */
static bool is_version(const char *s)
{
	static const char any[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~:";

	return *s && strspn(s, any) == strlen(s) && strlen(s) < 120 && *s != '-' && *s != '.';
}

static bool is_arch(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s) &&
	       strlen(s) < 40 && *s != '-';
}

/* "Inst libxslt1.1 [1.1.34-1] (1.1.35-1 Debian:12.15/oldstable [amd64])" */
static void parse_inst(const char *line, struct apt_plan *out)
{
	const char *open = strchr(line, '('), *close = open ? strchr(open, ')') : NULL;
	autofree char *inner = close ? xstrndup(open + 1, (size_t)(close - open) - 1) : NULL;
	autofree char *name = xstrndup(line, strcspn(line, " "));
	autofree char *version = inner ? xstrndup(inner, strcspn(inner, " ")) : NULL;
	char *arch = inner ? strrchr(inner, '[') : NULL, *end = arch ? strchr(arch, ']') : NULL;

	if (!end)
		return;
	*end = '\0';
	arch++;
	name[strcspn(name, ":")] = '\0'; /* of another architecture, which stands behind too */
	if (!name_is_package(name) || !is_version(version) || !is_arch(arch))
		return;
	out->entry = xrealloc_array(out->entry, out->n + 1, sizeof(*out->entry));
	out->entry[out->n++] =
		(struct apt_entry){steal_ptr(&name), steal_ptr(&version), xstrdup(arch)};
}

static void add_words(struct strv *list, const char *line)
{
	while (*line) {
		size_t len = strcspn(line, " ");
		autofree char *word = xstrndup(line, len);

		if (len && *word != '{')
			strv_add(list, word);
		line += len + (line[len] == ' ');
	}
}

static void parse_error(const char *line, struct apt_plan *out)
{
	static const char locate[] = "Unable to locate package ";
	const char *quote = strchr(line, '\'');

	if (str_starts(line, locate)) {
		strv_add(&out->unknown, line + strlen(locate));
	} else if (str_starts(line, "Package '") &&
		   str_ends(line, "has no installation candidate")) {
		autofree char *name = xstrndup(quote + 1, strcspn(quote + 1, "'"));

		strv_add(&out->unknown, name);
	} else {
		strv_add(&out->errors, line);
	}
}

void apt_parse(const char *text, struct apt_plan *out)
{
	static const char downgraded[] = "The following packages will be DOWNGRADED:";
	static const char unmet[] = "The following packages have unmet dependencies:";
	struct strv *list = NULL;

	while (*text) {
		size_t len = strcspn(text, "\n");
		autofree char *line = xstrndup(text, len);

		text += len + (text[len] == '\n');
		if (*line == ' ' && list == &out->unmet)
			strv_add(list, line + strspn(line, " "));
		else if (*line == ' ' && list)
			add_words(list, line + strspn(line, " "));
		else
			list = NULL;
		if (strcmp(line, downgraded) == 0)
			list = &out->downgraded;
		else if (strcmp(line, unmet) == 0)
			list = &out->unmet;
		else if (str_starts(line, "Inst "))
			parse_inst(line + strlen("Inst "), out);
		else if (str_starts(line, "Remv ")) {
			line[strlen("Remv ") + strcspn(line + strlen("Remv "), " ")] = '\0';
			strv_add(&out->removed, line + strlen("Remv "));
		} else if (str_starts(line, "E: "))
			parse_error(line + strlen("E: "), out);
	}
}

bool apt_plan_has(const struct apt_plan *plan, const char *name)
{
	const char *colon = strchr(name, ':');
	size_t len = strcspn(name, ":");

	for (size_t i = 0; i < plan->n; i++) {
		const struct apt_entry *e = &plan->entry[i];

		if (strlen(e->name) == len && memcmp(e->name, name, len) == 0 &&
		    (!colon || strcmp(colon + 1, e->arch) == 0 || strcmp(e->arch, "all") == 0))
			return true;
	}
	return false;
}

/* Running it */

static void add_option(struct strv *argv, const char *name, const char *value)
{
	strv_add(argv, "-o");
	strv_addf(argv, "%s=%s", name, value);
}

static void add_store_options(const struct apt *apt, struct strv *argv)
{
	autofree char *state = xasprintf("%s/packages/apt/state", apt->node->dir);
	autofree char *cache = xasprintf("%s/packages/apt/cache", apt->node->dir);

	add_option(argv, "Dir::State", state);
	add_option(argv, "Dir::Cache", cache);
	add_option(argv, "Dir::Log", cache);
	add_option(argv, "Debug::NoLocking", "true"); /* ours is taken */
}

static void add_machine_options(const struct apt *apt, struct strv *argv)
{
	autofree char *admindir = xasprintf("--admindir=%s", apt->node->packages.dpkg);
	autofree char *seconds = xasprintf("%d", apt->node->packages.lock_ms / 1000);

	add_option(argv, "DPkg::Options::", "--force-confdef");
	add_option(argv, "DPkg::Options::", "--force-confold");
	if (strcmp(apt->node->packages.dpkg, DPKG_DIR) != 0)
		add_option(argv, "DPkg::Options::", admindir);
	add_option(argv, "DPkg::Lock::Timeout", seconds);
}

/* Over whatever the machine's apt.conf says. */
static void add_options(const struct apt *apt, struct strv *argv)
{
	static const char *const fixed[][2] = {
		{"APT::Get::AllowUnauthenticated", "false"},
		{"APT::Get::Allow-Downgrades", "false"},
		{"APT::Get::Allow-Remove-Essential", "false"},
		{"APT::Get::Force-Yes", "false"},
		{"APT::Install-Recommends", "false"},
		{"APT::Install-Suggests", "false"},
		{"APT::Update::Error-Mode", "any"},
		{"Acquire::AllowInsecureRepositories", "false"},
		{"Acquire::AllowWeakRepositories", "false"},
		{"Acquire::AllowDowngradeToInsecureRepositories", "false"},
		{"Acquire::Retries", "1"},
		{"Acquire::http::Timeout", "30"},
		{"Acquire::https::Timeout", "30"},
		{"DPkg::Use-Pty", "false"},
	};
	autofree char *status = xasprintf("%s/status", apt->node->packages.dpkg);

	strv_add(argv, "-q");
	if (apt->node->packages.apt_config) {
		strv_add(argv, "-c");
		strv_add(argv, apt->node->packages.apt_config);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add_option(argv, fixed[i][0], fixed[i][1]);
	add_option(argv, "Dir::State::status", status);
	if (apt->in_store)
		add_store_options(apt, argv);
	else
		add_machine_options(apt, argv);
}

static void add_environment(const struct apt *apt, struct strv *env)
{
	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_addf(env, "HOME=%s", apt->in_store ? apt->node->dir : "/root");
	strv_add(env, "LC_ALL=C.UTF-8");
	strv_add(env, "DEBIAN_FRONTEND=noninteractive");
	strv_add(env, "DEBCONF_NONINTERACTIVE_SEEN=true");
	strv_add(env, "APT_LISTCHANGES_FRONTEND=none");
	strv_add(env, "NEEDRESTART_MODE=l");
	strv_add(env, "SILVER_PACKAGES=1"); /* receiver/machine.c: no service is started */
}

/* What it says comes into text; it changes nothing, so it may be killed. */
static int run_quietly(struct apt *apt, const struct strv *arguments, struct strbuf *text,
		       struct error *err)
{
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	autoclose int fd = memfd_create("apt", MFD_CLOEXEC);
	struct proc_spec spec = {
		.path = "apt-get", .in = -1, .out = fd, .err = fd, .new_session = true};
	int status;

	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	strv_add(&argv, "apt-get");
	add_options(apt, &argv);
	for (size_t i = 0; i < arguments->n; i++)
		strv_add(&argv, arguments->v[i]);
	add_environment(apt, &env);
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_run(&spec, apt->node->packages.apt_ms, &status, NULL, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read what apt-get said");
	return strbuf_read_fd(text, fd, OUTPUT_MAX, err);
}

/* A run that is shown: from the log, where it ends up whoever is killed. */
struct showing {
	int log_fd;
	off_t from, shown;
	struct strbuf line;
};

static void show_line(struct showing *s)
{
	if (s->line.len)
		printf("%s\n", s->line.buf);
	fflush(stdout);
	strbuf_reset(&s->line);
}

static void show_more(struct showing *s)
{
	char bytes[8192];
	ssize_t n;

	while ((n = pread(s->log_fd, bytes, sizeof(bytes), s->shown)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] == '\n' || s->line.len > 1000)
				show_line(s);
			else if (bytes[i] != '\r')
				strbuf_addch(&s->line, bytes[i]);
		s->shown += n;
	}
}

static int open_log(const struct apt *apt, struct showing *s, struct error *err)
{
	autoclose int dir_fd = -1;
	struct stat st;

	if (fs_open_dir(apt->node->fd, "log", &dir_fd, err) == -1 ||
	    fs_open(dir_fd, LOG, O_RDWR | O_CREAT | O_APPEND, 0640, &s->log_fd, err) == -1)
		return -1;
	if (fstat(s->log_fd, &st) == 0 && st.st_size > LOG_MAX && ftruncate(s->log_fd, 0) == -1)
		return error_sys(err, errno, "cannot shorten 'log/" LOG "'");
	s->from = s->shown = lseek(s->log_fd, 0, SEEK_END);
	return 0;
}

/* apt's "E: " lines of this run, or its last words. */
static int failed(const struct showing *s, const char *program, int status, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT, why = STRBUF_INIT;
	struct apt_plan said = {0};
	struct error none = ERROR_INIT;
	enum error_code code = E_SYSTEM;

	if (lseek(s->log_fd, s->from, SEEK_SET) == -1 ||
	    strbuf_read_fd(&text, s->log_fd, OUTPUT_MAX, &none) == -1)
		strbuf_reset(&text);
	apt_parse(strbuf_str(&text), &said);
	for (size_t i = 0; i < said.errors.n && i < 4; i++) {
		strbuf_addf(&why, "; %.300s", said.errors.v[i]);
		if (strstr(said.errors.v[i], "Could not get lock"))
			code = E_BUSY;
	}
	apt_plan_release(&said);
	return error_set(err, code, "%s ended with status %d%s (log/" LOG " has all of it)",
			 program, status, strbuf_str(&why));
}

static int wait_and_show(struct apt *apt, struct showing *s, const char *program, pid_t pid,
			 struct error *err)
{
	int64_t end = clock_ms() + apt->node->packages.apt_ms;
	int status = 0, r;

	while ((r = proc_wait(pid, PAUSE_MS, &status, err)) == -1 && err->code == E_BUSY &&
	       clock_ms() < end)
		show_more(s);
	show_more(s);
	show_line(s);
	apt->goes_on = r == -1 && err->code == E_BUSY;
	if (apt->goes_on) /* killed it would leave packages half installed */
		return error_set(err, E_BUSY,
				 "%s has not ended within %d s; it goes on as process %d. Push "
				 "again when it has ended; log/" LOG " shows what it does",
				 program, apt->node->packages.apt_ms / 1000, (int)pid);
	if (r == -1)
		return -1;
	return status == 0 ? 0 : failed(s, program, status, err);
}

static int run_shown(struct apt *apt, struct strv *argv, const char *cwd, struct error *err)
{
	autostrv struct strv env = STRV_INIT;
	const struct proc_fd keep = {apt->lock_fd, KEEP_LOCK_FD};
	struct showing s = {.log_fd = -1};
	struct proc_spec spec = {.path = argv->v[0],
				 .argv = strv_argv(argv),
				 .in = -1,
				 .cwd = cwd,
				 .fds = &keep,
				 .n_fds = apt->lock_fd != -1,
				 .new_session = true};
	pid_t pid = -1;
	int r = open_log(apt, &s, err);

	add_environment(apt, &env);
	spec.envp = strv_argv(&env);
	spec.out = spec.err = s.log_fd;
	if (r == 0)
		r = proc_start(&spec, &pid, err);
	if (r == 0)
		r = wait_and_show(apt, &s, argv->v[0], pid, err);
	strbuf_release(&s.line);
	fd_close(&s.log_fd);
	return r;
}

int apt_run(struct apt *apt, const struct strv *arguments, const char *cwd, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	strv_add(&argv, "apt-get");
	add_options(apt, &argv);
	for (size_t i = 0; i < arguments->n; i++)
		strv_add(&argv, arguments->v[i]);
	return run_shown(apt, &argv, cwd, err);
}

int apt_configure(struct apt *apt, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	strv_add(&argv, "dpkg");
	strv_addf(&argv, "--admindir=%s", apt->node->packages.dpkg);
	strv_add(&argv, "--force-confdef");
	strv_add(&argv, "--force-confold");
	strv_add(&argv, "--configure");
	strv_add(&argv, "-a");
	return run_shown(apt, &argv, NULL, err);
}

/* Lists */

static bool lists_are_old(const struct apt *apt)
{
	struct stat st;
	int64_t age;

	if (fstatat(apt->node->fd, "run/" STAMP, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return true;
	age = clock_utc_ms() - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
	return age < 0 || age >= apt->node->packages.lists_ms; /* below 0: the clock went back */
}

static int note_update(const struct apt *apt, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(apt->node->fd, "run", &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, STAMP, "", 0, 0644, err);
}

static int make_dir(int dir_fd, const char *path, struct error *err)
{
	autofree char *text = xstrdup(path);
	int fd = dir_fd;

	for (char *at = text; at;) {
		char *slash = strchr(at, '/');
		int next = -1, r;

		if (slash)
			*slash = '\0';
		r = fs_ensure_dir(fd, at, 0755, &next, err);
		if (fd != dir_fd)
			close(fd);
		if (r == -1)
			return -1;
		fd = next;
		at = slash ? slash + 1 : NULL;
	}
	if (fd != dir_fd)
		close(fd);
	return 0;
}

static int make_store_dirs(const struct apt *apt, struct error *err)
{
	if (!apt->in_store)
		return 0;
	if (make_dir(apt->node->fd, "packages/apt/state/lists/partial", err) == -1)
		return -1;
	return make_dir(apt->node->fd, "packages/apt/cache/archives/partial", err);
}

int apt_update(struct apt *apt, struct error *err)
{
	autostrv struct strv arguments = STRV_INIT;

	if (make_store_dirs(apt, err) == -1)
		return -1;
	strv_add(&arguments, "update");
	apt_say("fetching apt's lists");
	if (apt_run(apt, &arguments, NULL, err) == -1)
		return error_prefix(err, "apt's lists cannot be fetched");
	return note_update(apt, err);
}

/* Simulating */

static int simulate_once(struct apt *apt, const struct strv *names, struct apt_plan *out,
			 struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autostrv struct strv arguments = STRV_INIT;

	*out = (struct apt_plan){0};
	strv_add(&arguments, "--simulate");
	strv_add(&arguments, "install");
	strv_add(&arguments, "--");
	for (size_t i = 0; i < names->n; i++)
		strv_add(&arguments, names->v[i]);
	if (make_store_dirs(apt, err) == -1 || run_quietly(apt, &arguments, &text, err) == -1)
		return -1;
	apt_parse(strbuf_str(&text), out);
	return 0;
}

static void add_list(struct strbuf *s, const struct strv *list, const char *comma)
{
	for (size_t i = 0; i < list->n && i < 10; i++)
		strbuf_addf(s, "%s%.200s", i ? comma : "", list->v[i]);
	if (list->n > 10)
		strbuf_addf(s, " and %zu more", list->n - 10);
}

/* Why this may not be done, about one name or about all of them together; "" where it may. */
static void add_problem(const struct apt *apt, const struct apt_plan *plan, struct strbuf *s)
{
	if (plan->removed.n) {
		strbuf_addstr(s, "it would remove ");
		add_list(s, &plan->removed, " ");
		strbuf_addf(s,
			    ", and nothing is ever removed; the operator decides: `apt-get "
			    "--simulate install`%s",
			    apt->in_store ? " (the store needs what the machine has)" : "");
	} else if (plan->downgraded.n) {
		strbuf_addstr(s, "it would downgrade ");
		add_list(s, &plan->downgraded, " ");
		strbuf_addstr(s, ", and nothing is ever downgraded; the operator decides: `apt-get "
				 "--simulate install`");
	} else if (plan->unmet.n) {
		strbuf_addstr(s, "it cannot be installed: ");
		add_list(s, &plan->unmet, "; ");
		strbuf_addstr(s, "; `apt-get --simulate install` on the node shows why");
	} else if (plan->errors.n) {
		strbuf_addstr(s, "apt refuses it: ");
		add_list(s, &plan->errors, "; ");
	}
}

static void refuse(const char *name, const char *text, size_t *refused)
{
	printf("refuse %s %s\n", name, text);
	fflush(stdout);
	++*refused;
}

/* apt-get takes a name that it does not know for a pattern, or for one with a sign behind it; then
 * the name itself is not in its plan. */
static void refuse_unknown(const struct strv *names, const struct apt_plan *plan, size_t *refused)
{
	bool planned = plan->n > 0;

	for (size_t i = 0; i < names->n; i++)
		if (strv_has(&plan->unknown, names->v[i]) ||
		    (planned && !apt_plan_has(plan, names->v[i])))
			refuse(names->v[i],
			       "this node's apt sources have no such package; `apt-cache search` "
			       "and packages.debian.org know names, and its operator adds sources",
			       refused);
}

static int refuse_each(struct apt *apt, const struct strv *names, size_t *refused,
		       struct error *err)
{
	for (size_t i = 0; names->n > 1 && i < names->n && i < ASK_EACH_MAX; i++) {
		autostrbuf struct strbuf text = STRBUF_INIT;
		autostrv struct strv one = STRV_INIT;
		struct apt_plan plan;

		strv_add(&one, names->v[i]);
		if (simulate_once(apt, &one, &plan, err) == -1)
			return -1;
		add_problem(apt, &plan, &text);
		if (text.len)
			refuse(names->v[i], text.buf, refused);
		apt_plan_release(&plan);
	}
	return 0;
}

static int judge(struct apt *apt, const struct strv *names, const struct apt_plan *plan,
		 size_t *refused, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT, all = STRBUF_INIT;

	*refused = 0;
	refuse_unknown(names, plan, refused);
	if (*refused)
		return 0;
	add_problem(apt, plan, &text);
	if (text.len == 0 && plan->n == 0)
		return error_set(err, E_SYSTEM,
				 "apt-get said nothing of %s that could be understood",
				 names->v[0]);
	if (text.len == 0)
		return 0;
	if (refuse_each(apt, names, refused, err) == -1)
		return -1;
	if (*refused)
		return 0;
	add_list(&all, names, ","); /* one name, or all of them only together */
	refuse(names->n == 1 ? names->v[0] : all.buf, text.buf, refused);
	return 0;
}

int apt_simulate(struct apt *apt, const struct strv *names, struct apt_plan *out, size_t *refused,
		 struct error *err)
{
	*refused = 0;
	if (simulate_once(apt, names, out, err) == -1)
		return -1;
	if (out->unknown.n && lists_are_old(apt)) {
		apt_plan_release(out);
		if (apt_lock(apt, err) == -1 || apt_update(apt, err) == -1 ||
		    simulate_once(apt, names, out, err) == -1)
			return -1;
	}
	if (judge(apt, names, out, refused, err) == 0)
		return 0;
	apt_plan_release(out);
	return -1;
}

void apt_tell_plan(const struct apt_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		printf("entry %s %s %s\n", plan->entry[i].name, plan->entry[i].version,
		       plan->entry[i].arch);
	fflush(stdout);
}
