#include "buildless/links.h"

#include "common/names.h"

#define TARGET_MAX 4095 /* PATH_MAX without its NUL */

struct links {
	struct repo *repo;
	const char *tree;
	bool whole;        /* paths and inner know all links of the tree */
	struct strv paths; /* where links are */
	struct strv inner; /* path and target, in turn, of links with ".." behind a name */
	struct strv *errors;
};

struct links *links_new(struct repo *repo, const char *tree, bool whole, struct strv *errors)
{
	struct links *links = xcalloc(1, sizeof(*links));

	links->repo = repo;
	links->tree = tree;
	links->whole = whole;
	links->errors = errors;
	return links;
}

void links_free(struct links *links)
{
	if (!links)
		return;
	strv_free_p(&links->paths);
	strv_free_p(&links->inner);
	free(links);
}

void links_free_p(struct links **links)
{
	links_free(*links);
}

/* A committed virtual environment needs it: bin/python3 -> /usr/bin/python3.11. */
static bool is_interpreter(const char *path, const char *target)
{
	const char *slash = strrchr(path, '/');
	static const char python[] = "/usr/bin/python3";

	if (!slash || !str_starts(slash, "/python") || !str_starts(target, python))
		return false;
	if (slash - path < 3 || strncmp(slash - 3, "bin", 3) != 0 ||
	    (slash - path > 3 && slash[-4] != '/'))
		return false;
	target += strlen(python);
	return strspn(target, ".0123456789") == strlen(target);
}

/* Whether the target leads out of the tree by its text alone; *inner: it has ".." behind a name. */
static bool leaves_tree(const char *path, const char *target, bool *inner)
{
	size_t depth = 0;
	bool named = false;

	*inner = false;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		depth++;
	while (*target) {
		size_t len = strcspn(target, "/");

		if (len == 2 && strncmp(target, "..", 2) == 0) {
			if (depth == 0)
				return true;
			depth--;
			*inner = *inner || named;
		} else if (len > 1 || (len == 1 && *target != '.')) {
			depth++;
			named = true;
		}
		target += len + (target[len] == '/');
	}
	return false;
}

static const char *target_problem(const struct strbuf *target)
{
	if (target->len == 0)
		return "a link to nothing; remove it";
	if (target->len > TARGET_MAX || strlen(target->buf) != target->len)
		return "a link whose target is no path; remove it";
	return NULL;
}

static void check_target(struct links *links, const char *path, const struct strbuf *target)
{
	autofree char *shown = name_printable(path), *to = name_printable(strbuf_str(target));
	const char *problem = target_problem(target);
	bool inner;

	if (problem)
		strv_addf(links->errors, "%s: %s", shown, problem);
	else if (is_interpreter(path, target->buf))
		return;
	else if (*target->buf == '/')
		strv_addf(
			links->errors,
			"%s: a link to the absolute path '%.200s'; links are relative and stay in "
			"the tree",
			shown, to);
	else if (leaves_tree(path, target->buf, &inner))
		strv_addf(links->errors,
			  "%s: a link that leaves the tree, to '%.200s'; links stay in the tree",
			  shown, to);
	else if (inner) {
		strv_add(&links->inner, path);
		strv_add(&links->inner, target->buf);
	}
}

int links_add(struct links *links, const char *path, const char *oid, struct error *err)
{
	autostrbuf struct strbuf target = STRBUF_INIT;

	if (repo_read_blob(links->repo, oid, TARGET_MAX + 1, &target, err) == -1) {
		if (err->code != E_REFUSED)
			return -1;
		strbuf_addch(&target, '\0'); /* too large for a path, like one with a NUL */
	}
	strv_add(&links->paths, path);
	check_target(links, path, &target);
	return 0;
}

/* A link that was there before and is safe by itself, unless ".." stands behind a name. */
static int add_known(void *ctx, const char *path, const struct repo_entry *was,
		     const struct repo_entry *now, struct error *err)
{
	struct links *links = ctx;

	(void)was;
	return now->kind == REPO_ENTRY_LINK ? links_add(links, path, now->oid, err) : 0;
}

static int read_all(struct links *links, struct error *err)
{
	autostrv struct strv told = STRV_INIT;
	struct strv *errors = links->errors;
	int result;

	strv_free_p(&links->paths);
	strv_free_p(&links->inner);
	links->errors = &told; /* what is wrong with a link alone was found when it came */
	result = repo_diff(links->repo, "", links->tree, add_known, links, err);
	links->errors = errors;
	return result;
}

/* The link that the walk to the target comes through before a "..", or NULL. The caller frees. */
static char *link_before_up(const struct links *links, const char *path, const char *target)
{
	autofree char *at = xasprintf("%s/%s", path, target);
	size_t len = (size_t)(strrchr(path, '/') ? strrchr(path, '/') - path : 0);
	bool through_link = false;
	char *link = NULL;

	at[len] = '\0';
	while (*target) {
		size_t part = strcspn(target, "/");

		if (part == 2 && strncmp(target, "..", 2) == 0) {
			if (through_link)
				return link;
			at[len = (size_t)(strrchr(at, '/') ? strrchr(at, '/') - at : 0)] = '\0';
		} else if (part > 1 || (part == 1 && *target != '.')) {
			if (len)
				at[len++] = '/';
			memcpy(at + len, target, part);
			at[len += part] = '\0';
			if (!through_link && strv_has(&links->paths, at)) {
				through_link = true;
				link = xstrdup(at);
			}
		}
		target += part + (target[part] == '/');
	}
	free(link);
	return NULL;
}

int links_check(struct links *links, struct error *err)
{
	if (links->paths.n == 0)
		return 0;
	if (!links->whole && read_all(links, err) == -1)
		return -1;
	for (size_t i = 0; i < links->inner.n; i += 2) {
		const char *path = links->inner.v[i], *target = links->inner.v[i + 1];
		autofree char *link = link_before_up(links, path, target);
		autofree char *shown = name_printable(path), *to = name_printable(target);
		autofree char *through = link ? name_printable(link) : NULL;

		if (link)
			strv_addf(links->errors,
				  "%s: a link to '%.200s', where '..' stands behind the link '%s' "
				  "and may lead anywhere; link to the place itself",
				  shown, to, through);
	}
	return 0;
}
