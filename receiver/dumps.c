#include "receiver/dumps.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "receiver/own_server.h"
#include "receiver/provide.h"
#include "runtime/launch.h"

void dumps_release(struct dumps *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].server);
		fd_close(&d->v[i].fd);
	}
	d->n = 0;
}

static bool silent;

void data_tell_nothing(void)
{
	silent = true;
}

void data_tell(const char *fmt, ...)
{
	va_list args;

	if (silent)
		return;
	va_start(args, fmt);
	fputs("silver: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* A file on the node's disk that ends with us. */
int dumps_spool(const struct node *node, int *out, struct error *err)
{
	autofree char *name = xasprintf(".spool.%ld", (long)getpid());
	autoclose int run_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_unlink(run_fd, name, err) == -1 ||
	    fs_open(run_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600, &fd, err) == -1 ||
	    fs_unlink(run_fd, name, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

/* What the app has, by its records. */
int dumps_find(const struct node *node, const char *app, struct dumps *out, struct error *err)
{
	autostrv struct strv records = STRV_INIT;
	autoclose int app_fd = -1, fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1)
		return -1;
	if (fs_open_dir(app_fd, "services", &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &records, err) == -1)
		return -1;
	for (size_t i = 0; i < records.n; i++) {
		const struct service *service = service_named(records.v[i]);

		if (service && service->foreign)
			data_tell("%s: left as it is; the node does not speak to that server",
				  service->name);
		else if (service && out->n < DUMPS_MAX)
			out->v[out->n++] = (struct dump){service, NULL, -1, 0};
	}
	return 0;
}

struct dump *dumps_named(struct dumps *d, const char *record)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->v[i].service->record, record) == 0)
			return &d->v[i];
	return NULL;
}

/* What is behind the word in the service's status, "server PostgreSQL 15.14"; "": nothing. The
 * caller frees. */
static char *status_of(const struct node *node, const char *app, const struct service *service,
		       const char *word)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	size_t len = strlen(word);

	if (provide_data(node, app, service, "status", -1, &text, &none) == -1)
		return xstrdup("");
	for (const char *line = strbuf_str(&text); *line; line += strcspn(line, "\n")) {
		line += *line == '\n';
		if (strncmp(line, word, len) == 0 && line[len] == ' ')
			return xstrndup(line + len + 1, strcspn(line + len + 1, "\n"));
	}
	return xstrdup("");
}

uint64_t dumps_size(const struct node *node, const char *app, const struct dumps *d)
{
	uint64_t sum = 0, bytes;

	for (size_t i = 0; i < d->n; i++) {
		autofree char *text = status_of(node, app, d->v[i].service, "bytes");

		if (str_to_uint(text, INT64_MAX, &bytes))
			sum += bytes;
	}
	return sum;
}

static int dump_one(const struct node *node, const char *app, struct dump *dump, struct error *err)
{
	int64_t start = clock_ms();
	struct stat st;

	if (dumps_spool(node, &dump->fd, err) == -1 ||
	    provide_data(node, app, dump->service, "backup", dump->fd, NULL, err) == -1)
		return error_prefix(err, "backing up '%s'", dump->service->record);
	dump->server = status_of(node, app, dump->service, "server");
	if (fstat(dump->fd, &st) == -1)
		return error_sys(err, errno, "cannot stat a dump");
	dump->bytes = (uint64_t)st.st_size;
	data_tell("%s: %lld bytes, %lld ms", dump->service->record, (long long)st.st_size,
		  (long long)(clock_ms() - start));
	return 0;
}

int dumps_take(const struct node *node, const char *app, struct dumps *d, struct error *err)
{
	for (size_t i = 0; i < d->n; i++)
		if (dump_one(node, app, &d->v[i], err) == -1)
			return -1;
	return 0;
}

/* silver-service pack, as the app's runner. */
int dumps_pack(const struct node *node, const char *app, const struct dumps *d, int out,
	       struct error *err)
{
	struct proc_fd fds[DUMPS_MAX + 1] = {{out, 3}};
	const char *words[2 * DUMPS_MAX + 4] = {"pack", app};
	struct own_server_call call = {
		.words = words, .in = -1, .fds = fds, .n_fds = d->n + 1, .timeout_ms = -1};
	struct error none = ERROR_INIT;
	autofree char *number = NULL;
	unsigned release = 0;
	size_t n = 2;

	if (launch_current(node, app, &release, &none) == -1)
		release = 0;
	number = xasprintf("%u", release);
	words[n++] = number;
	for (size_t i = 0; i < d->n; i++) {
		fds[i + 1] = (struct proc_fd){d->v[i].fd, 4 + (int)i};
		words[n++] = d->v[i].service->record;
		words[n++] = d->v[i].server;
	}
	words[n] = NULL;
	if (runner_find(node, app, &call.user, err) == -1)
		return -1;
	return own_server_call(node, &call, err);
}

int dumps_unpack(const struct node *node, const char *app, int archive_fd, const char *take,
		 int take_fd, struct strbuf *answer, struct error *err)
{
	const char *const words[] = {"unpack", app, take, NULL};
	const struct proc_fd fds[] = {{archive_fd, 3}, {take_fd, 4}};
	struct own_server_call call = {.words = words,
				       .in = -1,
				       .fds = fds,
				       .n_fds = take ? 2 : 1,
				       .answer = answer,
				       .timeout_ms = -1};

	if (runner_find(node, app, &call.user, err) == -1)
		return -1;
	return own_server_call(node, &call, err);
}

int dumps_put(const struct node *node, const char *app, int archive_fd,
	      const struct service *service, struct error *err)
{
	int64_t start = clock_ms();
	autoclose int fd = -1;

	if (dumps_spool(node, &fd, err) == -1 ||
	    dumps_unpack(node, app, archive_fd, service->record, fd, NULL, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read a dump");
	if (provide_data(node, app, service, "restore", fd, NULL, err) == -1)
		return error_prefix(err, "restoring '%s'", service->record);
	data_tell("%s: restored, %lld ms", service->record, (long long)(clock_ms() - start));
	return 0;
}
