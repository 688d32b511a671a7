#include "receiver/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"
#include "receiver/backup.h"
#include "receiver/provide.h"
#include "runtime/launch.h"
#include "runtime/s6.h"
#include "services/undo.h"

#define BEFORE     "before-restore" BACKUP_ENDING
#define CHECKPOINT "checkpoint" BACKUP_ENDING
#define CHUNK      (256 << 10)

/* An app at rest: nothing is pushed or backed up, and nothing of it runs. */
struct rest {
	int lock_fd, backups_fd, services_fd;
	unsigned release; /* that is live and has processes; 0: none */
	struct undo_mark mark;
};
#define REST_INIT                                                                                  \
	{                                                                                          \
		-1, -1, -1, 0,                                                                     \
		{                                                                                  \
			.there = false                                                             \
		}                                                                                  \
	}
#define autorest __attribute__((cleanup(rest_release)))

static void rest_release(struct rest *r)
{
	fd_close(&r->lock_fd);
	fd_close(&r->backups_fd);
	fd_close(&r->services_fd);
}

static int open_rest(const struct node *node, const char *app, struct rest *r, struct error *err)
{
	autoclose int app_fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    provide_open_records(app_fd, &r->services_fd, err) == -1)
		return -1;
	return undo_mark_read(app_fd, &r->mark, err);
}

static int take_lock(const struct node *node, const char *app, const char *why, struct rest *r,
		     struct error *err)
{
	autoclose int app_fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    fs_open(app_fd, "lock", O_RDWR, 0, &r->lock_fd, err) == -1)
		return -1;
	return lock_take(r->lock_fd, why, node->lock_wait_ms, err);
}

static void find_running(const struct node *node, const char *app, struct rest *r)
{
	struct error none = ERROR_INIT;
	autofree char *service = NULL;

	if (launch_current(node, app, &r->release, &none) == -1)
		r->release = 0;
	service = xasprintf("run/service/%s.%u", app, r->release);
	if (!fs_exists(node->fd, service)) /* static files need no process */
		r->release = 0;
}

/* The mark is there before the app is stopped: whoever finds it has the app started again. */
static int begin_rest(const struct node *node, const char *app, const char *why, struct rest *r,
		      struct error *err)
{
	if (take_lock(node, app, why, r, err) == -1 ||
	    backup_begin(node, app, &r->backups_fd, err) == -1 ||
	    open_rest(node, app, r, err) == -1)
		return -1;
	find_running(node, app, r);
	if (!r->mark.there && undo_mark_write(r->services_fd, "", 0, err) == -1)
		return -1;
	return s6_stop_app(node, app, node->drain_ms, err);
}

/* Whatever happened meanwhile. A mark that names an archive stays: the data are not whole. Workers
 * and clocks are started by the settle that follows. */
static int end_rest(const struct node *node, const char *app, struct rest *r, int result,
		    struct error *err)
{
	struct error start = ERROR_INIT;

	if (r->release && s6_start(node, app, r->release, &start) == -1) {
		if (result == 0)
			error_set(err, start.code,
				  "the data are there, but release %u does not start: %s",
				  r->release, start.text);
		else
			data_tell("release %u does not start: %s", r->release, start.text);
		result = -1;
	}
	if (*r->mark.archive)
		return result;
	if (undo_mark_remove(r->services_fd, &start) == -1)
		data_tell("%s", start.text);
	return result;
}

static int set_mark(struct rest *r, const char *archive, unsigned release, struct error *err)
{
	if (undo_mark_write(r->services_fd, archive, release, err) == -1)
		return -1;
	r->mark.release = release;
	memcpy(r->mark.archive, archive, strlen(archive) + 1);
	return 0;
}

/* "NAME VALUE": an app that has postgresql cannot hold what postgis did. */
static int match_part(const struct node *node, const char *app, const char *line, struct dumps *has,
		      struct dumps *wanted, struct error *err)
{
	autofree char *name = xstrndup(line, strcspn(line, " ")), *record = NULL;
	const char *value = line + strlen(name) + (line[strlen(name)] == ' ');
	const struct dump *part = dumps_named(has, name);
	bool value_counts = strcmp(value, "postgis") == 0;
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (!part || wanted->n == DUMPS_MAX)
		return error_set(err, E_REFUSED,
				 "the archive holds data of '%s', which '%s' does not have: write "
				 "'service.%s =' into app.ini and push",
				 name, app, strcmp(value, "-") ? value : name);
	record = xasprintf("apps/%s/services/%s", app, name);
	if (value_counts && (fs_read_file(node->fd, record, 1 << 20, &text, err) == -1 ||
			     strcmp(strbuf_str(&text) + (text.len > 0), value) != 0))
		return error_set(err, E_REFUSED,
				 "the archive holds data of '%s', and '%s' has '%s' without it: "
				 "write 'service.%s =' into app.ini and push",
				 value, app, name, value);
	wanted->v[wanted->n++] = (struct dump){part->service, NULL, -1, 0};
	return 0;
}

static int match_parts(const struct node *node, const char *app, const char *answer,
		       struct dumps *wanted, struct error *err)
{
	autodumps struct dumps has = DUMPS_INIT;
	const char *line = answer + strcspn(answer, "\n");

	if (dumps_find(node, app, &has, err) == -1)
		return -1;
	while (*line == '\n' && line[1]) {
		autofree char *one = xstrndup(line + 1, strcspn(line + 1, "\n"));

		if (match_part(node, app, one, &has, wanted, err) == -1)
			return -1;
		line += 1 + strlen(one);
	}
	return 0;
}

static int put_all(const struct node *node, const char *app, int archive_fd,
		   const struct dumps *wanted, struct error *err)
{
	for (size_t i = 0; i < wanted->n; i++)
		if (dumps_put(node, app, archive_fd, wanted->v[i].service, err) == -1)
			return -1;
	return 0;
}

/* What the mark names takes the place of whatever is there; then the mark names nothing. */
static int put_back(const struct node *node, const char *app, struct rest *r, struct error *err)
{
	autodumps struct dumps wanted = DUMPS_INIT;
	autostrbuf struct strbuf answer = STRBUF_INIT;
	autoclose int archive_fd = -1;

	if (!*r->mark.archive)
		return 0;
	if (backup_open(node, app, r->mark.archive, &archive_fd, err) == -1 ||
	    dumps_unpack(node, app, archive_fd, NULL, -1, &answer, err) == -1 ||
	    match_parts(node, app, strbuf_str(&answer), &wanted, err) == -1 ||
	    put_all(node, app, archive_fd, &wanted, err) == -1)
		return error_prefix(err,
				    "the data of %s cannot be put back as they were in %s; `silver "
				    "restore %s NAME --yes` puts those of another backup there",
				    app, r->mark.archive, app);
	return set_mark(r, "", r->mark.release, err);
}

static int too_large(uint64_t bytes, uint64_t max, struct error *err)
{
	return error_set(
		err, E_REFUSED,
		"its data take %llu bytes, and a checkpoint at most %llu "
		"(checkpoint_max_bytes in node.ini): nothing was run; back up with `silver "
		"backup`, and push without 'checkpoint = true'",
		(unsigned long long)bytes, (unsigned long long)max);
}

/* What is there, as an archive, and the mark that names it. */
static int keep_before(const struct node *node, const char *app, struct rest *r, const char *name,
		       unsigned release, uint64_t max_bytes, struct error *err)
{
	autodumps struct dumps before = DUMPS_INIT;
	uint64_t bytes = 0;

	if (dumps_find(node, app, &before, err) == -1 || dumps_take(node, app, &before, err) == -1)
		return -1;
	for (size_t i = 0; i < before.n; i++)
		bytes += before.v[i].bytes;
	if (max_bytes && bytes > max_bytes)
		return too_large(bytes, max_bytes, err);
	if (backup_write_kept(node, app, r->backups_fd, &before, name, err) == -1)
		return -1;
	return set_mark(r, name, release, err);
}

/* Restore */

static void tell_untouched(const struct node *node, const char *app, struct dumps *wanted)
{
	autodumps struct dumps has = DUMPS_INIT;
	struct error none = ERROR_INIT;

	if (dumps_find(node, app, &has, &none) == -1)
		return;
	for (size_t i = 0; i < has.n; i++)
		if (!dumps_named(wanted, has.v[i].service->record))
			data_tell("%s: not in the archive, stays as it is",
				  has.v[i].service->record);
}

static int spool_input(const struct node *node, int *out, struct error *err)
{
	autofree char *buf = xmalloc(CHUNK);
	autoclose int fd = -1;
	ssize_t n;

	if (dumps_spool(node, &fd, err) == -1)
		return -1;
	while ((n = read(STDIN_FILENO, buf, CHUNK)) > 0)
		if (fs_write_all(fd, buf, (size_t)n, err) == -1)
			return -1;
	if (n == -1)
		return error_sys(err, errno, "cannot read the archive");
	*out = steal_fd(&fd);
	return 0;
}

static int restore_at_rest(const struct node *node, const char *app, int archive_fd,
			   const struct dumps *wanted, struct rest *r, struct error *err)
{
	struct error lost = ERROR_INIT;

	if (*r->mark.archive) {
		data_tell("something was interrupted here; what there was before it is in %s",
			  r->mark.archive);
	} else {
		data_tell("keeping what is there as " BEFORE);
		if (keep_before(node, app, r, BEFORE, 0, 0, err) == -1)
			return -1;
	}
	if (put_all(node, app, archive_fd, wanted, err) == 0)
		return set_mark(r, "", 0, err);
	data_tell("putting back what was there");
	if (put_back(node, app, r, &lost) == -1)
		data_tell("%s", lost.text);
	return -1;
}

static int open_archive(const struct node *node, const char *app, const char *name, int *out,
			struct error *err)
{
	return strcmp(name, "-") == 0 ? spool_input(node, out, err)
				      : backup_open(node, app, name, out, err);
}

int restore_data(const struct node *node, const char *app, const char *name, struct error *err)
{
	autodumps struct dumps wanted = DUMPS_INIT;
	autostrbuf struct strbuf answer = STRBUF_INIT;
	autoclose int archive_fd = -1;
	autorest struct rest rest = REST_INIT;
	int r;

	if (name_check_app(app, err) == -1 ||
	    open_archive(node, app, name, &archive_fd, err) == -1 ||
	    dumps_unpack(node, app, archive_fd, NULL, -1, &answer, err) == -1 ||
	    match_parts(node, app, strbuf_str(&answer), &wanted, err) == -1)
		return error_prefix(err, "nothing was changed");
	data_tell("the archive is whole: of %.*s", (int)strcspn(strbuf_str(&answer), "\n"),
		  strbuf_str(&answer));
	tell_untouched(node, app, &wanted);
	r = begin_rest(node, app, "silver restore", &rest, err);
	if (rest.services_fd == -1)
		return -1;
	if (r == 0)
		r = restore_at_rest(node, app, archive_fd, &wanted, &rest, err);
	r = end_rest(node, app, &rest, r, err);
	if (r == 0)
		printf("%s has the data of the archive; what it had is in data/%s/backups/" BEFORE
		       "\n",
		       app, app);
	return r;
}

/* Clear */

static int clear_at_rest(const struct node *node, const char *app, const char *service,
			 const struct dumps *parts, struct error *err)
{
	for (size_t i = 0; i < parts->n; i++) {
		const struct dump *part = &parts->v[i];

		if (service && strcmp(part->service->record, service) != 0)
			continue;
		if (provide_data(node, app, part->service, "clear", -1, NULL, err) == -1)
			return error_prefix(err, "clearing '%s'", part->service->record);
		data_tell("%s: cleared", part->service->record);
	}
	return 0;
}

int restore_clear(const struct node *node, const char *app, const char *service, struct error *err)
{
	autodumps struct dumps parts = DUMPS_INIT;
	const struct service *row = service ? service_named(service) : NULL;
	autorest struct rest rest = REST_INIT;
	int r;

	if (name_check_app(app, err) == -1 || dumps_find(node, app, &parts, err) == -1)
		return -1;
	if (service && (!row || !dumps_named(&parts, row->record)))
		return error_set(err, E_NOTFOUND, "'%s' has no service of that name", app);
	r = begin_rest(node, app, "silver clear", &rest, err);
	if (rest.services_fd == -1)
		return -1;
	if (r == 0)
		r = clear_at_rest(node, app, row ? row->record : NULL, &parts, err);
	return end_rest(node, app, &rest, r, err);
}

/* Of a push */

/* The app is at rest from here to the outcome: what nobody can write need not be thrown away. */
static int keep_checkpoint(const struct node *node, const char *app, struct rest *r,
			   unsigned release, struct error *err)
{
	autodumps struct dumps has = DUMPS_INIT;
	uint64_t max = node->checkpoint_max_bytes, bytes;

	if (dumps_find(node, app, &has, err) == -1)
		return -1;
	bytes = dumps_size(node, app, &has);
	if (bytes > max)
		return too_large(bytes, max, err);
	if (undo_mark_write(r->services_fd, "", release, err) == -1 ||
	    s6_stop_app(node, app, node->drain_ms, err) == -1)
		return -1;
	return keep_before(node, app, r, CHECKPOINT, release, max, err);
}

int restore_checkpoint(const struct node *node, const char *app, unsigned release,
		       struct error *err)
{
	autorest struct rest rest = REST_INIT;

	data_tell_nothing();
	if (name_check_app(app, err) == -1 ||
	    backup_begin(node, app, &rest.backups_fd, err) == -1 ||
	    open_rest(node, app, &rest, err) == -1)
		return -1;
	if (rest.mark.there)
		return error_set(err, E_SYSTEM, "what was interrupted before has not been undone");
	return keep_checkpoint(node, app, &rest, release, err);
}

int restore_undo(const struct node *node, const char *app, enum restore_how how, struct error *err)
{
	autorest struct rest rest = REST_INIT;

	data_tell_nothing();
	if (name_check_app(app, err) == -1 ||
	    backup_begin(node, app, &rest.backups_fd, err) == -1 ||
	    open_rest(node, app, &rest, err) == -1)
		return -1;
	if (!rest.mark.there)
		return 0;
	if (how == RESTORE_END)
		return undo_mark_remove(rest.services_fd, err);
	if (how == RESTORE_KEEP)
		return set_mark(&rest, "", 0, err);
	if (s6_stop_app(node, app, node->drain_ms, err) == -1)
		return -1;
	return put_back(node, app, &rest, err);
}
