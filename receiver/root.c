/* silver-root: the few steps that need root, one short process each (docs/CONTRACT.md, "silver-root
 * verbs").
 *
 * Takes nothing for granted: every value is checked again here. On a node that does not run as root
 * it does the same as the node's user. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/json.h"
#include "common/log.h"
#include "common/names.h"
#include "common/node.h"
#include "receiver/access.h"
#include "receiver/backup.h"
#include "receiver/destroy.h"
#include "receiver/fsck_node.h"
#include "receiver/keys.h"
#include "receiver/machine.h"
#include "receiver/provide.h"
#include "receiver/locate.h"
#include "receiver/provision.h"
#include "receiver/restore.h"
#include "receiver/tidy.h"
#include "receiver/tls_call.h"
#include "receiver/users.h"
#include "runtime/front.h"
#include "runtime/front_bodies.h"
#include "runtime/launch.h"
#include "runtime/s6.h"
#include "runtime/workers.h"

#define ACCESS_LINES     100
#define ACCESS_LINES_MAX 100000
#define STOP_KILL_MS     3000 /* a release that never went live has nobody waiting for it */

/* What is behind the verb. */
struct words {
	char **v;
	size_t n;
};

static int parse_release(const char *text, unsigned *out, struct error *err)
{
	uint64_t number;

	if (!str_to_uint(text, INT32_MAX, &number) || number == 0)
		return error_set(err, E_USAGE, "'%s' is no number of a release", text);
	*out = (unsigned)number;
	return 0;
}

/* APP N, both checked; the release may be gone. */
static int parse_app_release(const struct words *w, unsigned *release, struct error *err)
{
	if (name_check_app(w->v[0], err) == -1)
		return -1;
	return parse_release(w->v[1], release, err);
}

static int verb_node(const struct node *node, const struct words *w, struct error *err)
{
	(void)w;
	if (provision_node(node, err) == -1)
		return -1;
	return keys_tidy(node, err);
}

static int verb_create(const struct node *node, const struct words *w, struct error *err)
{
	if (provision_create(node, w->v[0], err) == -1)
		return error_prefix(err, "creating '%s'", w->v[0]);
	return 0;
}

static int verb_destroy(const struct node *node, const struct words *w, struct error *err)
{
	if (w->n == 2 && strcmp(w->v[1], "--yes") != 0) /* asked for by who calls us */
		return error_set(err, E_USAGE, "unknown word '%s'", w->v[1]);
	if (destroy_app(node, w->v[0], err) == -1)
		return error_prefix(err, "destroying '%s'", w->v[0]);
	printf("%s is gone: repository, releases, data and logs\n", w->v[0]);
	return 0;
}

/* The release before the live one, where the operator shows it; 0: he does not. */
static unsigned shown_previous(const struct node *node, const char *app)
{
	return location_shows_previous(node, app) ? launch_previous(node, app) : 0;
}

static int start_previous(const struct node *node, const char *app, struct error *err)
{
	unsigned previous = shown_previous(node, app);

	if (!previous || !launch_has_served(node, app, previous))
		return 0;
	return s6_start(node, app, previous, err);
}

static int verb_start(const struct node *node, const struct words *w, struct error *err)
{
	unsigned release = 0;

	if (parse_app_release(w, &release, err) == -1)
		return -1;
	if (provision_let_front_in(node, w->v[0], err) == -1 ||
	    s6_start(node, w->v[0], release, err) == -1)
		return error_prefix(err, "starting release %u of '%s'", release, w->v[0]);
	if (start_previous(node, w->v[0], err) == -1) /* nobody waits for that one */
		log_line("%s: the previous release is not shown: %s", w->v[0], err->text);
	return 0;
}

static int verb_only(const struct node *node, const struct words *w, struct error *err)
{
	unsigned release = 0, previous;

	if (parse_app_release(w, &release, err) == -1)
		return -1;
	previous = shown_previous(node, w->v[0]);
	if (s6_stop_others(node, w->v[0], release, previous, node->drain_ms, err) == -1)
		return error_prefix(err, "draining '%s'", w->v[0]);
	if (provision_let_front_in(node, w->v[0], err) == -1)
		return -1;
	return tidy_others(node, w->v[0], release, previous, err);
}

/* APP N WORD...: the words say which (runtime/s6name.h). */
static int verb_workers(const struct node *node, const struct words *w, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	unsigned release = 0;

	if (parse_app_release(w, &release, err) == -1)
		return -1;
	for (size_t i = 2; i < w->n; i++)
		strv_add(&words, w->v[i]);
	if (workers_set(node, w->v[0], release, &words, node->drain_ms, err) == -1)
		return error_prefix(err, "workers of release %u of '%s'", release, w->v[0]);
	return 0;
}

static int verb_stop(const struct node *node, const struct words *w, struct error *err)
{
	unsigned release = 0;

	if (parse_app_release(w, &release, err) == -1)
		return -1;
	if (s6_stop(node, w->v[0], release, STOP_KILL_MS, err) == -1)
		return error_prefix(err, "stopping release %u of '%s'", release, w->v[0]);
	return tidy_release(node, w->v[0], release, err);
}

static int verb_locate(const struct node *node, const struct words *w, struct error *err)
{
	return locate_for_push(node, w->v[0], w->v[1], err);
}

static int verb_location_add(const struct node *node, const struct words *w, struct error *err)
{
	bool is_alias = w->n == 4 && strcmp(w->v[1], "--redirect") == 0;
	bool is_previous = w->n == 3 && strcmp(w->v[1], "--previous") == 0;
	const struct locate_to to = {is_alias ? w->v[2] : NULL, is_previous};
	const char *text = w->v[w->n - 1];
	autoclose int app_fd = -1;

	if (!is_alias && !is_previous && w->n != 2)
		return error_set(err, E_USAGE,
				 "location add APP LOCATION [--redirect LOCATION | --previous]");
	if (name_check_app(w->v[0], err) == -1 ||
	    node_open_app(node, w->v[0], &app_fd, err) == -1 ||
	    locate_add(node, w->v[0], text, &to, err) == -1 ||
	    start_previous(node, w->v[0], err) == -1)
		return -1;
	printf("%s %s %s%s\n", text, is_alias ? "redirects to" : "leads to",
	       is_previous ? "the previous release of " : "", is_alias ? w->v[2] : w->v[0]);
	return 0;
}

static int verb_location_remove(const struct node *node, const struct words *w, struct error *err)
{
	if (locate_remove(node, w->v[0], w->v[1], err) == -1)
		return -1;
	printf("%s leads to %s no more\n", w->v[1], w->v[0]);
	return 0;
}

/* "64M": a number, and perhaps K, M or G. */
static bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	size_t digits = strspn(text, "0123456789");
	autofree char *number = xstrndup(text, digits);
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

	if (text[digits] && (!unit || text[digits + 1]))
		return false;
	if (!str_to_uint(number, FRONT_BODY_MAX >> shift, out))
		return false;
	*out <<= shift;
	return *out >= FRONT_BODY_MIN;
}

static int verb_location_body(const struct node *node, const struct words *w, struct error *err)
{
	autoclose int app_fd = -1;
	uint64_t bytes = 0;

	if (name_check_app(w->v[0], err) == -1 || node_open_app(node, w->v[0], &app_fd, err) == -1)
		return -1;
	if (w->n == 2 && strcmp(w->v[1], "default") != 0 && !parse_size(w->v[1], &bytes))
		return error_set(err, E_USAGE,
				 "'%.40s' is no size: 64M or 2G, from 1K to 1024G, or default: the "
				 "node's max_body_bytes",
				 w->v[1]);
	if (w->n == 2 && locate_body(node, w->v[0], bytes, err) == -1)
		return -1;
	bytes = front_body_of(node, w->v[0]);
	printf("%s takes bodies of %llu bytes%s\n", w->v[0],
	       (unsigned long long)(bytes ? bytes : node->max_body_bytes),
	       bytes ? "" : ", as the node says");
	return 0;
}

static int verb_location_list(const struct node *node, const struct words *w, struct error *err)
{
	bool as_json = w->n == 2 && strcmp(w->v[1], "--json") == 0;

	if (w->n == 2 && !as_json)
		return error_set(err, E_USAGE, "unknown word '%s'", w->v[1]);
	return locate_list(node, w->v[0], as_json, err);
}

static int verb_access(const struct node *node, const struct words *w, struct error *err)
{
	uint64_t lines = ACCESS_LINES;
	bool follow = false;

	for (size_t i = 1; i < w->n; i++) {
		if (strcmp(w->v[i], "-f") == 0)
			follow = true;
		else if (strcmp(w->v[i], "-n") == 0 && i + 1 < w->n &&
			 str_to_uint(w->v[i + 1], ACCESS_LINES_MAX, &lines))
			i++;
		else if (strcmp(w->v[i], "--access") != 0)
			return error_set(err, E_USAGE, "'%s': logs APP --access [-f] [-n LINES]",
					 w->v[i]);
	}
	if (name_check_app(w->v[0], err) == -1)
		return -1;
	return access_print(node, w->v[0], lines, follow, err);
}

/* silverd asks now and then. */
static int verb_rotate(const struct node *node, const struct words *w, struct error *err)
{
	bool rotated;

	(void)w;
	if (front_rotate_logs(node, &rotated, err) == -1)
		return -1;
	return rotated && s6_reload_front(node, err) == -1 && err->code != E_NOTFOUND ? -1 : 0;
}

static int verb_provision(const struct node *node, const struct words *w, struct error *err)
{
	return provide_service(node, w->v[0], w->v[1], w->v[2], err);
}

static int verb_renew(const struct node *node, const struct words *w, struct error *err)
{
	return provide_rotate(node, w->v[0], w->v[1], err);
}

static int verb_retire(const struct node *node, const struct words *w, struct error *err)
{
	return provide_retire(node, w->v[0], w->v[1], err);
}

static int verb_user(const struct node *node, const struct words *w, struct error *err)
{
	return users_verb(node, w->v, w->n, STDIN_FILENO, stdout, err);
}

/* Nothing that stops the pusher's pipe may stop apt. */
static int verb_packages(const struct node *node, const struct words *w, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 1; i < w->n; i++)
		strv_add(&names, w->v[i]);
	return machine_packages(node, w->v[0], &names, err);
}

static int verb_fsck(const struct node *node, const struct words *w, struct error *err)
{
	return fsck_node(node, w->v, w->n, err);
}

static void list_app(const struct node *node, const char *app, const struct locations *all,
		     struct json *json)
{
	const struct location *location = locations_canonical(all, app);
	autofree char *url = location ? node_url(node, location->text) : NULL;
	struct error none = ERROR_INIT;
	unsigned release = 0;
	bool live = launch_current(node, app, &release, &none) == 0;

	if (!json) {
		if (live)
			printf("%-32s release %-6u %s\n", app, release, url ? url : "-");
		else
			printf("%-32s %-14s %s\n", app, "nothing live", url ? url : "-");
		return;
	}
	json_open(json, NULL, '{');
	json_str(json, "app", app);
	if (live)
		json_int(json, "release", release);
	else
		json_str(json, "release", NULL);
	json_str(json, "url", url);
	json_close(json, '}');
}

/* Names of apps on this node; what create and destroy have under way begins with a dot. */
static int list_names(const struct node *node, struct strv *apps, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, "apps", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct error bad = ERROR_INIT;

		if (name_check_app(names.v[i], &bad) == 0)
			strv_add(apps, names.v[i]);
	}
	return 0;
}

static bool is_asked_for(const struct words *w, size_t first, const char *app)
{
	for (size_t i = first; i < w->n; i++)
		if (strcmp(w->v[i], app) == 0)
			return true;
	return first == w->n;
}

static int verb_apps(const struct node *node, const struct words *w, struct error *err)
{
	autostrv struct strv apps = STRV_INIT;
	autolocations struct locations all = {NULL, 0};
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct json json = {.out = &out};
	size_t first = w->n > 0 && strcmp(w->v[0], "--json") == 0;

	if (list_names(node, &apps, err) == -1 || locations_read(node, &all, err) == -1)
		return -1;
	json_open(&json, NULL, '[');
	for (size_t i = 0; i < apps.n; i++)
		if (is_asked_for(w, first, apps.v[i]))
			list_app(node, apps.v[i], &all, first ? &json : NULL);
	json_close(&json, ']');
	if (first)
		printf("%s\n", strbuf_str(&out));
	return 0;
}

static int verb_key_set(const struct node *node, const struct words *w, struct error *err)
{
	return keys_set(node, w->v[0], err);
}

static int verb_key_grant(const struct node *node, const struct words *w, struct error *err)
{
	return keys_grant(node, w->v[0], w->v[1], err);
}

static int verb_key_revoke(const struct node *node, const struct words *w, struct error *err)
{
	return keys_revoke(node, w->v[0], w->v[1], err);
}

static int verb_key_remove(const struct node *node, const struct words *w, struct error *err)
{
	return keys_remove(node, w->v[0], err);
}

static int verb_key_list(const struct node *node, const struct words *w, struct error *err)
{
	if (w->n && strcmp(w->v[0], "--json") != 0)
		return error_set(err, E_USAGE, "unknown word '%.40s'", w->v[0]);
	return keys_list(node, w->n == 1, err);
}

static int verb_backup(const struct node *node, const struct words *w, struct error *err)
{
	const char *name = w->n > 1 ? w->v[1] : NULL;

	signal(SIGPIPE, SIG_IGN);
	if (name && strcmp(name, "--list") == 0)
		return backup_list(node, w->v[0], err);
	if (backup_take(node, w->v[0], name, err) == -1)
		return error_prefix(err, "no backup was made");
	return 0;
}

/* Who asked may have gone: what has begun is ended. */
static int verb_restore(const struct node *node, const struct words *w, struct error *err)
{
	signal(SIGPIPE, SIG_IGN);
	return restore_data(node, w->v[0], w->v[1], err);
}

static int verb_clear(const struct node *node, const struct words *w, struct error *err)
{
	signal(SIGPIPE, SIG_IGN);
	return restore_clear(node, w->v[0], w->n > 1 ? w->v[1] : NULL, err);
}

static int verb_checkpoint(const struct node *node, const struct words *w, struct error *err)
{
	unsigned release = 0;

	if (parse_app_release(w, &release, err) == -1)
		return -1;
	return restore_checkpoint(node, w->v[0], release, err);
}

static int verb_undo(const struct node *node, const struct words *w, struct error *err)
{
	static const char *const words[] = {
		[RESTORE_PUT] = "put", [RESTORE_KEEP] = "keep", [RESTORE_END] = "end"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(w->v[1], words[i]) == 0)
			return restore_undo(node, w->v[0], (enum restore_how)i, err);
	return error_set(err, E_USAGE, "unknown word '%s'", w->v[1]);
}

static int verb_tls_list(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "list", w->v, w->n, STDOUT_FILENO, err);
}

static int verb_tls_on(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "on", w->v, w->n, STDOUT_FILENO, err);
}

static int verb_tls_set(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "set", w->v, w->n, STDOUT_FILENO, err);
}

static int verb_tls_off(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "off", w->v, w->n, STDOUT_FILENO, err);
}

static int verb_tls_renew(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "renew", w->v, w->n, STDOUT_FILENO, err);
}

/* silverd asks each hour. */
static int verb_tls_due(const struct node *node, const struct words *w, struct error *err)
{
	return tls_call(node, "due", w->v, w->n, STDOUT_FILENO, err);
}

struct verb {
	const char *name, *usage;
	size_t min, max; /* words behind it */
	int (*run)(const struct node *node, const struct words *w, struct error *err);
};

static const struct verb verbs[] = {
	{"node", "", 0, 0, verb_node},
	{"create", "APP", 1, 1, verb_create},
	{"destroy", "APP [--yes]", 1, 2, verb_destroy},
	{"start", "APP RELEASE", 2, 2, verb_start},
	{"only", "APP RELEASE", 2, 2, verb_only},
	{"workers", "APP RELEASE [NAME.COUNT|cron-NAME]...", 2, SIZE_MAX, verb_workers},
	{"stop", "APP RELEASE", 2, 2, verb_stop},
	{"provision", "APP SERVICE VALUE", 3, 3, verb_provision},
	{"locate", "APP LOCATION", 2, 2, verb_locate},
	{"location add", "APP [--redirect LOCATION | --previous] LOCATION", 2, 4,
	 verb_location_add},
	{"location remove", "APP LOCATION", 2, 2, verb_location_remove},
	{"location list", "APP [--json]", 1, 2, verb_location_list},
	{"location body", "APP [SIZE|default]", 1, 2, verb_location_body},
	{"access", "APP [-f] [-n LINES]", 1, 5, verb_access},
	{"rotate", "", 0, 0, verb_rotate},
	{"renew", "APP SERVICE", 2, 2, verb_renew},
	{"retire", "APP SERVICE", 2, 2, verb_retire},
	{"backup", "APP [NAME | - | --list]", 1, 2, verb_backup},
	{"restore", "APP NAME|-", 2, 2, verb_restore},
	{"clear", "APP [SERVICE]", 1, 2, verb_clear},
	{"checkpoint", "APP RELEASE", 2, 2, verb_checkpoint},
	{"undo", "APP put|keep|end", 2, 2, verb_undo},
	{"apps", "[--json] [APP...]", 0, SIZE_MAX, verb_apps},
	{"fsck", "[--json] [APP]", 0, 2, verb_fsck},
	{"packages", "simulate|install PACKAGE...", 2, 300, verb_packages},
	{"key set", "NAME", 1, 1, verb_key_set},
	{"key grant", "NAME APP", 2, 2, verb_key_grant},
	{"key revoke", "NAME APP", 2, 2, verb_key_revoke},
	{"key remove", "NAME", 1, 1, verb_key_remove},
	{"key list", "[--json]", 0, 1, verb_key_list},
	{"tls list", "[--json]", 0, 1, verb_tls_list},
	{"tls on", "HOST [--redirect]", 1, 2, verb_tls_on},
	{"tls set", "HOST [--redirect]", 1, 2, verb_tls_set},
	{"tls off", "HOST", 1, 1, verb_tls_off},
	{"tls renew", "[HOST]", 0, 1, verb_tls_renew},
	{"tls due", "", 0, 0, verb_tls_due},
	{"user", "add|list|remove ...", 0, SIZE_MAX, verb_user},
};

static int usage(struct error *err)
{
	autostrbuf struct strbuf list = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		strbuf_addf(&list, "\n       silver-root --dir DIR %s %s", verbs[i].name,
			    verbs[i].usage);
	return error_set(err, E_USAGE, "usage:%s", strbuf_str(&list));
}

static int run(int argc, char **argv, struct error *err)
{
	for (size_t i = 0; argc >= 4 && i < ARRAY_SIZE(verbs); i++) {
		struct words w = {argv + 4, (size_t)argc - 4};
		struct node node;
		int rc;

		if (strcmp(argv[3], verbs[i].name) != 0)
			continue;
		if (w.n < verbs[i].min || w.n > verbs[i].max)
			return usage(err);
		if (node_open(&node, argv[2], err) == -1)
			return -1;
		rc = verbs[i].run(&node, &w, err);
		node_release(&node);
		return rc;
	}
	return usage(err);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int rc = -1;

	if (argc < 4 || strcmp(argv[1], "--dir") != 0)
		rc = usage(&err);
	else
		rc = run(argc, argv, &err);
	if (rc == 0 && fflush(stdout) == EOF)
		rc = error_sys(&err, errno, "cannot write the answer");
	return rc == -1 ? error_report(&err) : 0;
}
