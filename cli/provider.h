/* provider.h - where machines come from: a program with four verbs (docs/PROVIDERS.md), and what we
 * remember of the machines it made.
 *
 * Notes are one file for each machine, nodes/NAME below the directory of settings: who provides it
 * is written before it is asked for, so that one that was made half can be destroyed. Which
 * machines there are is the provider's to say. */
#pragma once
#include "cli/args.h"

struct machine_note {
	char *provider;
	char *login;      /* USER@HOST[:PORT] of its own sshd; NULL: not known yet */
	char *ssh, *http; /* where the node on it had best listen; NULL: the usual */
};
#define autonote __attribute__((cleanup(note_release)))
void note_release(struct machine_note *note);
/* E_NOTFOUND: none of that name. */
MUST_CHECK int note_read(const char *name, struct machine_note *out, struct error *err);
/* On disk. */
MUST_CHECK int note_write(const char *name, const struct machine_note *note, struct error *err);
MUST_CHECK int note_remove(const char *name, struct error *err);
/* Names, sorted. */
MUST_CHECK int note_list(struct strv *names, struct error *err);

/* A machine as its provider tells of it. */
enum told { TOLD_NAME, TOLD_HOST, TOLD_PORT, TOLD_USER, TOLD_STATE, TOLD_SSH, TOLD_HTTP, TOLD_N };
struct provided {
	char *of[TOLD_N]; /* NULL: not told; name and state always are */
};
struct provided_list {
	struct provided *v;
	size_t n;
};
#define autoprovided __attribute__((cleanup(provided_release)))
void provided_release(struct provided_list *l);

MUST_CHECK int provider_check(const char *provider, struct error *err); /* E_NOTFOUND: none */
/* Runs `provider` with a verb and a name (NULL: none); its words for people go to our stderr.
 * `settings` ("SILVER_NAME=VALUE") are in its environment. *out is the caller's, also where it is
 * left empty. What it prints is checked: every value is safe in a command line and in a terminal.
 * E_NOTFOUND: no such provider; else its exit status. */
MUST_CHECK int provider_run(const char *provider, const char *verb, const char *name,
			    const struct strv *settings, struct provided_list *out,
			    struct error *err);
