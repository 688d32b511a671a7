/* proc_receive.h - what a push to a branch means, once its objects are there to stay: git moves the
 * branch, or, for `-o stage`, the release is set aside and no branch moves.
 *
 * git asks it about every push to refs/heads (receive.procReceiveRefs), and tells the client its
 * answer: `master -> refs/staged/13`. The protocol is githooks(5)'s. */
#pragma once

/* The hook; its exit status. */
int proc_receive(void);
