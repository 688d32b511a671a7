/* settings.h - where the developer's settings are: silver.ini, providers/, nodes/. */
#pragma once

/* ~/.config/silver, or below $XDG_CONFIG_HOME. The caller frees. */
char *settings_dir(void);
