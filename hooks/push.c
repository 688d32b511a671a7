#include "hooks/gate.h"

#include "common/names.h"

#define INPUT_MAX  (64u << 20) /* about half a million refs */
#define OPTION_MAX 64

static int read_line(struct push *out, const char *line, size_t len, struct error *err)
{
	struct push_ref ref = {.name = NULL};

	if (len < 83 || line[40] != ' ' || line[81] != ' ')
		return error_set(err, E_SYSTEM, "a line of the hook's input is not 'OLD NEW REF'");
	memcpy(ref.old_oid, line, 40);
	memcpy(ref.new_oid, line + 41, 40);
	if (!name_is_oid(ref.old_oid) || !name_is_oid(ref.new_oid))
		return error_set(err, E_SYSTEM,
				 "a line of the hook's input does not start with two object ids");
	ref.name = xstrndup(line + 82, len - 82);
	out->ref = xrealloc_array(out->ref, out->n + 1, sizeof(*out->ref));
	out->ref[out->n++] = ref;
	return 0;
}

static int read_refs(struct push *out, int fd, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	const char *line, *end;

	if (strbuf_read_fd(&text, fd, INPUT_MAX, err) == -1)
		return error_prefix(err, "reading what is pushed");
	end = strbuf_str(&text) + text.len;
	for (line = strbuf_str(&text); line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *stop = newline ? newline : end;

		if (read_line(out, line, (size_t)(stop - line), err) == -1)
			return -1;
		line = newline ? newline + 1 : end;
	}
	return 0;
}

static int read_option(struct push *out, const char *option, struct error *err)
{
	static const char *const known[] = {"plan", "stage"};
	autofree char *shown = name_printable(option), *hint = NULL;
	const char *near = name_nearest(option, known, ARRAY_SIZE(known));

	if (strcmp(option, "plan") == 0) {
		out->plan = true;
		return 0;
	}
	if (strcmp(option, "stage") == 0) {
		out->stage = true;
		return 0;
	}
	hint = near ? xasprintf(" (did you mean '%s'?)", near) : xstrdup("");
	return error_set(err, E_USAGE,
			 "unknown push option '%.100s'%s; there are `-o plan` and `-o stage`",
			 shown, hint);
}

static int read_options(struct push *out, struct error *err)
{
	const char *text = getenv("GIT_PUSH_OPTION_COUNT");
	uint64_t n;

	if (!text)
		return 0;
	if (!str_to_uint(text, OPTION_MAX, &n))
		return error_set(err, E_USAGE, "more than %d push options", OPTION_MAX);
	for (uint64_t i = 0; i < n; i++) {
		autofree char *name = xasprintf("GIT_PUSH_OPTION_%u", (unsigned)i);
		const char *option = getenv(name);

		if (option && read_option(out, option, err) == -1)
			return -1;
	}
	return 0;
}

int push_read(struct push *out, int fd, struct error *err)
{
	*out = (struct push){.ref = NULL};
	if (read_refs(out, fd, err) == -1)
		return -1;
	return read_options(out, err);
}

void push_release(struct push *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->ref[i].name);
	free(p->ref);
	*p = (struct push){.ref = NULL};
}

bool push_ref_deletes(const struct push_ref *ref)
{
	return strspn(ref->new_oid, "0") == strlen(ref->new_oid);
}
