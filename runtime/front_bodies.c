#include "runtime/front_bodies.h"

#include <stdlib.h>
#include "common/fs.h"
#include "common/names.h"

#define DIRECTORY "bodies"

uint64_t front_body_of(const struct node *node, const char *app)
{
	autofree char *path = xasprintf(DIRECTORY "/%s", app);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	uint64_t bytes;

	if (fs_read_file(node->fd, path, 32, &text, &none) == -1 || text.len == 0)
		return 0;
	text.buf[strcspn(text.buf, "\n")] = '\0';
	return str_to_uint(text.buf, FRONT_BODY_MAX, &bytes) && bytes >= FRONT_BODY_MIN ? bytes : 0;
}

int front_body_set(const struct node *node, const char *app, uint64_t bytes, struct error *err)
{
	autofree char *text = xasprintf("%llu\n", (unsigned long long)bytes);
	autoclose int fd = -1;

	if (fs_ensure_dir(node->fd, DIRECTORY, 0755, &fd, err) == -1)
		return -1;
	if (bytes == 0)
		return fs_unlink(fd, app, err) == -1 ? -1 : fs_sync(fd, err);
	return fs_replace_file(fd, app, text, strlen(text), 0644, err);
}

static void add_size(struct front_bodies *b, uint64_t bytes)
{
	for (size_t i = 0; i < b->n_sizes; i++)
		if (b->size[i] == bytes)
			return;
	b->size = xrealloc_array(b->size, b->n_sizes + 1, sizeof(*b->size));
	b->size[b->n_sizes++] = bytes;
	if (bytes > b->largest)
		b->largest = bytes;
}

void front_bodies_read(const struct node *node, struct front_bodies *out)
{
	autostrv struct strv names = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	*out = (struct front_bodies){0};
	add_size(out, node->max_body_bytes);
	if (fs_open_dir(node->fd, DIRECTORY, &fd, &none) == -1 || fs_list(fd, &names, &none) == -1)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		struct error bad = ERROR_INIT;
		uint64_t bytes;

		if (name_check_app(names.v[i], &bad) == -1 ||
		    (bytes = front_body_of(node, names.v[i])) == 0)
			continue;
		out->v = xrealloc_array(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = (struct front_body){xstrdup(names.v[i]), bytes};
		add_size(out, bytes);
	}
}

void front_bodies_release(struct front_bodies *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i].app);
	free(b->v);
	free(b->size);
	*b = (struct front_bodies){0};
}

void front_bodies_add_apps(const struct front_bodies *b, struct strbuf *out)
{
	for (size_t i = 0; i < b->n; i++)
		strbuf_addf(out, "\t\t%s %llu;\n", b->v[i].app, (unsigned long long)b->v[i].bytes);
}

/* nginx compares no numbers. More than 4096 has more digits, or is 4[1-9].., or 409[7-9]: each
 * digit's place in turn. */
static void add_over(uint64_t bytes, struct strbuf *out)
{
	autofree char *digits = xasprintf("%llu", (unsigned long long)bytes);
	int n = (int)strlen(digits);

	strbuf_addf(out, "\t\t\"~^%s:0*(?:[1-9][0-9]{%d,}", digits, n);
	for (int i = 0; i < n; i++)
		if (digits[i] < '9')
			strbuf_addf(out, "|%.*s[%c-9][0-9]{%d}", i, digits, digits[i] + 1,
				    n - i - 1);
	strbuf_addstr(out, ")\\z\" 1;\n");
}

void front_bodies_add_over(const struct front_bodies *b, struct strbuf *out)
{
	for (size_t i = 0; i < b->n_sizes; i++)
		add_over(b->size[i], out);
}
