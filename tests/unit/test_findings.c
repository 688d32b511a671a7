/* findings: what is wrong, where, which rule, what repairs it; and how bad it is. */
#include "tests/unit/unit.h"
#include "common/findings.h"

static const struct finding_rule broken = {FINDING_DAMAGE, "it is whole", "silver redeploy APP"};
static const struct finding_rule left = {FINDING_PENDING, "it goes", "the next recovery"};

static void a_finding_is_three_lines(void **state)
{
	struct findings f;

	(void)state;
	findings_init(&f, "blog", false);
	findings_add(&f, &broken, "\033x", "it is %s", "cut");
	assert_string_equal(strbuf_str(&f.out), "damage   apps/blog/\\x1bx: it is cut\n"
						"         rule: it is whole\n"
						"         repair: silver redeploy blog\n");
	findings_release(&f);
}

static void as_json_they_are_the_elements_of_an_array(void **state)
{
	struct findings f;

	(void)state;
	findings_init(&f, NULL, true);
	findings_add(&f, &left, "a", "b");
	findings_add(&f, &left, "c", "\"d\"");
	assert_string_equal(strbuf_str(&f.out),
			    "{\"class\":\"pending\",\"path\":\"a\",\"what\":\"b\",\"rule\":\"it "
			    "goes\",\"repair\":\"the next recovery\"},"
			    "{\"class\":\"pending\",\"path\":\"c\",\"what\":\"\\\"d\\\"\",\"rule\":"
			    "\"it goes\",\"repair\":\"the next recovery\"}");
	findings_release(&f);
}

static void damage_is_worse_than_what_is_pending(void **state)
{
	struct error err = ERROR_INIT;
	struct findings f;

	(void)state;
	findings_init(&f, NULL, false);
	assert_int_equal(findings_result(&f, &err), 0);
	findings_add(&f, &left, "a", "b");
	assert_int_equal(findings_result(&f, &err), -1);
	assert_int_equal(err.code, E_BUSY);
	findings_add(&f, &broken, "a", "b");
	assert_int_equal(findings_result(&f, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_string_equal(err.text, "1 damaged, 1 pending");
	findings_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_is_three_lines),
		cmocka_unit_test(as_json_they_are_the_elements_of_an_array),
		cmocka_unit_test(damage_is_worse_than_what_is_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
