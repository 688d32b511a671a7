/* relocation_record.c - the relocation of a tree, as a slot's record keeps it.
 *
 *	[relocation]
 *	site = lib/python
 *	root = /home/ian/site
 *	files = 1
 *	0 = OID-AS-PUSHED OID-AS-LAID-OUT + lib/python/x.pth
 *
 * "+": it speaks for the root, "-": it does not. Bytes that an INI file would not keep are %XX. */
#include "buildless/relocation.h"

#include <ctype.h>
#include "buildless/relocate.h"
#include "common/names.h"

#define SECTION "relocation"
#define OID_LEN (OID_HEX - 1)

static void add_encoded(struct strbuf *s, const char *path)
{
	for (; *path; path++)
		if (isalnum((unsigned char)*path) || strchr("/._-+@,", *path))
			strbuf_addch(s, *path);
		else
			strbuf_addf(s, "%%%02X", (unsigned)(unsigned char)*path);
}

static char *decode(const char *text)
{
	struct strbuf s = STRBUF_INIT;

	for (; *text; text++) {
		int byte = *text == '%' ? relocate_hex(text + 1) : -1;

		if (byte > 0)
			text += 2;
		strbuf_addch(&s, (char)(byte > 0 ? byte : *text));
	}
	return strbuf_detach(&s);
}

void relocation_format(const struct relocation *r, struct strbuf *out)
{
	strbuf_addf(out, "[" SECTION "]\nfiles = %zu\n", r->n);
	if (r->site && *r->site) {
		strbuf_addstr(out, "site = ");
		add_encoded(out, r->site);
		strbuf_addch(out, '\n');
	}
	if (r->root) {
		strbuf_addstr(out, "root = ");
		add_encoded(out, r->root);
		strbuf_addch(out, '\n');
	}
	for (size_t i = 0; i < r->n; i++) {
		strbuf_addf(out, "%zu = %s %s %c ", i, r->v[i].in, r->v[i].out,
			    r->v[i].rooted ? '+' : '-');
		add_encoded(out, r->v[i].path);
		strbuf_addch(out, '\n');
	}
}

/* "OID OID + PATH" */
static bool parse_file(const char *text, struct relocation_file *out)
{
	size_t path = 2 * OID_LEN + 4;

	if (strlen(text) <= path || text[OID_LEN] != ' ' || text[2 * OID_LEN + 1] != ' ')
		return false;
	memcpy(out->in, text, OID_LEN);
	memcpy(out->out, text + OID_LEN + 1, OID_LEN);
	out->rooted = text[2 * OID_LEN + 2] == '+';
	out->path = decode(text + path);
	return name_is_oid(out->in) && name_is_oid(out->out);
}

/* Its entries stand in one run, in their order, so looking each up by name is not needed. */
static bool parse_files(const struct ini *ini, uint64_t files, struct relocation *out)
{
	uint64_t number;

	out->v = xcalloc((size_t)files + 1, sizeof(*out->v));
	for (size_t i = 0; i < ini->n; i++) {
		if (strcmp(ini->v[i].section, SECTION) != 0 ||
		    !str_to_uint(ini->v[i].key, UINT32_MAX, &number))
			continue;
		if (number != out->n || number >= files ||
		    !parse_file(ini->v[i].value, &out->v[out->n++]))
			return false;
	}
	return out->n == files;
}

bool relocation_parse(const struct ini *ini, struct relocation *out)
{
	const char *files = ini_get(ini, SECTION, "files"), *root = ini_get(ini, SECTION, "root"),
		   *site = ini_get(ini, SECTION, "site");
	uint64_t n;

	*out = (struct relocation)RELOCATION_INIT;
	if (!files || !str_to_uint(files, ini->n, &n))
		return false;
	out->root = root ? decode(root) : NULL;
	out->site = decode(site ? site : "");
	if (parse_files(ini, n, out))
		return true;
	relocation_release(out);
	return false;
}
