/* node.ini: defaults, every kind of mistake, the addresses of a running silverd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/node.h"

struct place {
	char path[40];
	int fd;
};

static int set_up(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	snprintf(p->path, sizeof(p->path), "/tmp/silver-node-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd == -1;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	int tmp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fs_remove_tree(tmp_fd, p->path + strlen("/tmp/"), &err);

	close(tmp_fd);
	close(p->fd);
	free(p);
	return failed;
}

static void write_file(const struct place *p, const char *name, const char *text)
{
	struct error err = ERROR_INIT;
	int fd = -1;

	assert_int_equal(fs_open(p->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, &err), 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text), &err), 0);
	close(fd);
}

static void a_new_node_ini_has_the_defaults(void **state)
{
	struct place *p = *state;
	autofree char *text = node_default_ini("127.0.0.1:2222", "[::1]:8080");
	struct error err = ERROR_INIT;
	struct node node;

	write_file(p, "node.ini", text);
	if (node_open(&node, p->path, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(node.dir, p->path);
	assert_string_equal(node.ssh, "127.0.0.1:2222");
	assert_string_equal(node.http, "[::1]:8080");
	assert_string_equal(node.domain, "localhost");
	assert_int_equal(node.keep, 5);
	assert_int_equal(node.health_ms, 60000);
	assert_int_equal(node.max_startups, 100);
	assert_true(node.max_push_bytes == (uint64_t)4 << 30);
	node_release(&node);
}

static void every_commented_setting_is_valid_when_the_comment_sign_is_removed(void **state)
{
	struct place *p = *state;
	autofree char *text = node_default_ini("127.0.0.1:2222", "127.0.0.1:8080");
	struct error err = ERROR_INIT;
	struct node node;

	for (char *c = text; (c = strstr(c, "\n#")); c++)
		if (c[2] != ' ') /* "#keep = 5", not "# about" */
			c[1] = '\n';
	write_file(p, "node.ini", text);
	if (node_open(&node, p->path, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(node.keep, 5);
	node_release(&node);
}

static void the_manual_has_every_setting_with_its_default(void **state)
{
	autofree char *text = node_default_ini("A", "B");
	autostrbuf struct strbuf page = STRBUF_INIT;
	autoclose int fd = open("docs/man/silverd.8", O_RDONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(strbuf_read_fd(&page, fd, 1 << 20, &err), 0);
	for (char *at = text; (at = strstr(at, "\n#")); at++) {
		char key[64], value[64];

		if (sscanf(at, "\n#%63[a-z_] = %63[^\n]", key, value) != 2)
			continue; /* "# about" */
		autofree char *item = xasprintf(".It Ic %s\n", key);
		const char *found = strstr(page.buf, item);
		const char *value_at = found ? strstr(found, value) : NULL;

		if (!value_at || strstr(found + 1, ".It") < value_at)
			fail_msg("silverd.8: '%s' with its default '%s'", key, value);
	}
}

static void addresses_of_the_running_silverd_count_over_node_ini(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	struct node node;

	write_file(p, "node.ini", "[node]\nssh = 127.0.0.1:0\nhttp = 127.0.0.1:0\nkeep = 7\n");
	assert_int_equal(mkdirat(p->fd, "run", 0755), 0);
	write_file(p, "run/node.ini", "[node]\nssh = 127.0.0.1:4022\nhttp = 127.0.0.1:4080\n");
	assert_int_equal(node_open(&node, p->path, &err), 0);
	assert_string_equal(node.ssh, "127.0.0.1:4022");
	assert_int_equal(node.keep, 7);
	autofree char *url = node_url(&node, "blog.localhost");
	assert_string_equal(url, "http://blog.localhost:4080");
	node_release(&node);
}

static void all_mistakes_are_told_with_their_lines(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	struct node node;

	write_file(p, "node.ini",
		   "[node]\nkep = 5\nkeep = 1\nssh = localhost:22\n[other]\nkeep = 3\n");
	assert_int_equal(node_open(&node, p->path, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_non_null(
		strstr(err.text, "node.ini:2: unknown setting 'kep' (did you mean 'keep'?)"));
	assert_non_null(strstr(err.text, "node.ini:3: keep = 1: expected a number from 2 to 1000"));
	assert_non_null(strstr(err.text, "node.ini:4: ssh: 'localhost:22' is no address"));
	assert_non_null(strstr(err.text, "node.ini:6: 'keep' stands in section [other]"));
}

static void a_directory_that_is_no_node_says_how_to_make_one(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	struct node node;

	assert_int_equal(node_open(&node, p->path, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_non_null(strstr(err.text, "`silverd --dir"));
	assert_int_equal(node_open(&node, "/nonexistent/node", &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void an_absent_app_is_named(void **state)
{
	struct place *p = *state;
	struct error err = ERROR_INIT;
	struct node node;
	int fd;

	write_file(p, "node.ini", "[node]\n");
	assert_int_equal(mkdirat(p->fd, "apps", 0755), 0);
	assert_int_equal(node_open(&node, p->path, &err), 0);
	assert_int_equal(node_open_app(&node, "blog", &fd, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text, "no app 'blog'");
	node_release(&node);
}

static void addresses_are_numbers_in_one_form(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"127.0.0.1:22", true},
		{"0.0.0.0:0", true},
		{"[::]:22", true},
		{"[::1]:65535", true},
		{"127.0.0.1", false},
		{"::1:22", false},
		{"[::1]", false},
		{"[::1]22", false},
		{":22", false},
		{"127.0.0.1:", false},
		{"127.0.0.1:-1", false},
		{"127.0.0.1:65536", false},
		{"127.0.0.1:022", false},
		{"localhost:22", false},
		{"", false},
		{"[127.0.0.1]:22", false},
		{"127.0.0.1:22 ", false},
		{"[]:1", false},
		{"]:1", false},
	};
	union address a;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if ((address_parse(rows[i].text, &a, &err) == 0) != rows[i].good)
			fail_msg("'%s'", rows[i].text);
		if (rows[i].good) {
			autofree char *text = address_text(&a);
			assert_string_equal(text, rows[i].text);
		}
	}
}

static void a_port_in_use_is_told_with_the_remedy(void **state)
{
	struct error err = ERROR_INIT;
	union address a;
	int first = -1, second = -1;

	(void)state;
	assert_int_equal(address_bind("127.0.0.1:0", "ssh", &a, &first, &err), 0);
	assert_true(address_port(&a) > 0);
	assert_int_equal(listen(first, 1), 0);
	autofree char *text = address_text(&a);
	assert_int_equal(address_bind(text, "ssh", &a, &second, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_non_null(strstr(err.text, "in use by another program"));
	assert_non_null(strstr(err.text, "--ssh ADDR:PORT"));
	close(first);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_node_ini_has_the_defaults),
		TEST(every_commented_setting_is_valid_when_the_comment_sign_is_removed),
		cmocka_unit_test(the_manual_has_every_setting_with_its_default),
		TEST(addresses_of_the_running_silverd_count_over_node_ini),
		TEST(all_mistakes_are_told_with_their_lines),
		TEST(a_directory_that_is_no_node_says_how_to_make_one),
		TEST(an_absent_app_is_named),
		cmocka_unit_test(addresses_are_numbers_in_one_form),
		cmocka_unit_test(a_port_in_use_is_told_with_the_remedy),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
