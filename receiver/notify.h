/* notify.h - what silverd tells the systemd that started it, and gets from it: sd_notify(3) and
 * sd_listen_fds(3), which are a datagram and two variables. Started by anybody else, nothing here
 * does anything. */
#pragma once
#include "receiver/loop.h"

/* "READY=1", "STATUS=...": lines of sd_notify(3). Who does not hear it is no error. */
void notify_say(const char *lines);
/* A descriptor that a restart shall find again with notify_take(), instead of one of that name. */
void notify_keep(int fd, const char *name);
/* Says that the loop still turns, as often as the watchdog wants to hear it. */
void notify_watchdog(struct loop *loop);
/* The socket that came with us and listens on `address` ("0.0.0.0:2222"), the caller's; -1: none
 * does. All others are closed. Once only. */
int notify_take(const char *address);
