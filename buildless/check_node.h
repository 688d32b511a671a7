/* check_node.h - what app.ini asks of the node itself: its limits, and the clock. */
#pragma once
#include "buildless/appini.h"
#include "common/node.h"

/* Findings as those of check_appini(). `ini` was read without errors. */
void check_node(const struct node *node, const struct appini *ini, struct strv *errors,
		struct strv *warnings);
