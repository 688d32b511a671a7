/* users/NAME: adding, listing, removing; whose key it is; files that people wrote. Real ssh-keygen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "receiver/pubkey.h"
#include "receiver/users.h"

/* Generated for these tests; the private halves are thrown away. */
#define KEY_A   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJY8Jx4kt0d3vlrpccjERgnqTGyhoMXpti2AHqoX3z4R"
#define KEY_B   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIImBlip93v7+QgJweTsmV7HFKTYWoXQdefkYofPBWZFT"
#define PRINT_A "SHA256:fre+vCynht0y4J3g5a711huOCZeSeO0oRr1YBKrbNxU"

struct place {
	char path[40];
	int users_fd;
	struct node node;
	char *said; /* what the verb printed */
};

static int set_up(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	snprintf(p->path, sizeof(p->path), "/tmp/silver-users-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->node.fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->node.fd == -1 || mkdirat(p->node.fd, "users", 0700) == -1)
		return -1;
	p->users_fd = openat(p->node.fd, "users", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->users_fd == -1;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	int tmp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fs_remove_tree(tmp_fd, p->path + strlen("/tmp/"), &err);

	close(tmp_fd);
	close(p->users_fd);
	close(p->node.fd);
	free(p->said);
	free(p);
	return failed;
}

/* `user WORDS...` with `input` on standard input; the words end with NULL. */
static int user(struct place *p, struct error *err, const char *input, ...)
{
	autostrv struct strv words = STRV_INIT;
	autoclose int in = memfd_create("in", MFD_CLOEXEC);
	size_t len;
	FILE *out;
	va_list args;
	int result;

	*err = (struct error)ERROR_INIT;
	va_start(args, input);
	for (const char *w = va_arg(args, const char *); w; w = va_arg(args, const char *))
		strv_add(&words, w);
	va_end(args);
	assert_int_equal(fs_write_all(in, input, strlen(input), err), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	free(p->said);
	p->said = NULL;
	out = open_memstream(&p->said, &len);
	assert_non_null(out);
	result = users_verb(&p->node, strv_argv(&words), words.n, in, out, err);
	fclose(out);
	return result;
}

#define MUST(p, err, ...)                                                                          \
	do {                                                                                       \
		if (user(p, err, __VA_ARGS__) == -1)                                               \
			fail_msg("%s", (err)->text);                                               \
	} while (0)

static void write_user(const struct place *p, const char *name, const char *text)
{
	struct error err = ERROR_INIT;
	int fd = -1;

	assert_int_equal(fs_open(p->users_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, &err),
			 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text), &err), 0);
	close(fd);
}

static void a_key_leads_to_its_user(void **state)
{
	struct place *p = *state;
	struct users *users = users_new(p->users_fd);
	struct error err;
	const char *fingerprint;
	const struct user *u;

	assert_null(users_by_key(users, KEY_A, NULL));
	MUST(p, &err, KEY_A " ian@laptop\n", "add", "ian", "--role", "read", "--app", "blog", NULL);
	u = users_by_key(users, KEY_A, &fingerprint);
	assert_non_null(u);
	assert_string_equal(u->name, "ian");
	assert_int_equal(u->role, ROLE_READ);
	assert_true(user_sees(u, "blog"));
	assert_false(user_sees(u, "shop"));
	assert_string_equal(fingerprint, PRINT_A);
	assert_non_null(users_by_key(users, KEY_A " another comment", NULL));
	assert_null(users_by_key(users, KEY_B, NULL));
	assert_null(users_by_key(users, "ssh-ed25519", NULL));
	assert_null(users_by_key(users, "", NULL));
	users_free(users);
}

static void the_cache_notices_every_change(void **state)
{
	struct place *p = *state;
	struct users *users = users_new(p->users_fd);
	struct error err;

	MUST(p, &err, KEY_A, "add", "ian", NULL);
	assert_int_equal(users_by_key(users, KEY_A, NULL)->role, ROLE_DEPLOY);
	MUST(p, &err, KEY_A, "add", "ian", "--role", "admin", NULL); /* within the same tick */
	assert_int_equal(users_by_key(users, KEY_A, NULL)->role, ROLE_ADMIN);
	write_user(p, "ian", "[user]\nrole = read\nkey = " KEY_B "\n"); /* in place */
	assert_null(users_by_key(users, KEY_A, NULL));
	assert_string_equal(users_by_key(users, KEY_B, NULL)->name, "ian");
	MUST(p, &err, "", "remove", "ian", NULL);
	assert_null(users_by_key(users, KEY_B, NULL));
	users_free(users);
}

static void several_keys_belong_to_one_user(void **state)
{
	struct place *p = *state;
	struct error err;

	MUST(p, &err, "# laptop\n\n" KEY_A " a\r\n  " KEY_B " b\n", "add", "ian", NULL);
	assert_non_null(strstr(p->said, "2 keys"));
	MUST(p, &err, KEY_A, "add", "ian", NULL);
	assert_non_null(strstr(p->said, "has the key " PRINT_A " already"));
	assert_non_null(strstr(p->said, "nothing was changed"));
}

static void a_key_of_another_user_is_refused_by_name(void **state)
{
	struct place *p = *state;
	struct error err;

	MUST(p, &err, KEY_A, "add", "ian", NULL);
	assert_int_equal(user(p, &err, KEY_B "\n" KEY_A, "add", "eve", NULL), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "is ian's"));
	assert_non_null(strstr(err.text, PRINT_A));
	assert_false(fs_exists(p->users_fd, "eve")); /* nothing of it, not even the good key */
}

static void what_is_no_key_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *input, *reason;
	} rows[] = {
		{"", "no key on standard input"},
		{"# only a comment\n", "no key on standard input"},
		{"hello\n", "'hello' is no key type"},
		{"ssh-ed25519\n", "no base64"},
		{"ssh-ed25519 ???\n", "no base64"},
		{"ssh-ed25519 AAAA\n", "ssh-keygen does not take it"},
		{KEY_A "AAAA x\n", "ssh-keygen does not take it"},
		{"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJY8Jx4kt0d3vlrpccjERgnqTGyhoMXpti2AHqoX3z4R\n",
		 "ssh-keygen does not take it"},
		{"ssh-dss AAAA x\n", "'ssh-dss' is no key type"},
		{"command=\"/bin/sh\" " KEY_A "\n", "options before a key"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"},
		{KEY_B "\n" KEY_A "\nnonsense\n", "key line 3: "},
		{"\x1b[2J AAAA\n", "\\x1b[2J"},
	};
	struct place *p = *state;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (user(p, &err, rows[i].input, "add", "ian", NULL) != -1 ||
		    !strstr(err.text, rows[i].reason))
			fail_msg("'%s': %s", rows[i].input, err.text);
		assert_false(fs_exists(p->users_fd, "ian"));
	}
}

static void bad_words_are_usage_errors(void **state)
{
	static const char *const rows[][5] = {
		{"add"},
		{"add", "../x"},
		{"add", "-x"},
		{"add", "ian", "--role", "root"},
		{"add", "ian", "--role"},
		{"add", "ian", "--app", "../x"},
		{"add", "ian", "eve"},
		{"add", "ian", "--role", "admin", "--app"},
		{"remove"},
		{"remove", "../users"},
		{"list", "ian"},
		{"change"},
		{NULL},
	};
	struct place *p = *state;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(user(p, &err, KEY_A, rows[i][0], rows[i][1], rows[i][2],
				      rows[i][3], rows[i][4], NULL),
				 -1);
		assert_int_equal(err.code, E_USAGE);
	}
	assert_int_equal(user(p, &err, KEY_A, "add", "x", "--role", "admin", "--app", "blog", NULL),
			 -1);
	assert_non_null(strstr(err.text, "an admin has every app"));
	assert_int_equal(user(p, &err, "", "remove", "nobody", NULL), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void a_user_who_becomes_admin_is_limited_no_more(void **state)
{
	struct place *p = *state;
	struct error err;

	MUST(p, &err, KEY_A, "add", "ian", "--app", "blog", "--app", "shop", NULL);
	assert_non_null(strstr(p->said, "apps blog shop"));
	MUST(p, &err, KEY_A, "add", "ian", "--role", "admin", NULL);
	assert_non_null(strstr(p->said, "role admin, apps all"));
}

static void a_wrong_file_gives_no_rights_and_hides_no_one(void **state)
{
	static const char *const wrong[] = {
		"",
		"[user]\nkey = " KEY_A "\n",                          /* no role */
		"[user]\nrole = root\nkey = " KEY_A "\n",             /* no such role */
		"[user]\nrole = read\nkey = ssh-ed25519\n",           /* half a key */
		"[user]\nrole = read\napp = ../x\nkey = " KEY_A "\n", /* no app name */
		"role = read\nkey = " KEY_A "\n",                     /* no section */
		"[user]\nrole = read\nkey = " KEY_A "\nsudo = yes\n", /* unknown key */
	};
	struct place *p = *state;
	struct users *users = users_new(p->users_fd);
	struct error err;

	write_user(p, "eve", "[user]\nrole = read\nkey = " KEY_B " eve@x ; # with = signs\n");
	write_user(p, ".ian.swp", "[user]\nrole = admin\nkey = " KEY_A "\n");
	write_user(p, "ian~", "[user]\nrole = admin\nkey = " KEY_A "\n");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		write_user(p, "ian", wrong[i]);
		assert_null(users_by_key(users, KEY_A, NULL));
		assert_non_null(users_by_key(users, KEY_B, NULL));
	}
	MUST(p, &err, "", "list", NULL);
	assert_non_null(strstr(p->said, "eve"));
	users_free(users);
}

static void a_list_has_fingerprints_roles_and_apps(void **state)
{
	struct place *p = *state;
	struct error err;

	MUST(p, &err, "", "list", NULL);
	assert_non_null(strstr(p->said, "no users yet"));
	MUST(p, &err, "", "list", "--json", NULL);
	assert_string_equal(p->said, "[]\n");
	MUST(p, &err, KEY_A " my \"key\"", "add", "ian", "--app", "blog", NULL);
	MUST(p, &err, "", "list", NULL);
	assert_string_equal(p->said, "ian  deploy  blog\n    " PRINT_A " my \"key\"\n");
	MUST(p, &err, "", "list", "--json", NULL);
	assert_non_null(strstr(p->said, "\"role\":\"deploy\",\"apps\":[\"blog\"]"));
	assert_non_null(strstr(p->said, "\"fingerprint\":\"" PRINT_A "\""));
	assert_non_null(strstr(p->said, "my \\\"key\\\""));
}

static void a_user_file_is_for_its_owner_only(void **state)
{
	struct place *p = *state;
	struct error err;
	struct stat st;

	MUST(p, &err, KEY_A, "add", "ian", NULL);
	assert_int_equal(fstatat(p->users_fd, "ian", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_leads_to_its_user),
		TEST(the_cache_notices_every_change),
		TEST(several_keys_belong_to_one_user),
		TEST(a_key_of_another_user_is_refused_by_name),
		TEST(what_is_no_key_is_refused_with_the_reason),
		TEST(bad_words_are_usage_errors),
		TEST(a_user_who_becomes_admin_is_limited_no_more),
		TEST(a_wrong_file_gives_no_rights_and_hides_no_one),
		TEST(a_list_has_fingerprints_roles_and_apps),
		TEST(a_user_file_is_for_its_owner_only),
	};

	return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
