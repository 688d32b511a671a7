#include "receiver/provide.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"
#include "receiver/own_server.h"
#include "services/catalog.h"
#include "services/plugin.h"
#include "services/record.h"
#include "services/settings.h"

#define SERVICE_USER "silver-service"
#define CALL_MS      120000
#define PASSWORD_MAX 1000

/* Below data/APP its runner works, at a server its own user, at one elsewhere a user for that. */
static int find_user(const struct node *node, const char *app, const struct service *service,
		     const struct service_settings *settings, struct runner *out, struct error *err)
{
	if (service->plugin && settings->admin) { /* what it knows is not the app's */
		autofree char *name = xasprintf("silver-x-%s", service->name);

		return own_server_user(name, "a service of silver apps", out, err);
	}
	if (service->of_runner)
		return runner_find(node, app, out, err);
	if (!settings->admin)
		return server_runner(node, service->server, out, err);
	return own_server_user(SERVICE_USER, "services elsewhere", out, err);
}

/* The first line of the operator's file, which may well be root's alone. */
static int read_password(const struct service_settings *settings, struct strv *env,
			 struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = -1;

	if (!settings->password_file)
		return 0;
	fd = open(settings->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return error_sys(err, errno, "password_file = %s", settings->password_file);
	if (strbuf_read_fd(&text, fd, PASSWORD_MAX, err) == -1)
		return error_prefix(err, "password_file = %s", settings->password_file);
	strv_addf(env, "SILVER_SERVICE_PASSWORD=%.*s", (int)strcspn(strbuf_str(&text), "\n"),
		  strbuf_str(&text));
	return 0;
}

static int make_input(const struct service_record *has, int *out, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = memfd_create("has", MFD_CLOEXEC);

	service_record_format(has, &text);
	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (fs_write_all(fd, text.buf, text.len, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read what was written");
	*out = steal_fd(&fd);
	return 0;
}

/* silver-service VERB APP NAME: told what the app has; answer, descriptors and patience are as *how
 * says. */
static int call_service_with(const struct node *node, const char *verb, const char *app,
			     const struct service *service, const struct service_record *has,
			     const struct own_server_call *how, struct error *err)
{
	struct own_server_call call = *how;
	autosettings struct service_settings settings = {0};
	autostrv struct strv env = STRV_INIT;
	autoclose int in = -1;
	const char *const words[] = {verb, app, service->name, NULL};

	if (service_settings_read(node, service, &settings, err) == -1 ||
	    read_password(&settings, &env, err) == -1 ||
	    find_user(node, app, service, &settings, &call.user, err) == -1 ||
	    make_input(has, &in, err) == -1)
		return -1;
	call.words = words;
	call.env = &env;
	call.in = in;
	return own_server_call(node, &call, err);
}

/* Its answer is the record. */
static int call_service(const struct node *node, const char *verb, const char *app,
			const struct service *service, const struct service_record *has,
			struct service_record *given, struct error *err)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;
	const struct own_server_call call = {.answer = &answer, .timeout_ms = CALL_MS};

	if (call_service_with(node, verb, app, service, has, &call, err) == -1)
		return -1;
	return given ? service_record_parse(given, strbuf_str(&answer), answer.len, err) : 0;
}

/* What it must be before it has its name; made before, or by another hand, it is put right. */
static int prepare_records(int app_fd, int fd, struct error *err)
{
	struct stat app;

	if (fstat(app_fd, &app) == -1)
		return error_sys(err, errno, "cannot stat the app");
	if (geteuid() == 0 && fchown(fd, 0, app.st_gid) == -1)
		return error_sys(err, errno, "cannot give 'services' to the app's group");
	if (fchmod(fd, 02750) == -1)
		return error_sys(err, errno, "cannot set the mode of 'services'");
	return fs_sync(fd, err);
}

/* The records' directory is root's, and what is made in it is of the app's group: its owner reads
 * it, and cannot change what it was given. */
int provide_open_records(int app_fd, int *out, struct error *err)
{
	bool fresh = !fs_exists(app_fd, "services");
	const char *name = fresh ? ".services.new" : "services";
	autoclose int fd = -1;

	if ((fresh && fs_remove_tree(app_fd, name, err) == -1) ||
	    fs_ensure_dir(app_fd, name, 0750, &fd, err) == -1 ||
	    prepare_records(app_fd, fd, err) == -1)
		return -1;
	if (fresh && fs_rename_sync(app_fd, name, app_fd, "services", err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

static int write_record(int app_fd, const struct service *service,
			const struct service_record *record, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = -1;

	service_record_format(record, &text);
	if (provide_open_records(app_fd, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, service->record, text.buf, text.len, 0640, err);
}

/* A name that shares its record with others is its value: once postgis, always postgis. */
static char *record_value(const struct service *service, const char *value,
			  const struct service_record *has)
{
	if (strcmp(service->name, service->record) != 0)
		return xstrdup(service->name);
	if (has->value && service_is_variant(has->value, service))
		return xstrdup(has->value);
	return service_value(value);
}

static int ensure_server(const struct node *node, const struct service *service, struct error *err)
{
	autosettings struct service_settings settings = {0};

	if (!service->server)
		return 0;
	if (service_settings_read(node, service, &settings, err) == -1)
		return -1;
	return settings.admin ? 0 : own_server_ensure(node, service->server, err);
}

int provide_service(const struct node *node, const char *app, const char *name, const char *value,
		    struct error *err)
{
	autorecord struct service_record has = {NULL, STRV_INIT}, given = {NULL, STRV_INIT};
	const struct service *service;
	autoclose int app_fd = -1;
	autofree char *wanted = NULL;

	if (name_check_app(app, err) == -1 || name_check_service(name, err) == -1 ||
	    service_check(node, name, value, err) == -1 ||
	    node_open_app(node, app, &app_fd, err) == -1)
		return -1;
	service = service_named(name);
	if (service_record_read(app_fd, service->record, &has, err) == -1 ||
	    own_server_prepare(node, err) == -1 || ensure_server(node, service, err) == -1)
		return -1;
	wanted = record_value(service, value, &has);
	free(has.value);
	has.value = steal_ptr(&wanted);
	if (call_service(node, "provision", app, service, &has, &given, err) == -1)
		return -1;
	return write_record(app_fd, service, &given, err);
}

/* What the app has of a service, or E_NOTFOUND. */
static int open_given(const struct node *node, const char *app, const char *name, int *app_fd,
		      const struct service **service, struct service_record *has, struct error *err)
{
	if (name_check_app(app, err) == -1 || name_check_service(name, err) == -1 ||
	    node_open_app(node, app, app_fd, err) == -1)
		return -1;
	*service = service_named(name);
	if (*service && service_record_read(*app_fd, (*service)->record, has, err) == -1)
		return -1;
	if (!*service || !has->value)
		return error_set(err, E_NOTFOUND, "%s has no service '%s'", app, name);
	return ensure_server(node, *service, err);
}

/* The mark comes first: whatever is stopped behind it, somebody looks which of the two is used. */
int provide_rotate(const struct node *node, const char *app, const char *name, struct error *err)
{
	autorecord struct service_record has = {NULL, STRV_INIT}, given = {NULL, STRV_INIT};
	const struct service *service = NULL;
	autoclose int app_fd = -1, fd = -1;
	autofree char *mark = NULL;

	if (open_given(node, app, name, &app_fd, &service, &has, err) == -1 ||
	    provide_open_records(app_fd, &fd, err) == -1)
		return -1;
	mark = xasprintf(SERVICE_OLD_MARK, service->record);
	if (fs_exists(fd, mark))
		return error_set(err, E_BUSY,
				 "its password was rotated a moment ago, and the one before is "
				 "still in use; try again");
	if (service->of_runner)
		return error_set(err, E_REFUSED, "'%s' has no password", name);
	if (fs_replace_file(fd, mark, "", 0, 0640, err) == -1 ||
	    call_service(node, "rotate", app, service, &has, &given, err) == -1)
		return -1;
	return write_record(app_fd, service, &given, err);
}

int provide_retire(const struct node *node, const char *app, const char *name, struct error *err)
{
	autorecord struct service_record has = {NULL, STRV_INIT};
	const struct service *service = NULL;
	autoclose int app_fd = -1, fd = -1;
	autofree char *mark = NULL;

	if (open_given(node, app, name, &app_fd, &service, &has, err) == -1 ||
	    provide_open_records(app_fd, &fd, err) == -1 ||
	    call_service(node, "retire", app, service, &has, NULL, err) == -1)
		return -1;
	mark = xasprintf(SERVICE_OLD_MARK, service->record);
	return fs_unlink(fd, mark, err) == -1 ? -1 : fs_sync(fd, err);
}

/* What a plug-in keeps below data/APP goes with it, what it keeps on a server it has to clear. An
 * operator who took the plug-in away has taken that on. */
static int remove_of_plugin(const struct node *node, const char *app, const struct service *service,
			    const struct service_record *has, struct error *err)
{
	autosettings struct service_settings settings = {0};

	if (!has->value)
		return 0;
	if (plugin_find(node, service->name, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (service_settings_read(node, service, &settings, err) == -1)
		return -1;
	return settings.admin ? call_service(node, "remove", app, service, has, NULL, err) : 0;
}

static int remove_one(const struct node *node, const char *app, int app_fd, const char *record,
		      struct error *err)
{
	const struct service *service = service_named(record);
	autorecord struct service_record has = {NULL, STRV_INIT};

	if (!service || (service->of_runner && !service->plugin)) /* that goes with data/APP */
		return 0;
	if (service_record_read(app_fd, record, &has, err) == -1 ||
	    ensure_server(node, service, err) == -1)
		return -1;
	if (service->plugin)
		return remove_of_plugin(node, app, service, &has, err);
	return call_service(node, "remove", app, service, &has, NULL, err);
}

int provide_remove_all(const struct node *node, const char *app, const char *app_dir,
		       struct error *err)
{
	autofree char *path = xasprintf("apps/%s", app_dir);
	autostrv struct strv records = STRV_INIT;
	autoclose int app_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, path, &app_fd, err) == -1 ||
	    fs_open_dir(app_fd, "services", &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &records, err) == -1)
		return -1;
	for (size_t i = 0; i < records.n; i++)
		if (remove_one(node, app, app_fd, records.v[i], err) == -1)
			return error_prefix(err, "removing the service '%s'", records.v[i]);
	return 0;
}

int provide_data(const struct node *node, const char *app, const struct service *service,
		 const char *verb, int fd, struct strbuf *answer, struct error *err)
{
	autorecord struct service_record has = {NULL, STRV_INIT};
	const struct proc_fd fds[] = {{fd, 3}};
	const struct own_server_call call = {
		.answer = answer, .fds = fds, .n_fds = fd != -1, .timeout_ms = -1};
	autoclose int app_fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    service_record_read(app_fd, service->record, &has, err) == -1)
		return -1;
	if (!has.value)
		return error_set(err, E_REFUSED, "'%s' has no service '%s'", app, service->record);
	if (ensure_server(node, service, err) == -1)
		return -1;
	return call_service_with(node, verb, app, service, &has, &call, err);
}
