#include "tests/unit/unit.h"
#include "common/room.h"

static void sizes_are_told_with_two_digits_or_whole(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 kB"},
		{100, "0.1 kB"},
		{4096, "4.1 kB"},
		{812000000, "812 MB"},
		{999499, "999 kB"},
		{999500, "1.0 MB"},
		{1234567890, "1.2 GB"},
		{UINT64_MAX, "18447 PB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = room_text(cases[i].bytes);

		assert_string_equal(text, cases[i].text);
	}
}

static void what_may_be_taken_leaves_a_reserve(void **state)
{
	const struct tmp *tmp = *state;
	struct error err = ERROR_INIT;
	struct room room;

	assert_int_equal(room_read(tmp->fd, &room, &err), 0);
	assert_true(room.reserve_bytes >= 1000000 && room.reserve_bytes <= 64000000);
	if (room.free_bytes > room.reserve_bytes)
		assert_true(room.bytes == room.free_bytes - room.reserve_bytes);
	else
		assert_true(room.bytes == 0);
	assert_true(room.files > 0);
}

static void a_descriptor_that_is_none_is_an_error(void **state)
{
	struct error err = ERROR_INIT;
	struct room room;

	(void)state;
	assert_int_equal(room_read(-1, &room, &err), -1);
	assert_string_equal(err.text, "cannot see how much is free: Bad file descriptor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_told_with_two_digits_or_whole),
		TMP_TEST(what_may_be_taken_leaves_a_reserve),
		cmocka_unit_test(a_descriptor_that_is_none_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
