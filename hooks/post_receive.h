/* post_receive.h - after git moved the refs: the staged release of the deploy ref's new commit goes
 * live.
 *
 * Complete by itself: where nothing is staged for that commit it runs the steps that are missing.
 */
#pragma once

/* The hook; its exit status, which git does not look at. */
int post_receive(void);
