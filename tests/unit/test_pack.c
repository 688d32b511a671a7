/* Packs that git wrote are read without git, and packs that are damaged do no harm. */
#include "tests/unit/store.h"
#include "buildless/pack.h"

#define NO_BASE "0000000000000000000000000000000000000000"

/* Files that git packs as deltas of one another, and one that it does not. */
static void similar_files(const struct store *s, unsigned n, unsigned lines)
{
	for (unsigned i = 0; i < n; i++) {
		autofree char *path = xasprintf("d%u/f%u", i % 5, i);
		autostrbuf struct strbuf text = STRBUF_INIT;

		for (unsigned line = 0; line < lines; line++)
			strbuf_addf(&text, "line %u of %u is %u\n", line, lines,
				    line % 40 == i ? i : line * 7919);
		work_file(s, path, text.buf);
	}
	work_file(s, "other", "nothing like it");
}

static void repack(const struct store *s, const char *base_offset)
{
	GIT(s, "apps/blog/repo.git", "-c", base_offset, "repack", "-q", "-adf");
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* All blobs of the repository, and how many of them have their own id by their content. */
static size_t right_ones(const struct store *s, struct pack_reader *r, size_t max_bytes,
			 size_t *blobs)
{
	autofree char *all = git_in(
		s, "apps/blog/repo.git",
		(const char *const[]){"cat-file", "--batch-all-objects", "--batch-check", NULL});
	size_t right = 0;

	*blobs = 0;
	for (const char *line = all; line; line = strchr(line, '\n')) {
		char oid[OID_HEX] = "", got[OID_HEX];
		const void *content;
		size_t len;

		line += *line == '\n';
		memcpy(oid, line, OID_HEX - 1);
		content = pack_read_blob(r, oid, max_bytes, &len);
		if (!str_starts(line + OID_HEX, "blob")) {
			assert_null(content);
			continue;
		}
		++*blobs;
		if (!content)
			continue;
		repo_hash(content, len, got);
		assert_string_equal(got, oid);
		right++;
	}
	return right;
}

static void assert_all_right(const struct store *s)
{
	autofree char *dir = xasprintf("%s/apps/blog/repo.git/objects", s->tmp->path);
	struct packs *packs = packs_open(dir, NULL);
	struct pack_reader *r = pack_reader_new(packs);
	size_t blobs, right = right_ones(s, r, 1 << 20, &blobs);

	assert_int_equal(blobs, 41);
	assert_int_equal(right, blobs);
	assert_int_equal(right_ones(s, r, 100, &blobs), 1);
	assert_null(pack_read_blob(r, "0123456789012345678901234567890123456789", 99, &blobs));
	assert_null(pack_read_blob(r, "no oid", 99, &blobs));
	pack_reader_free(r);
	packs_free(packs);
}

static void blobs_and_chains_of_deltas_are_read(void **state)
{
	static const char *const kinds[] = {"repack.useDeltaBaseOffset=true",
					    "repack.useDeltaBaseOffset=false"};
	struct store *s = *state;

	similar_files(s, 40, 400);
	work_commit(s);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		autofree char *bases = NULL;

		repack(s, kinds[i]);
		bases = git_in(s, "apps/blog/repo.git",
			       (const char *const[]){"cat-file", "--batch-all-objects",
						     "--batch-check=%(deltabase) %(objecttype)",
						     NULL});
		assert_true(count(bases, " blob") >= count(bases, NO_BASE " blob") + 30);
		assert_all_right(s);
	}
}

/* An objects/ of our own, with a copy of the pack that may be damaged. */
struct copy {
	char *dir, *base; /* base: of both files' paths, below the test's directory */
	struct strbuf file[2];
};

static const char *const endings[] = {".idx", ".pack"};

static void copy_pack(const struct store *s, struct copy *copy)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	*copy = (struct copy){.dir = xasprintf("%s/copy", s->tmp->path)};
	assert_int_equal(mkdirat(s->tmp->fd, "copy", 0755), 0);
	assert_int_equal(mkdirat(s->tmp->fd, "copy/pack", 0755), 0);
	assert_ok(fs_open_dir(s->app.fd, "repo.git/objects/pack", &fd, &err), err);
	assert_ok(fs_list(fd, &names, &err), err);
	for (size_t i = 0; i < names.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(endings); k++)
			if (str_ends(names.v[i], endings[k]))
				assert_ok(
					fs_read_file(fd, names.v[i], 1 << 20, &copy->file[k], &err),
					err);
	copy->base = xstrdup("copy/pack/pack-1");
}

static void put_copy(const struct store *s, const struct copy *copy, size_t k, size_t len)
{
	autofree char *path = xasprintf("%s%s", copy->base, endings[k]);
	autoclose int fd = openat(s->tmp->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct error err = ERROR_INIT;

	assert_ok(fs_write_all(fd, copy->file[k].buf, len, &err), err);
}

/* Reads each of `oids` out of the copy. How many were found. */
static size_t read_copy(const struct copy *copy, const struct strv *oids)
{
	struct packs *packs = packs_open("/nonexistent", copy->dir);
	struct pack_reader *r = pack_reader_new(packs);
	size_t found = 0, len;

	for (size_t i = 0; i < oids->n; i++) {
		const char *content = pack_read_blob(r, oids->v[i], 4096, &len);

		if (!content)
			continue;
		found++;
		assert_true(len <= 4096);
		for (size_t at = 0; at < len; at++) /* all of it is memory of ours */
			found += content[at] == '\0' ? 1 : 0;
	}
	pack_reader_free(r);
	packs_free(packs);
	return found;
}

static void list_oids(const struct store *s, struct strv *oids)
{
	autofree char *all = git_in(s, "apps/blog/repo.git",
				    (const char *const[]){"cat-file", "--batch-all-objects",
							  "--batch-check=%(objectname)", NULL});

	for (const char *line = all; *line; line += strcspn(line, "\n"), line += *line == '\n')
		strv_addf(oids, "%.40s", line);
}

static void a_damaged_pack_does_no_harm(void **state)
{
	static const char flips[] = {'\1', '\x80', '\xff'};
	autostrv struct strv oids = STRV_INIT;
	struct store *s = *state;
	struct copy copy;
	size_t lost = 0;

	similar_files(s, 6, 30);
	work_commit(s);
	repack(s, "repack.useDeltaBaseOffset=true");
	list_oids(s, &oids);
	copy_pack(s, &copy);
	for (size_t k = 0; k < 2; k++)
		put_copy(s, &copy, k, copy.file[k].len);
	assert_int_equal(read_copy(&copy, &oids), 7);
	for (size_t k = 0; k < 2; k++) {
		struct strbuf *file = &copy.file[k];

		for (size_t at = 0; at < file->len; at++) {
			char flip = flips[at % ARRAY_SIZE(flips)];

			file->buf[at] = (char)(file->buf[at] ^ flip);
			put_copy(s, &copy, k, file->len);
			lost += read_copy(&copy, &oids) < 7;
			file->buf[at] = (char)(file->buf[at] ^ flip);
			if (at % 3 == 0) {
				put_copy(s, &copy, k, at);
				lost += read_copy(&copy, &oids) < 7;
			}
		}
		put_copy(s, &copy, k, file->len);
	}
	assert_true(lost > 100);
	for (size_t k = 0; k < 2; k++)
		strbuf_release(&copy.file[k]);
	free(copy.dir);
	free(copy.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(blobs_and_chains_of_deltas_are_read),
		STORE_TEST(a_damaged_pack_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
