/* config_change.c - what differs between two configurations: what git hashes, and words. */
#include "buildless/config.h"

#define DESCRIBE_MAX 160

int config_put(struct config *c, const char *name, const void *content, size_t len,
	       struct error *err)
{
	struct config_file f = {.name = xstrdup(name), .content = xmalloc(len + 1), .len = len};

	memcpy(f.content, content, len);
	repo_hash(content, len, f.oid);
	(void)config_remove_file(c, name);
	config_add_file(c, &f);
	if (len > CONFIG_FILE_MAX)
		return error_set(err, E_REFUSED, "%s: a file has at most %u MiB", name,
				 CONFIG_FILE_MAX >> 20);
	return config_check_count(c, err);
}

void config_digest(const struct config *c, char oid[OID_HEX])
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	config_format(c, &text);
	if (text.len)
		repo_hash(text.buf, text.len, oid);
	else
		*oid = '\0';
}

/* What changed, for people */

struct description {
	struct strbuf *out;
	const char *what; /* the last that was said */
	size_t left_out;
};

static void describe(struct description *d, const char *what, const char *name)
{
	const char *between = d->out->len ? ", " : "";

	if (d->out->len > DESCRIBE_MAX) {
		d->left_out++;
		return;
	}
	if (d->what && strcmp(d->what, what) == 0)
		strbuf_addf(d->out, "%s%s", between, name);
	else
		strbuf_addf(d->out, "%s%s %s", between, what, name);
	d->what = what;
}

/* Names of `of` that `other` has otherwise, or not at all. */
static void describe_set(struct description *d, const struct config *of, const struct config *other,
			 bool gone)
{
	for (size_t i = 0; i < of->set.n; i++) {
		const char *entry = of->set.v[i], *value = strchr(entry, '=') + 1, *there;
		autofree char *name = xstrndup(entry, strcspn(entry, "="));

		there = config_get(other, name);
		if (gone ? !there : !there || strcmp(there, value) != 0)
			describe(d, gone ? "unset" : "set", name);
	}
}

static void describe_files(struct description *d, const struct config *of,
			   const struct config *other, bool gone)
{
	for (size_t i = 0; i < of->n_files; i++) {
		const struct config_file *f = &of->file[i],
					 *there = config_find_file(other, f->name);

		if (gone ? !there : !there || strcmp(there->oid, f->oid) != 0)
			describe(d, gone ? "removed" : "put", f->name);
	}
}

void config_describe(const struct config *from, const struct config *to, struct strbuf *out)
{
	struct description d = {.out = out};

	describe_set(&d, to, from, false);
	describe_set(&d, from, to, true);
	describe_files(&d, to, from, false);
	describe_files(&d, from, to, true);
	if (d.left_out)
		strbuf_addf(out, " and %zu more", d.left_out);
}
