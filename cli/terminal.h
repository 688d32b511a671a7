/* terminal.h - our terminal, lent to a program on the other side of a pseudo terminal. */
#pragma once
#include "common/mem.h"

/* Copies both ways until `control_fd` is readable and the program's output is read to its end, or
 * the terminal is closed. The terminal is raw meanwhile, and follows changes of size. */
MUST_CHECK int terminal_pump(int master_fd, int control_fd, struct error *err);
/* Columns and rows of ours, 80 x 24 where it does not say. */
void terminal_size(unsigned *cols, unsigned *rows);
