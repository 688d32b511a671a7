/* log.h - silverd's own log: one line an event on stderr, "2026-01-31T12:00:00Z session 17: text".
 */
#pragma once
#include "common/error.h"
void log_line(const char *fmt, ...) PRINTF_LIKE(1, 2);
