/* ask.h - what the owner's programs ask of the monitor over the channel they inherit.
 *
 * The app is implied by the channel (docs/CONTRACT.md, "Channel"). Each call waits for its answer;
 * an error keeps the code and text that the other side gave. Without a channel (SILVER_MONITOR_FD
 * unset): E_SYSTEM. */
#pragma once
#include "common/mem.h"

MUST_CHECK int ask_start(unsigned release,
			 struct error *err); /* supervised on return, healthy or not */
MUST_CHECK int ask_only(unsigned release,
			struct error *err); /* all others drained and gone on return */
/* The workers and clocks of the live release are those of `words` (s6name.h), and all others are
 * gone, when ask_workers_answer() returns; nothing else is asked in between. Who asked may end
 * meanwhile: it is done all the same. */
MUST_CHECK int ask_workers(unsigned release, const struct strv *words, struct error *err);
MUST_CHECK int ask_workers_answer(struct error *err);
MUST_CHECK int ask_stop(unsigned release, struct error *err); /* ended and gone on return */
/* Starts a command in a release; its output goes to output_fd, which stays the caller's. */
MUST_CHECK int ask_task(unsigned release, const struct strv *words, int output_fd,
			struct error *err);
/* The channel, to wait for the command's end on; then ask_task_answer() says how it ended:
 * E_REFUSED with the words for it. */
MUST_CHECK int ask_channel(int *fd, struct error *err);
MUST_CHECK int ask_task_answer(struct error *err);
/* verb: "simulate" or "install"; what is said meanwhile goes to output_fd, which stays the
 * caller's. Then, as for a task, ask_packages_answer(). */
MUST_CHECK int ask_packages(const char *verb, const struct strv *names, int output_fd,
			    struct error *err);
MUST_CHECK int ask_packages_answer(struct error *err);
MUST_CHECK int ask_locate(const char *host, struct error *err); /* E_REFUSED: another app has it */
/* The app has the service on return, and its record is on disk. E_REFUSED: the node cannot give it,
 * or the value is wrong. May take minutes when a server is made. */
MUST_CHECK int ask_provision(const char *service, const char *value, struct error *err);
/* Another password for a service; the one that runs use is good until ask_retire(). */
MUST_CHECK int ask_rotate(const char *service, struct error *err);
MUST_CHECK int ask_retire(const char *service, struct error *err);
/* The app is stopped and its data are kept, to be put back unless `release` goes live. */
MUST_CHECK int ask_checkpoint(unsigned release, struct error *err);
/* "put": the data are what they were before what the mark (services/undo.h) is about; "keep": they
 * stay; "end": the mark goes. */
MUST_CHECK int ask_undo(const char *how, struct error *err);
