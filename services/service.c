/* silver-service: a service of an app, on the library of its server (docs/SERVICES.md).
 *
 *	silver-service --dir DIR VERB APP SERVICE
 *	silver-service --dir DIR make|ready SERVER
 *	silver-service --dir DIR pack APP RELEASE [SERVICE SERVER]...
 *	silver-service --dir DIR unpack APP [SERVICE]
 *
 * Started by silver-root, never as root. Reads what the app has, as a record (record.h), from
 * standard input, and writes what it is given to standard output in the same form. The password of
 * a server's administrator comes in SILVER_SERVICE_PASSWORD. The dump of `backup` and `restore` is
 * the file at descriptor 3; so is the archive, and from 4 on are the dumps in it (archive.h). */
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/proc.h"
#include "services/archive.h"
#include "services/driver.h"
#include "services/server.h"
#include "services/settings.h"

#define INPUT_MAX (1 << 20)
#define READY_MS  120000
#define POLL_MS   50
#define FIRST_FD  3

static const struct service_driver *const drivers[] = {
	&postgresql_driver, &mysql_driver,         &sqlite_driver,  &redis_driver,
	&files_driver,      &writable_root_driver, &couchdb_driver, &mongodb_driver,
};

static const struct service_driver *driver_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

static const struct service_driver *driver_of(const struct service *service)
{
	return service->plugin ? &plugin_driver : driver_named(service->record);
}

static int give(const struct service_call *call, service_give_fn fn, struct error *err)
{
	struct service_record given = {.value = call->has.value, .env = STRV_INIT};
	autostrbuf struct strbuf text = STRBUF_INIT;
	int r;

	if (!fn)
		return error_set(err, E_REFUSED, "'%s' has no password", call->service->name);
	r = fn(call, &given.env, err);
	service_record_format(&given, &text);
	strv_free_p(&given.env);
	return r == -1 ? -1 : fs_write_all(STDOUT_FILENO, text.buf, text.len, err);
}

static int verb_provision(const struct service_driver *d, const struct service_call *call,
			  struct error *err)
{
	return give(call, d->provision, err);
}

static int verb_rotate(const struct service_driver *d, const struct service_call *call,
		       struct error *err)
{
	return give(call, d->rotate, err);
}

static int verb_retire(const struct service_driver *d, const struct service_call *call,
		       struct error *err)
{
	return d->retire ? d->retire(call, err) : 0;
}

static int verb_remove(const struct service_driver *d, const struct service_call *call,
		       struct error *err)
{
	return d->remove ? d->remove(call, err) : 0;
}

static int verb_clear(const struct service_driver *d, const struct service_call *call,
		      struct error *err)
{
	return d->clear ? d->clear(call, err)
			: error_set(err, E_REFUSED, "'%s' cannot be cleared", call->service->name);
}

static int verb_status(const struct service_driver *d, const struct service_call *call,
		       struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (!d->status)
		return 0;
	if (d->status(call, &text, err) == -1)
		return -1;
	return fs_write_all(STDOUT_FILENO, text.buf, text.len, err);
}

static int verb_backup(const struct service_driver *d, const struct service_call *call,
		       struct error *err)
{
	if (!d->backup)
		return error_set(err, E_REFUSED, "'%s' cannot be backed up", call->service->name);
	return d->backup(call, FIRST_FD, err);
}

static int verb_restore(const struct service_driver *d, const struct service_call *call,
			struct error *err)
{
	if (!d->restore)
		return error_set(err, E_REFUSED, "'%s' cannot be restored", call->service->name);
	if (lseek(FIRST_FD, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the dump");
	return d->restore(call, FIRST_FD, err);
}

static const struct verb {
	const char *name;
	int (*run)(const struct service_driver *d, const struct service_call *call,
		   struct error *err);
} verbs[] = {
	{"provision", verb_provision}, {"rotate", verb_rotate},   {"retire", verb_retire},
	{"remove", verb_remove},       {"clear", verb_clear},     {"status", verb_status},
	{"backup", verb_backup},       {"restore", verb_restore},
};

static const struct verb *verb_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int read_node_id(struct service_call *call, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (fs_read_file(call->node->fd, "services/id", sizeof(call->node_id) - 1, &text, err) ==
	    -1)
		return -1;
	if (text.len != strspn(strbuf_str(&text), "0123456789abcdef"))
		return error_set(err, E_SYSTEM, "'services/id' is no name of a node");
	memcpy(call->node_id, strbuf_str(&text), text.len + 1);
	return 0;
}

static int read_call(struct service_call *call, const char *app, const char *name,
		     struct error *err)
{
	autosettings struct service_settings settings = {0};
	autostrbuf struct strbuf input = STRBUF_INIT;
	const char *password = getenv("SILVER_SERVICE_PASSWORD");

	call->service = service_named(name);
	if (!call->service)
		return error_set(err, E_USAGE, "no service '%s'", name);
	if (name_check_app(app, err) == -1 || read_node_id(call, err) == -1 ||
	    service_settings_read(call->node, call->service, &settings, err) == -1 ||
	    strbuf_read_fd(&input, STDIN_FILENO, INPUT_MAX, err) == -1)
		return -1;
	memcpy(call->app, app, strlen(app) + 1);
	call->admin = steal_ptr(&settings.admin);
	call->host = steal_ptr(&settings.host);
	call->timeout_ms = settings.timeout_ms;
	call->data_timeout_ms = settings.data_timeout_ms;
	call->password = password ? xstrdup(password) : NULL;
	return service_record_parse(&call->has, strbuf_str(&input), input.len, err);
}

static int run_verb(const struct node *node, char **words, struct error *err)
{
	const struct verb *verb = verb_named(words[0]);
	struct service_call call = {.node = node};
	const struct service_driver *driver;
	int r;

	if (!verb)
		return error_set(err, E_USAGE, "no verb '%s'", words[0]);
	r = read_call(&call, words[1], words[2], err);
	driver = r == 0 ? driver_of(call.service) : NULL;
	if (driver)
		r = verb->run(driver, &call, err);
	service_record_release(&call.has);
	free(call.admin);
	free(call.host);
	free(call.password);
	return r;
}

/* Archives */

static char *time_text(void)
{
	time_t now = (time_t)(clock_utc_ms() / 1000);
	struct tm tm;
	char text[32];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return xstrdup(text);
}

/* For people: a release that cannot be read has none. */
static char *commit_of(const struct node *node, const char *app, unsigned release)
{
	autofree char *path = xasprintf("apps/%s/releases/%u/record.ini", app, release);
	autoini struct ini record = INI_INIT;
	struct error none = ERROR_INIT;
	const char *commit = NULL;

	if (release && ini_read(node->fd, path, &record, &none) == 0)
		commit = ini_get(&record, "release", "commit");
	return xstrdup(commit ? commit : "");
}

static int describe_part(const struct node *node, struct backup *b, char **words, struct error *err)
{
	autofree char *path = xasprintf("apps/%s", b->app);
	autorecord struct service_record has = {NULL, STRV_INIT};
	struct backup_part *part = &b->part[b->n];
	autoclose int app_fd = -1;

	*part = (struct backup_part){.service = service_named(words[0]),
				     .fd = FIRST_FD + 1 + (int)b->n};
	if (!part->service || b->n == BACKUP_SERVICES - 1)
		return error_set(err, E_USAGE, "no service '%s'", words[0]);
	if (fs_open_dir(node->fd, path, &app_fd, err) == -1 ||
	    service_record_read(app_fd, part->service->record, &has, err) == -1)
		return -1;
	part->value = xstrdup(has.value ? has.value : "");
	part->server = xstrdup(words[1]);
	b->n++;
	return 0;
}

static int pack(const struct node *node, char **words, size_t n, struct error *err)
{
	autobackup struct backup b = {.app = xstrdup(words[0]), .time = time_text()};
	struct service_call call = {.node = node};
	uint64_t release;

	if (name_check_app(words[0], err) == -1 || read_node_id(&call, err) == -1)
		return -1;
	if (n % 2 || !str_to_uint(words[1], INT32_MAX, &release))
		return error_set(err, E_USAGE, "pack APP RELEASE [SERVICE SERVER]...");
	b.release = (unsigned)release;
	b.node = xstrdup(call.node_id);
	b.commit = commit_of(node, words[0], b.release);
	for (size_t i = 2; i < n; i += 2)
		if (describe_part(node, &b, words + i, err) == -1)
			return -1;
	return backup_write(&b, FIRST_FD, err);
}

/* What is in the archive, a line each: "NAME VALUE BYTES"; of the first the rest is for people. */
static int unpack(char **words, size_t n, struct error *err)
{
	autobackup struct backup b = {0};
	autostrbuf struct strbuf text = STRBUF_INIT;
	const char *take = n > 1 ? words[1] : NULL;

	if (backup_read(FIRST_FD, take, take ? FIRST_FD + 1 : -1, &b, err) == -1)
		return -1;
	strbuf_addf(&text, "%s %s\n", b.app, b.time ? b.time : "-");
	for (size_t i = 0; i < b.n; i++)
		strbuf_addf(&text, "%s %s\n", b.part[i].service->record,
			    *b.part[i].value ? b.part[i].value : "-");
	return fs_write_all(STDOUT_FILENO, text.buf, text.len, err);
}

static int make(const struct node *node, const char *name, struct error *err)
{
	autoplace struct server_place place = {0};

	if (server_find(node, name, &place, err) == -1)
		return -1;
	return server_make(&place, err);
}

static int await(const struct node *node, const char *name, struct error *err)
{
	const struct service_driver *driver = driver_named(name);
	int64_t deadline = clock_ms() + READY_MS;

	if (!driver || !driver->ready)
		return error_set(err, E_USAGE, "no server '%s'", name);
	while (driver->ready(node, err) == -1) {
		if (err->code != E_BUSY || clock_ms() >= deadline)
			return -1;
		usleep(POLL_MS * 1000);
	}
	return 0;
}

static int run(int argc, char **argv, struct error *err)
{
	struct node node;
	int r;

	if (argc < 5 || strcmp(argv[1], "--dir") != 0)
		return error_set(err, E_USAGE, "usage: silver-service --dir DIR VERB APP SERVICE");
	if (geteuid() == 0)
		return error_set(err, E_USAGE, "this program does not run as root");
	if (node_open(&node, argv[2], err) == -1)
		return -1;
	if (argc == 5 && strcmp(argv[3], "make") == 0)
		r = make(&node, argv[4], err);
	else if (argc == 5 && strcmp(argv[3], "ready") == 0)
		r = await(&node, argv[4], err);
	else if (argc >= 6 && strcmp(argv[3], "pack") == 0)
		r = pack(&node, argv + 4, (size_t)argc - 4, err);
	else if (argc >= 5 && argc <= 6 && strcmp(argv[3], "unpack") == 0)
		r = unpack(argv + 4, (size_t)argc - 4, err);
	else if (argc == 6)
		r = run_verb(&node, argv + 3, err);
	else
		r = error_set(err, E_USAGE, "unknown words");
	node_release(&node);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	return run(argc, argv, &err) == -1 ? error_report(&err) : 0;
}
