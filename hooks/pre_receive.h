/* pre_receive.h - before git moves a ref: check, stage and prove the release, or refuse the whole
 * push. */
#pragma once

/* The hook; its exit status. What is refused, and why, has been told on stderr. */
int pre_receive(void);
