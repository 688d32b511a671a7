/* banned.h - calls that this code base does without; force-included by the Makefile.
 *
 * Each has a replacement that bounds its output or avoids a shell. Poisoned after the
 * system headers that declare them, so that a use anywhere is a compile error. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

#ifdef __GNUC__
#undef sprintf /* macros where clang fortifies */
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison system popen mktemp tmpnam tempnam
#pragma GCC poison asctime ctime gmtime localtime
#endif
