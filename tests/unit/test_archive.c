/* The form of a backup: it comes back as it was, and whatever is cut or altered is refused. */
#include "tests/unit/unit.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/sha256.h"
#include "services/archive.h"

#define DUMP_BYTES 300000

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write_all(fd, bytes, len, &err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void digest_is(const char *text, size_t times, const char *hex)
{
	char out[SHA256_HEX + 1];
	struct sha256 s;

	sha256_init(&s);
	for (size_t i = 0; i < times; i++)
		sha256_add(&s, text, strlen(text));
	sha256_hex(&s, out);
	assert_string_equal(out, hex);
}

static void sha256_gives_what_the_standard_says(void **state)
{
	(void)state;
	digest_is("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_is("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digest_is("aaaaaaaaaa", 100000,
		  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* bytes that do not compress to nothing */
static char *make_dump(void)
{
	char *bytes = xmalloc(DUMP_BYTES);
	uint32_t x = 1;

	for (size_t i = 0; i < DUMP_BYTES; i++) {
		x = x * 1103515245 + 12345;
		bytes[i] = (char)(x >> 16);
	}
	return bytes;
}

/* An archive of two dumps; the caller closes. */
static int make_archive(void)
{
	autofree char *bytes = make_dump();
	autoclose int one = file_of(bytes, DUMP_BYTES), two = file_of("", 0);
	struct backup b = {.app = xstrdup("blog"),
			   .node = xstrdup("0123"),
			   .time = xstrdup("2026-01-02T03:04:05Z"),
			   .commit = xstrdup(""),
			   .release = 7,
			   .n = 2};
	struct error err = ERROR_INIT;
	int fd = memfd_create("archive", MFD_CLOEXEC);

	b.part[0] = (struct backup_part){service_named("postgresql"), xstrdup("postgis"),
					 xstrdup("PostgreSQL 15"), 0, one};
	b.part[1] = (struct backup_part){service_named("files"), xstrdup(""), xstrdup(""), 0, two};
	assert_int_equal(backup_write(&b, fd, &err), 0);
	backup_release(&b);
	return fd;
}

static int read_archive(int fd, struct error *err)
{
	autobackup struct backup b = {0};

	return backup_read(fd, NULL, -1, &b, err);
}

static void a_backup_comes_back_as_it_was(void **state)
{
	autofree char *bytes = make_dump();
	autobackup struct backup b = {0};
	autoclose int fd = make_archive(), out = file_of("", 0);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(backup_read(fd, "postgresql", out, &b, &err), 0);
	assert_string_equal(b.app, "blog");
	assert_string_equal(b.time, "2026-01-02T03:04:05Z");
	assert_int_equal(b.release, 7);
	assert_int_equal(b.n, 2);
	assert_string_equal(b.part[0].value, "postgis");
	assert_string_equal(b.part[1].service->name, "files");
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(strbuf_read_fd(&text, out, DUMP_BYTES, &err), 0);
	assert_int_equal(text.len, DUMP_BYTES);
	assert_memory_equal(text.buf, bytes, DUMP_BYTES);
}

static void one_that_is_cut_anywhere_is_refused(void **state)
{
	autoclose int fd = make_archive();
	struct error err = ERROR_INIT;
	off_t size = lseek(fd, 0, SEEK_END);

	(void)state;
	for (off_t left = size - 1; left > 0; left -= left > size - 40 ? 1 : 9973) {
		assert_int_equal(ftruncate(fd, left), 0);
		assert_int_equal(read_archive(fd, &err), -1);
		assert_int_equal(err.code, E_REFUSED);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(read_archive(fd, &err), -1);
}

/* Some bytes (what fills up a block of tar) mean nothing. */
static void is_refused_or_the_same(int fd, const char *bytes)
{
	autobackup struct backup b = {0};
	autoclose int out = file_of("", 0);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (backup_read(fd, "postgresql", out, &b, &err) == -1) {
		assert_int_equal(err.code, E_REFUSED);
		return;
	}
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(strbuf_read_fd(&text, out, DUMP_BYTES, &err), 0);
	assert_int_equal(text.len, DUMP_BYTES);
	assert_memory_equal(text.buf, bytes, DUMP_BYTES);
}

static void one_with_an_altered_byte_is_refused_or_the_same(void **state)
{
	autofree char *bytes = make_dump();
	autoclose int fd = make_archive();
	off_t size = lseek(fd, 0, SEEK_END);

	(void)state;
	for (off_t at = 0; at < size; at += 15013) {
		unsigned char was, is;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		is = was ^ 0x40;
		assert_int_equal(pwrite(fd, &is, 1, at), 1);
		is_refused_or_the_same(fd, bytes);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
}

static void what_is_no_archive_is_refused(void **state)
{
	autoclose int fd = file_of("hello\n", 6);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(read_archive(fd, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
}

/* In a directory that is removed again; tree_write and tree_read change ours. */
static void a_tree_comes_back_as_it_was(void **state)
{
	char top[] = "/tmp/silver-archive.XXXXXX";
	autoclose int top_fd = -1, from = -1, to = -1, fd = file_of("", 0);
	autostrbuf struct strbuf text = STRBUF_INIT;
	autofree char *target = NULL;
	struct error err = ERROR_INIT;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(top));
	assert_int_equal(fs_open_dir(AT_FDCWD, top, &top_fd, &err), 0);
	assert_int_equal(fs_ensure_dir(top_fd, "from", 0755, &from, &err), 0);
	assert_int_equal(fs_ensure_dir(top_fd, "to", 0755, &to, &err), 0);
	assert_int_equal(fs_ensure_dir(from, "a b", 0750, NULL, &err), 0);
	assert_int_equal(fs_replace_file(from, "x\377", "one", 3, 0640, &err), 0);
	assert_int_equal(fs_replace_file(from, "empty", "", 0, 0600, &err), 0);
	assert_int_equal(fs_symlink("../outside", from, "link", &err), 0);
	assert_int_equal(mkfifoat(from, "pipe", 0600), 0);
	assert_int_equal(tree_write(from, fd, &err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(tree_read(to, fd, &err), 0);
	assert_int_equal(fs_read_file(to, "x\377", 10, &text, &err), 0);
	assert_string_equal(text.buf, "one");
	assert_int_equal(fstatat(to, "x\377", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fstatat(to, "a b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(fs_read_link(to, "link", &target, &err), 0);
	assert_string_equal(target, "../outside");
	assert_true(fs_exists(to, "empty"));
	assert_false(fs_exists(to, "pipe"));
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(fs_remove_tree(top_fd, "from", &err), 0);
	assert_int_equal(fs_remove_tree(top_fd, "to", &err), 0);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_what_the_standard_says),
		cmocka_unit_test(a_backup_comes_back_as_it_was),
		cmocka_unit_test(one_that_is_cut_anywhere_is_refused),
		cmocka_unit_test(one_with_an_altered_byte_is_refused_or_the_same),
		cmocka_unit_test(what_is_no_archive_is_refused),
		cmocka_unit_test(a_tree_comes_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
