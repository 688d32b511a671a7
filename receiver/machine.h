/* machine.h - Debian packages of the machine, for `silver-root packages`: apt, with values only.
 *
 * Names and the operator's rules are checked again here; nothing of a pushed tree is read. What is
 * said meanwhile goes to stdout, line by line (docs/CONTRACT.md, "Packages"). */
#pragma once
#include "common/node.h"

/* verb: "simulate" changes nothing but apt's lists; "install" has all of the names installed on
 * return 0. E_REFUSED: a rule, or apt's answer, told before with "refuse NAME ..."; E_BUSY:
 * somebody else is at it, who is named. */
MUST_CHECK int machine_packages(const struct node *node, const char *verb, const struct strv *names,
				struct error *err);
