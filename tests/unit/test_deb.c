/* Packages unpacked without root: real ones by dpkg-deb, and such as nobody should unpack. */
#include "unit.h"
#include "buildless/deb.h"
#include "buildless/store.h"
#include "common/fs.h"
#include "common/proc.h"

/* Runs a shell line in the test's directory: what makes a package is nobody's library. */
static void sh(const struct tmp *t, const char *line)
{
	char *const argv[] = {(char[]){"sh"}, (char[]){"-ec"}, xstrdup(line), NULL};
	char *const env[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
	struct proc_spec spec = {.path = "sh",
				 .argv = argv,
				 .envp = env,
				 .in = -1,
				 .out = -1,
				 .err = -1,
				 .cwd = t->path};
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int status;

	if (proc_run(&spec, 60000, &status, &out, &err) == -1 || status != 0)
		fail_msg("%s: %s%s", line, err.text, strbuf_str(&out));
	free(argv[2]);
}

static int unpack(const struct tmp *t, const char *deb, char **script, struct error *err)
{
	autoclose int deb_fd = openat(t->fd, deb, O_RDONLY | O_CLOEXEC), into_fd = -1;

	assert_true(deb_fd != -1);
	assert_int_equal(fs_remove_tree(t->fd, "into", err), 0);
	assert_int_equal(fs_ensure_dir(t->fd, "into", 0755, &into_fd, err), 0);
	return deb_unpack(deb_fd, into_fd, script, err);
}

#define TREE                                                                                       \
	"rm -rf tree; mkdir -p tree/DEBIAN tree/usr/bin tree/usr/lib; "                            \
	"printf 'Package: x1\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\n"            \
	"Description: a\\n' >tree/DEBIAN/control; echo one >tree/usr/bin/one; chmod 4755 "         \
	"tree/usr/bin/one; ln tree/usr/bin/one tree/usr/bin/two; ln -s one tree/usr/bin/three; "   \
	"ln -s ../bin/one tree/usr/lib/up; ln -s /etc/alternatives/x tree/usr/lib/abs; "           \
	"head -c 300000 /dev/urandom >tree/usr/lib/big; "

static void packages_of_each_compression_are_unpacked(void **state)
{
	static const char *const ways[] = {"xz", "gzip", "zstd", "none"};
	const struct tmp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		autofree char *line = xasprintf(
			TREE "dpkg-deb --root-owner-group -Z%s --build tree x.deb", ways[i]);
		autofree char *script = NULL;
		struct error err = ERROR_INIT;
		struct stat one, two;

		sh(t, line);
		if (unpack(t, "x.deb", &script, &err) == -1)
			fail_msg("%s: %s", ways[i], err.text);
		assert_null(script);
		assert_content(t->fd, "into/usr/bin/three", "one\n");
		assert_int_equal(fstatat(t->fd, "into/usr/bin/one", &one, 0), 0);
		assert_int_equal(fstatat(t->fd, "into/usr/bin/two", &two, 0), 0);
		assert_int_equal(one.st_ino, two.st_ino);
		assert_int_equal(one.st_mode & 07777, 0755); /* not setuid */
		assert_false(there(t->fd, "into/DEBIAN"));
		sh(t,
		   "cmp tree/usr/lib/big into/usr/lib/big; test \"$(readlink into/usr/lib/abs)\" = "
		   "/etc/alternatives/x");
	}
}

/* An archive that a program made as no dpkg-deb would: `python` is the body of a script that adds
 * entries to the tar archive `t`. */
static void hostile(const struct tmp *t, const char *python)
{
	autofree char *line = xasprintf(
		"printf '%%s\\n' 'import tarfile, io' 't = tarfile.open(\"data.tar.gz\", "
		"\"w:gz\")' "
		"'def add(name, type=tarfile.REGTYPE, link=\"\", mode=0o644, data=b\"bad\"):' "
		"'    i = tarfile.TarInfo(name); i.type = type; i.linkname = link; i.mode = mode' "
		"'    i.size = len(data) if type == tarfile.REGTYPE else 0' "
		"'    t.addfile(i, io.BytesIO(data) if i.size else None)' "
		"'%s' 't.close()' >make.py; python3 make.py; "
		"echo 2.0 >debian-binary; tar czf control.tar.gz -T /dev/null; rm -f x.deb; "
		"ar qc x.deb debian-binary control.tar.gz data.tar.gz",
		python);

	sh(t, line);
}

static void nothing_leaves_the_directory(void **state)
{
	static const char *const rows[] = {
		"add(\"../escaped\")",
		"add(\"/tmp/escaped\")",
		"add(\"usr/../../escaped\")",
		"add(\"dir\", tarfile.SYMTYPE, \"..\"); add(\"dir/escaped\")",
		"add(\"a/up\", tarfile.SYMTYPE, \"../..\"); add(\"a/up/escaped\")",
		"add(\"abs\", tarfile.SYMTYPE, \"/tmp\"); add(\"abs/escaped\")",
		"add(\"file\", tarfile.SYMTYPE, \"../escaped\"); add(\"file\")",
		"add(\"hard\", tarfile.LNKTYPE, \"../secret\")",
		"add(\"hard\", tarfile.LNKTYPE, \"/etc/passwd\")",
		"add(\"device\", tarfile.CHRTYPE)",
		"add(\"pipe\", tarfile.FIFOTYPE)",
		"add(\"twice\"); add(\"twice\")",
		"add(\"usr\"); add(\"usr/file\")",
	};
	const struct tmp *t = *state;

	put_file(t->fd, "secret", "secret");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *script = NULL;
		struct error err = ERROR_INIT;

		hostile(t, rows[i]);
		if (unpack(t, "x.deb", &script, &err) == 0)
			fail_msg("%s was unpacked", rows[i]);
		assert_false(there(t->fd, "escaped"));
		assert_int_equal(access("/tmp/escaped", F_OK), -1);
		assert_content(t->fd, "secret", "secret");
	}
}

/* Cut anywhere, or with any byte flipped: an error or a package, nothing outside. */
static void damaged_packages_are_refused(void **state)
{
	const struct tmp *t = *state;
	autostrbuf struct strbuf whole = STRBUF_INIT;
	struct error err = ERROR_INIT;
	unsigned seed = 1;

	sh(t, "mkdir -p tree/DEBIAN tree/usr/bin; printf 'Package: x1\\nVersion: 1\\nArchitecture: "
	      "all\\nMaintainer: a <a@b>\\nDescription: a\\n' >tree/DEBIAN/control; echo one "
	      ">tree/usr/bin/one; dpkg-deb --root-owner-group -Zgzip --build tree whole.deb");
	assert_int_equal(fs_read_file(t->fd, "whole.deb", 1 << 20, &whole, &err), 0);
	for (int round = 0; round < 300; round++) {
		autofree unsigned char *bytes = xmalloc(whole.len);
		autofree char *script = NULL;
		autoclose int fd = openat(t->fd, "x.deb", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		size_t len = round % 2 ? (size_t)rand_r(&seed) % whole.len : whole.len;

		memcpy(bytes, whole.buf, whole.len);
		if (round % 2 == 0)
			bytes[(size_t)rand_r(&seed) % whole.len] ^= 0x10;
		assert_int_equal(fs_write_all(fd, bytes, len, &err), 0);
		if (unpack(t, "x.deb", &script, &err) == 0)
			assert_int_equal(round % 2, 0); /* a flipped bit may be in a date */
	}
}

static void scripts_that_do_something_are_told(void **state)
{
	static const char *const rows[][2] = {
		{"#!/bin/sh\nset -e\n\n# Automatically added by dh_python3\nif which py3compile; "
		 "then\n\t"
		 "py3compile -p x\nfi\n# End automatically added section\nexit 0\n",
		 NULL},
		{"#!/bin/sh\nset -e\nldconfig\n", NULL},
		{"#!/bin/sh\nset -e\nadduser --system x\n", "adduser --system x"},
		{"# Automatically added by dh_installsystemd/1\ndeb-systemd-helper enable x\n",
		 "deb-systemd-helper enable x"},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *line = deb_script_matters(rows[i][0]);

		if (rows[i][1])
			assert_string_equal(line, rows[i][1]);
		else
			assert_null(line);
	}
}

/* The store */

static struct node node_in(struct tmp *t)
{
	return (struct node){.fd = t->fd, .dir = t->path};
}

static const char *value(const struct strv *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, strlen(name)) == 0 && env->v[i][strlen(name)] == '=')
			return env->v[i] + strlen(name) + 1;
	return "";
}

static void the_environment_leads_to_entries(void **state)
{
	struct tmp *t = *state;
	struct node node = node_in(t);
	autostrv struct strv env = STRV_INIT, entries = STRV_INIT;
	autofree char *path =
		xasprintf("/slot/bin:%s/packages/a1_1_all/usr/bin:/usr/local/bin:/bin", t->path);
	autofree char *library =
		xasprintf("%s/packages/b1_1%%3a2_amd64/usr/lib/x86_64-linux-gnu", t->path);
	autofree char *python = xasprintf(
		"/share/python:%s/packages/b1_1%%3a2_amd64/usr/lib/python3/dist-packages", t->path);
	struct error err = ERROR_INIT;

	sh(t, "mkdir -p packages/a1_1_all/usr/bin packages/a1_1_all/usr/share/doc "
	      "packages/b1_1%3a2_amd64/usr/lib/x86_64-linux-gnu "
	      "packages/b1_1%3a2_amd64/usr/lib/python3/dist-packages; "
	      "touch packages/b1_1%3a2_amd64/usr/lib/x86_64-linux-gnu/libb.so.1");
	strv_add(&env, "PATH=/slot/bin:/usr/local/bin:/bin");
	strv_add(&env, "PYTHONPATH=/share/python");
	strv_add(&entries, "a1_1_all");
	strv_add(&entries, "b1_1%3a2_amd64");
	assert_int_equal(store_compose(&node, &entries, &env, &err), 0);
	assert_string_equal(value(&env, "PATH"), path);
	assert_string_equal(value(&env, "LD_LIBRARY_PATH"), library);
	assert_string_equal(value(&env, "PYTHONPATH"), python);
	assert_non_null(strstr(value(&env, "XDG_DATA_DIRS"), ":/usr/local/share:/usr/share"));
	strv_add(&entries, "c1_1_all");
	assert_int_equal(store_compose(&node, &entries, &env, &err), -1);
}

static void what_no_release_names_is_pruned(void **state)
{
	struct tmp *t = *state;
	struct node node = node_in(t);
	struct error err = ERROR_INIT;

	sh(t,
	   "mkdir -p packages/used_1_all packages/old_1_all/usr packages/.half_1_all.new/usr run "
	   "packages/apt apps/blog/releases/1 apps/shop/releases/2 apps/.gone.new; "
	   "touch packages/lock; "
	   "printf '[release]\\n[packages]\\nstore = used_1_all\\n\\tother_1_all\\n' "
	   ">apps/shop/releases/2/record.ini; printf '[release]\\n' "
	   ">apps/blog/releases/1/record.ini");
	assert_int_equal(store_prune(&node, &err), 0);
	assert_true(
		there(t->fd, "packages/old_1_all")); /* nobody ever installed: no lock to take */
	sh(t, "touch run/packages.lock");
	assert_int_equal(store_prune(&node, &err), 0);
	assert_true(there(t->fd, "packages/used_1_all"));
	assert_false(there(t->fd, "packages/old_1_all"));
	assert_false(there(t->fd, "packages/.half_1_all.new"));
	assert_true(there(t->fd, "packages/apt"));
	sh(t, "mkdir packages/chosen_1_all");
	assert_int_equal(store_hold(&node, &err), 0); /* a push that has not recorded it yet */
	assert_int_equal(store_prune(&node, &err), 0);
	assert_true(there(t->fd, "packages/chosen_1_all"));
}

static void entries_have_names(void **state)
{
	autofree char *entry = store_entry_name("g++", "4:12.2.0-3~x", "amd64");

	(void)state;
	assert_string_equal(entry, "g++_4%3a12.2.0-3~x_amd64");
	assert_true(store_is_entry(entry));
	assert_false(store_is_entry("apt"));
	assert_false(store_is_entry("a1_1"));
	assert_false(store_is_entry("../x_1_all"));
	assert_false(store_is_entry("xx_1_all/.."));
	assert_false(store_is_entry(".xx_1_all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(packages_of_each_compression_are_unpacked),
		TMP_TEST(nothing_leaves_the_directory),
		TMP_TEST(damaged_packages_are_refused),
		cmocka_unit_test(scripts_that_do_something_are_told),
		TMP_TEST(the_environment_leads_to_entries),
		TMP_TEST(what_no_release_names_is_pruned),
		cmocka_unit_test(entries_have_names),
	};

	return cmocka_run_group_tests_name("deb", tests, NULL, NULL);
}
