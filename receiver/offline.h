/* offline.h - libgit2 without the network libraries that it is built with.
 *
 * Loading TLS, SSH and Kerberos is two thirds of the start of a program that uses libgit2, and no
 * program of ours calls any of it: a library that does nothing (scripts/make-offline) can stand in
 * for them. It fits the libgit2 that Silver was built with. So it is tried first, and used only
 * while the machine's libgit2 is the very file that it was tried with: an update is loaded with all
 * it needs, until the next start. */
#pragma once

struct offline;

/* Starts libgit2 once, some 4 ms. For the life of the process; NULL: it does not fit. */
struct offline *offline_try(void);
/* What LD_LIBRARY_PATH is to be for a program that uses libgit2; NULL: nothing. */
const char *offline_dir(const struct offline *o);
