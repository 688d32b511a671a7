/* loop.h - what silverd waits for: descriptors, children, deadlines; one thread, nothing blocks.
 *
 * A callback may start and end anything, its own watch included: what was ended is not called
 * again, and its memory is kept until the turn is over. Out of descriptors to watch with aborts, as
 * out of memory does. */
#pragma once
#include <sys/epoll.h>
#include <sys/types.h>
#include "common/mem.h"

struct loop;
struct loop *loop_new(void); /* one a process, for its whole life */
/* Until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* The fd stays the caller's and must be open until loop_unwatch(). events: EPOLLIN, EPOLLOUT. */
struct watch;
typedef void (*watch_fn)(void *ctx);
struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, watch_fn fn, void *ctx);
void loop_unwatch(struct watch **watch); /* sets NULL; nothing at NULL */

/* Once, after delay_ms. *slot is set, and NULL again before fn is called; a timer that is in it is
 * cancelled first. */
struct timer;
typedef void (*timer_fn)(void *ctx);
void loop_timer(struct loop *loop, struct timer **slot, int64_t delay_ms, timer_fn fn, void *ctx);
void loop_cancel(struct timer **slot); /* nothing at NULL */

/* Reaps pid and calls fn with its status (128 + signal if killed); *slot is NULL again before. With
 * `whole_group` the rest of its process group is killed first, while the zombie still guards the
 * number. */
typedef void (*child_fn)(void *ctx, int status);
struct child;
void loop_child(struct loop *loop, struct child **slot, pid_t pid, bool whole_group, child_fn fn,
		void *ctx);
/* A signal, to its group if it leads one. */
void child_signal(const struct child *child, int signal_number);
/* It is reaped all the same; fn is not called. Nothing at NULL. */
void child_forget(struct child **slot);
