#include "buildless/config.h"

#include "common/names.h"

#define NAME_MAX_BYTES 200
#define FILE_MAX_BYTES 100

static const char name_letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

static void file_release(struct config_file *f)
{
	free(f->name);
	free(f->content);
}

void config_release(struct config *c)
{
	strv_free_p(&c->set);
	for (size_t i = 0; i < c->n_files; i++)
		file_release(&c->file[i]);
	free(c->file);
	free(c->place);
	*c = (struct config)CONFIG_INIT;
}

/* Names */

bool config_is_name(const char *word)
{
	return *word && strchr("0123456789", *word) == NULL &&
	       word[strspn(word, name_letters)] == '\0';
}

/* What the node sets itself, and what decides which code runs: that is the release's business. */
static const struct {
	const char *name; /* one that ends in '_' stands for all that start so */
	const char *why;
} taken[] = {
	{"SILVER_", "the node tells the app about itself by these"},
	{"LD_", "which libraries run is decided by what was pushed"},
	{"LISTEN_", "the node hands the app its socket by these"},
	{"PATH", "the programs of a release are those of its bin/ and of the node"},
	{"PHP_INI_SCAN_DIR", "the node's silversupport is found by it"},
	{"PYTHONPATH", "the modules of a release are those of lib/python and src"},
	{"PYTHONHOME", "the node's Python runs the app"},
	{"PYTHONPYCACHEPREFIX", "the node keeps the byte code"},
	{"HOME", "it is the app's directory for data"},
	{"TEMP", "it is a directory of the release"},
	{"TMPDIR", "it is a directory of the release"},
	{"PORT", "the node chooses it for each start"},
};

int config_check_name(const char *name, struct error *err)
{
	autofree char *shown = name_printable(name);

	if (!config_is_name(name) || strlen(name) > NAME_MAX_BYTES)
		return error_set(err, E_USAGE,
				 "'%.80s' is no name of a variable: letters, digits and '_', no "
				 "digit first, at most %d",
				 shown, NAME_MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (str_ends(taken[i].name, "_") ? str_starts(name, taken[i].name)
						 : strcmp(name, taken[i].name) == 0)
			return error_set(err, E_USAGE, "'%s' cannot be set: %s", name,
					 taken[i].why);
	return 0;
}

int config_check_file(const char *name, struct error *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	autofree char *shown = name_printable(name);
	size_t len = strspn(name, letters);

	if (len == 0 || len > FILE_MAX_BYTES || name[len] || strchr("._-", *name))
		return error_set(err, E_USAGE,
				 "'%.80s' is no name of a file of the configuration: letters, "
				 "digits, '.', '_' and '-', a letter or digit first, at most %d",
				 shown, FILE_MAX_BYTES);
	return 0;
}

/* Variables: few, so a list does. */

/* Where `name` is, or would be. */
static size_t place_of(const struct strv *set, const char *name, bool *there)
{
	size_t len = strlen(name), i;

	*there = false;
	for (i = 0; i < set->n; i++) {
		size_t other = strcspn(set->v[i], "=");
		int order = strncmp(set->v[i], name, other < len ? other : len);

		*there = order == 0 && other == len;
		if (*there || order > 0 || (order == 0 && other > len))
			break;
	}
	return i;
}

const char *config_get(const struct config *c, const char *name)
{
	bool there;
	size_t i = place_of(&c->set, name, &there);

	return there ? strchr(c->set.v[i], '=') + 1 : NULL;
}

static size_t bytes_of(const struct strv *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += strlen(set->v[i]) + 1;
	return n;
}

int config_check_count(const struct config *c, struct error *err)
{
	if (c->set.n + c->n_files <= CONFIG_ITEMS_MAX)
		return 0;
	return error_set(err, E_REFUSED, "a configuration has at most %u variables and files",
			 CONFIG_ITEMS_MAX);
}

int config_set(struct config *c, const char *name, const char *value, struct error *err)
{
	size_t len = strlen(value), i;
	bool there;
	char *last;

	if (len > CONFIG_VALUE_MAX)
		return error_set(err, E_REFUSED,
				 "%s: the value has %zu bytes, at most %u are taken; a file may be "
				 "larger: `silver config put`",
				 name, len, CONFIG_VALUE_MAX);
	i = place_of(&c->set, name, &there);
	if (there) {
		free(c->set.v[i]);
		c->set.v[i] = xasprintf("%s=%s", name, value);
	} else {
		strv_addf(&c->set, "%s=%s", name, value);
		last = c->set.v[c->set.n - 1];
		memmove(c->set.v + i + 1, c->set.v + i, (c->set.n - 1 - i) * sizeof(*c->set.v));
		c->set.v[i] = last;
	}
	if (bytes_of(&c->set) > CONFIG_ALL_MAX)
		return error_set(
			err, E_REFUSED,
			"all variables together would have %zu bytes, at most %u are taken",
			bytes_of(&c->set), CONFIG_ALL_MAX);
	return config_check_count(c, err);
}

bool config_unset(struct config *c, const char *name)
{
	bool there;
	size_t i = place_of(&c->set, name, &there);

	if (!there)
		return false;
	free(c->set.v[i]);
	memmove(c->set.v + i, c->set.v + i + 1, (c->set.n - i) * sizeof(*c->set.v));
	c->set.n--;
	return true;
}

/* Files */

static size_t file_index(const struct config *c, const char *name)
{
	size_t i = 0;

	while (i < c->n_files && strcmp(c->file[i].name, name) < 0)
		i++;
	return i;
}

const struct config_file *config_find_file(const struct config *c, const char *name)
{
	size_t i = file_index(c, name);

	return i < c->n_files && strcmp(c->file[i].name, name) == 0 ? &c->file[i] : NULL;
}

void config_add_file(struct config *c, const struct config_file *f)
{
	size_t i = file_index(c, f->name);

	c->file = xrealloc_array(c->file, c->n_files + 1, sizeof(*c->file));
	memmove(c->file + i + 1, c->file + i, (c->n_files - i) * sizeof(*c->file));
	c->file[i] = *f;
	c->n_files++;
}

bool config_remove_file(struct config *c, const char *name)
{
	size_t i = file_index(c, name);

	if (!config_find_file(c, name))
		return false;
	file_release(&c->file[i]);
	c->n_files--;
	memmove(c->file + i, c->file + i + 1, (c->n_files - i) * sizeof(*c->file));
	return true;
}
