/* nodes.c - `silver create-node`, `list-nodes`, `destroy-node`: machines come and go. What makes a
 * machine a node is `silver setup-node` (setup.c). */
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/provider.h"
#include "common/json.h"
#include "common/names.h"

/* "--set size=cx22" is SILVER_SIZE=cx22 for the provider. */
static int add_settings(const struct args *a, struct strv *out, struct error *err)
{
	for (size_t i = 0; i < a->names.n; i++) {
		const char *said = a->values.v[i], *value = strchr(said, '=');
		size_t len = strspn(said, "abcdefghijklmnopqrstuvwxyz_");
		autofree char *key = xstrdup(said);

		if (strcmp(a->names.v[i], "--set") != 0)
			continue;
		if (!value || len == 0 || value != said + len || !strncmp(said, "key=", 4))
			return error_set(err, E_USAGE,
					 "'%s': expected NAME=VALUE, as in --set size=small", said);
		for (char *c = key; *c != '='; c++)
			*c = (char)(*c == '_' ? '_' : *c - 'a' + 'A');
		strv_addf(out, "SILVER_%s", key);
	}
	return 0;
}

/* The provider of a machine that is there already is the one to go on with. */
static int choose_provider(const struct args *a, const char *name, struct machine_note *note,
			   struct error *err)
{
	const char *said = args_value(a, "--provider");

	if (note_read(name, note, err) == -1 && err->code != E_NOTFOUND)
		return -1;
	if (!note->provider && !said)
		return error_set(err, E_USAGE,
				 "which provider? --provider nspawn (a throw-away machine on this "
				 "one), hcloud, doctl, aws, or one of your own");
	if (note->provider && said && strcmp(note->provider, said) != 0)
		return error_set(err, E_REFUSED,
				 "there is a machine '%s' of %s: `silver list-nodes`; `silver "
				 "destroy-node %s --yes` ends it",
				 name, note->provider, name);
	if (!note->provider)
		note->provider = xstrdup(said);
	return 0;
}

static void replace(char **slot, const char *value)
{
	free(*slot);
	*slot = value ? xstrdup(value) : NULL;
}

static int remember(const char *name, const struct provided_list *list, struct machine_note *note,
		    struct error *err)
{
	char *const *told = list->n == 1 ? list->v[0].of : NULL;

	if (!told || strcmp(told[TOLD_NAME], name) != 0)
		return error_set(err, E_SYSTEM, "%s did not tell of '%s'", note->provider, name);
	if (told[TOLD_HOST]) {
		const char *user = told[TOLD_USER] ? told[TOLD_USER] : "root";
		const char *port = told[TOLD_PORT] ? told[TOLD_PORT] : "22";

		free(note->login);
		note->login = xasprintf(strchr(told[TOLD_HOST], ':') ? "%s@[%s]:%s" : "%s@%s:%s",
					user, told[TOLD_HOST], port);
	}
	replace(&note->ssh, told[TOLD_SSH]);
	replace(&note->http, told[TOLD_HTTP]);
	return note_write(name, note, err);
}

/* `create` may answer before the machine has an address; `wait` has one. */
static int create(const char *name, const struct strv *settings, struct machine_note *note,
		  struct error *err)
{
	static const char *const verbs[] = {"create", "wait"};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		autoprovided struct provided_list told = {0};

		if (provider_run(note->provider, verbs[i], name, settings, &told, err) == -1 ||
		    remember(name, &told, note, err) == -1)
			return -1;
	}
	return note->login ? 0
			   : error_set(err, E_SYSTEM, "%s did not tell the host of '%s'",
				       note->provider, name);
}

int cmd_create_node(struct call *call, struct error *err)
{
	const char *name = call->args.words.v[0];
	autonote struct machine_note note = {0};
	autostrbuf struct strbuf key = STRBUF_INIT;
	autostrv struct strv settings = STRV_INIT;

	if (name_check_app(name, err) == -1 ||
	    choose_provider(&call->args, name, &note, err) == -1 ||
	    find_key(args_value(&call->args, "--key"), &key, err) == -1 ||
	    add_settings(&call->args, &settings, err) == -1)
		return -1;
	strv_addf(&settings, "SILVER_KEY=%s", strbuf_str(&key));
	if (provider_check(note.provider, err) == -1 || note_write(name, &note, err) == -1)
		return -1;
	if (create(name, &settings, &note, err) == -1)
		return error_prefix(
			err,
			"'%s' was not brought to where it should be; `silver "
			"create-node %s` goes on, `silver destroy-node %s --yes` ends it",
			name, name, name);
	printf("%s is a machine of %s at %s\n\n    silver setup-node %s\n", name, note.provider,
	       note.login, name);
	return 0;
}

/* --- list --------------------------------------------------------------------------------------
 */

struct row {
	const char *name, *provider, *state, *host;
};

static void print_rows(const struct row *rows, size_t n, bool as_json)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct json j = {.out = &out};

	if (as_json)
		json_open(&j, NULL, '[');
	else if (n)
		strbuf_addf(&out, "%-20s %-10s %-10s %s\n", "NAME", "PROVIDER", "STATE", "HOST");
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];

		if (!as_json) {
			strbuf_addf(&out, "%-20s %-10s %-10s %s\n", r->name, r->provider, r->state,
				    r->host ? r->host : "-");
			continue;
		}
		json_open(&j, NULL, '{');
		json_str(&j, "name", r->name);
		json_str(&j, "provider", r->provider);
		json_str(&j, "state", r->state);
		json_str(&j, "host", r->host);
		json_close(&j, '}');
	}
	if (as_json) {
		json_close(&j, ']');
		strbuf_addch(&out, '\n');
	}
	fputs(strbuf_str(&out), stdout);
}

struct listing {
	struct strv names, owners; /* noted, and their providers */
	struct row *rows;
	size_t n;
};

static void add_row(struct listing *l, struct row row)
{
	l->rows = xrealloc_array(l->rows, l->n + 1, sizeof(*l->rows));
	l->rows[l->n++] = row;
}

static bool has(const struct strv *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (!strcmp(words->v[i], word))
			return true;
	return false;
}

static int read_notes(struct listing *l, struct strv *providers, struct error *err)
{
	if (note_list(&l->names, err) == -1)
		return -1;
	for (size_t i = 0; i < l->names.n; i++) {
		autonote struct machine_note note = {0};

		if (note_read(l->names.v[i], &note, err) == -1)
			return -1;
		strv_add(&l->owners, note.provider ? note.provider : "");
		if (note.provider && !has(providers, note.provider))
			strv_add(providers, note.provider);
	}
	return 0;
}

static bool told_of(const struct provided_list *told, const char *name)
{
	for (size_t i = 0; i < told->n; i++)
		if (!strcmp(told->v[i].of[TOLD_NAME], name))
			return true;
	return false;
}

/* What the provider has, and what is noted of it and it has not. */
static void add_rows(struct listing *l, const char *provider, const struct provided_list *told)
{
	for (size_t i = 0; i < told->n; i++)
		add_row(l, (struct row){told->v[i].of[TOLD_NAME], provider,
					told->v[i].of[TOLD_STATE], told->v[i].of[TOLD_HOST]});
	for (size_t i = 0; i < l->names.n; i++)
		if (!strcmp(l->owners.v[i], provider) && !told_of(told, l->names.v[i]))
			add_row(l, (struct row){l->names.v[i], provider, "gone", NULL});
}

static void listing_release(struct listing *l)
{
	free(l->rows);
	strv_free_p(&l->names);
	strv_free_p(&l->owners);
}

/* A provider that does not answer fails only its own rows. Rows point into `told`. */
static int list(struct call *call, struct listing *l, const struct strv *providers,
		struct provided_list *told)
{
	int status = 0;

	for (size_t i = 0; i < providers->n; i++) {
		struct error err = ERROR_INIT;

		if (provider_run(providers->v[i], "list", NULL, NULL, &told[i], &err) == -1)
			status = error_report(&err);
		else
			add_rows(l, providers->v[i], &told[i]);
	}
	print_rows(l->rows, l->n, args_has(&call->args, "--json"));
	return status;
}

int cmd_list_nodes(struct call *call, struct error *err)
{
	const char *said = args_value(&call->args, "--provider");
	autostrv struct strv providers = STRV_INIT, noted = STRV_INIT;
	__attribute__((cleanup(listing_release))) struct listing l = {0};
	struct provided_list *told;

	if (read_notes(&l, &noted, err) == -1)
		return -1;
	if (said)
		strv_add(&providers, said);
	for (size_t i = 0; !said && i < noted.n; i++)
		strv_add(&providers, noted.v[i]);
	told = xcalloc(providers.n + 1, sizeof(*told));
	call->status = list(call, &l, &providers, told);
	for (size_t i = 0; i < providers.n; i++)
		provided_release(&told[i]);
	free(told);
	return 0;
}

/* --- destroy -----------------------------------------------------------------------------------
 */

int cmd_destroy_node(struct call *call, struct error *err)
{
	const char *name = call->args.words.v[0];
	autonote struct machine_note note = {0};
	autoprovided struct provided_list told = {0};

	if (name_check_app(name, err) == -1 || choose_provider(&call->args, name, &note, err) == -1)
		return -1;
	if (!args_has(&call->args, "--yes"))
		return error_set(err, E_REFUSED,
				 "this would end the machine '%s' of %s%s%s, with all that is on "
				 "it. `silver destroy-node %s --yes` does it",
				 name, note.provider, note.login ? " at " : "",
				 note.login ? note.login : "", name);
	if (provider_run(note.provider, "destroy", name, NULL, &told, err) == -1 ||
	    note_remove(name, err) == -1)
		return -1;
	printf("%s is gone\n", name);
	return 0;
}
