# Silver. `make` builds into build/, `make check` runs every test, `make lint` every checker.
#
# SAN=address,undefined builds and tests under the sanitizers, in a build directory of its own.

ifeq ($(origin CC),default)
CC = gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
SBINDIR    = $(PREFIX)/sbin
BINDIR     = $(PREFIX)/bin
LIBEXECDIR = $(PREFIX)/lib/silver
SHAREDIR   = $(PREFIX)/share/silver
MANDIR     = $(PREFIX)/share/man
UNITDIR    = $(PREFIX)/lib/systemd/system
VERSION   := 0.1.0

# A line per file; V=1 shows the commands.
Q = $(if $(V),,@echo '  $(1)' &&)

IS_CLANG := $(findstring clang,$(shell $(CC) --version))
B ?= build$(if $(IS_CLANG),-clang)$(if $(SAN),-san)

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wwrite-strings -Wpointer-arith \
	-Wcast-qual -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Werror
HARD = -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE -fno-common \
	-fno-strict-aliasing -fno-delete-null-pointer-checks
ifeq ($(IS_CLANG),)
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wcast-align=strict
HARD += -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
else
WARN += -Wcomma -Wunreachable-code -Wconditional-uninitialized
endif
ifeq ($(SAN),)
OPT = -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
else
OPT = -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all -DSILVER_SANITIZE=1
endif

CFLAGS_ALL  = -std=gnu11 -D_GNU_SOURCE -I. $(PQ_CFLAGS) -include common/banned.h $(OPT) $(WARN) $(HARD) \
	-ffile-prefix-map=$(CURDIR)=. -DSILVER_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

PKGS := libgit2 libdeflate libssh inih jansson libarchive libseccomp libpq libmariadb hiredis sqlite3 libcrypto
ifneq ($(MAKECMDGOALS),clean)
MISSING := $(shell for p in $(PKGS) cmocka; do pkg-config --exists $$p || echo $$p; done)
ifneq ($(MISSING),)
$(error missing libraries: $(MISSING); `scripts/install-deps build` installs them)
endif
endif
pc = $(shell pkg-config --libs $(1))
# libraries whose headers are in directories of their own
PQ_CFLAGS := $(patsubst -I%,-isystem%,$(filter-out %/hiredis,$(filter -I%,$(shell pkg-config --cflags libpq libmariadb))))

# One archive per folder; a program links the archives it may include, and the libraries at home there.
FOLDERS  = common runtime services buildless hooks receiver cli
MAINS    = $(foreach p,$(PROGRAMS),$($(p)_MAIN))
sources  = $(filter-out $(MAINS),$(wildcard $(1)/*.c))
archive  = $(B)/lib$(1).a
LIB_COMMON    = $(call archive,common) $(call pc,inih jansson)
LIB_RUNTIME   = $(call archive,runtime) $(LIB_COMMON)
LIB_SERVICES  = $(call archive,services) $(LIB_COMMON)
LIB_BUILDLESS = $(call archive,buildless) $(call archive,runtime) $(LIB_SERVICES) $(call pc,libgit2 libdeflate)
LIB_HOOKS     = $(call archive,hooks) $(LIB_BUILDLESS)
LIB_RECEIVER  = $(call archive,receiver) $(call archive,runtime) $(LIB_SERVICES)
PC_SERVICES   = $(call pc,libpq libmariadb hiredis sqlite3 libarchive)

PROGRAMS = silverd silver-session silver-root silver-git silver-hook silver-activate silver-deploy silver-exec silver-service silver-packages silver-tls silver-shell silver
BINARIES = $(PROGRAMS:%=$(B)/%)
HOOKS    = $(B)/hooks/pre-receive $(B)/hooks/proc-receive $(B)/hooks/post-receive

all: $(BINARIES) $(HOOKS) $(B)/git/git $(B)/offline/offline.so $(B)/app.ini.5

# program: main file: libraries
silverd_MAIN        = receiver/silverd.c
silverd_LIBS        = $(LIB_RECEIVER)
silver-session_MAIN = receiver/session.c
silver-session_LIBS = $(LIB_RECEIVER) $(call pc,libssh libseccomp)
silver-root_MAIN    = receiver/root.c
silver-root_LIBS    = $(LIB_RECEIVER)
silver-git_MAIN     = hooks/exec_git.c
silver-git_LIBS     =
silver-hook_MAIN    = hooks/hook.c
silver-hook_LIBS    = $(LIB_HOOKS)
silver-activate_MAIN = hooks/activate.c
silver-activate_LIBS = $(filter-out $(call pc,libgit2 libdeflate),$(LIB_HOOKS))
silver-deploy_MAIN  = buildless/deploy.c
silver-deploy_LIBS  = $(LIB_BUILDLESS)
silver-packages_MAIN = buildless/packages_main.c
silver-packages_LIBS = $(filter-out $(call pc,libgit2 libdeflate),$(LIB_BUILDLESS)) $(call pc,libarchive)
silver-exec_MAIN    = runtime/exec.c
silver-exec_LIBS    = $(LIB_RUNTIME)
silver-service_MAIN = services/service.c
silver-service_LIBS = $(LIB_SERVICES) $(PC_SERVICES)
silver-shell_MAIN   = cli/shell.c
silver-shell_LIBS   = $(call archive,cli) $(LIB_RECEIVER)
silver-tls_MAIN     = receiver/tls.c
silver-tls_LIBS     = $(LIB_RECEIVER) $(call pc,libcrypto)
silver_MAIN         = cli/silver.c
silver_LIBS         = $(call archive,cli) $(call archive,buildless) $(LIB_RECEIVER)

ARCHIVES = $(foreach f,$(FOLDERS),$(call archive,$(f)))
define program_rule
$(B)/$(1): $($(1)_MAIN) $(filter %.a,$($(1)_LIBS))
	@mkdir -p $$(@D)
	$$(call Q,LINK  $(1))$(CC) $(CFLAGS_ALL) -MMD -MP -MF $$@.d -o $$@ $$< $(LDFLAGS_ALL) $($(1)_LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

define folder_rule
$(call archive,$(1)): $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))
	@rm -f $$@
	$$(call Q,AR    $$(@F))ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

# macros of this header name what common/banned.h poisons
FIRST_services/mysql = -include mysql.h
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC    $<)$(CC) $(FIRST_$*) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# it holds the template of nginx's configuration
$(B)/runtime/front_text.o: runtime/nginx.conf

# what runs behind the decision never needs libgit2, but for a push that nothing was staged for
HOOK_proc-receive = silver-activate
HOOK_post-receive = silver-activate
$(B)/git/git: $(B)/silver-git
	@mkdir -p $(@D)
	@ln -sf ../silver-git $@

# what stands in for the network libraries of the libgit2 that is built with
LIBGIT2_SO := $(realpath $(shell pkg-config --variable=libdir libgit2)/libgit2.so)
$(B)/offline/offline.so: scripts/make-offline $(LIBGIT2_SO)
	$(call Q,LIB   $(@F))$< '$(CC)' $(LIBGIT2_SO) $(@D)

$(HOOKS): $(B)/silver-hook $(B)/silver-activate
	@mkdir -p $(@D)
	@ln -sf ../$(or $(HOOK_$(@F)),silver-hook) $@

# The list of keys in app.ini(5) comes from the table that drives the parser.
$(B)/app.ini.5: docs/man/app.ini.5 docs/man/keys.awk $(B)/silver
	$(call Q,MAN   $<)$(B)/silver help app.ini | awk -f docs/man/keys.awk - $< >$@.new && mv $@.new $@

# Unit tests: one program per module, linked with everything below it. test_fs and test_maintain let calls of fs.c fail.
WRAP_test_fs = -Wl,--wrap=fsync,--wrap=renameat
WRAP_test_maintain = -Wl,--wrap=fsync
UNIT_SOURCES  = $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS = $(UNIT_SOURCES:%.c=$(B)/%)
$(B)/tests/unit/%: tests/unit/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call Q,TEST  $<)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(LDFLAGS_ALL) $(WRAP_$*) \
		$(call archive,cli) $(call archive,hooks) $(call archive,receiver) $(LIB_BUILDLESS) \
		$(call pc,libarchive libssh libseccomp cmocka) $(PC_SERVICES)

unit: all $(UNIT_PROGRAMS)
	@B=$(B) scripts/run-unit $(UNIT_PROGRAMS)

e2e: all
	@B=$(B) SAN='$(SAN)' CC='$(CC)' scripts/run-e2e

check: unit e2e
lint:
	scripts/lint
# QUICK=1: small trees, two minutes. ROWS="push first": some rows
bench: all
	@B=$(B) QUICK='$(QUICK)' ROWS='$(ROWS)' tests/bench/run

# Every call that changes the disk, killed and cut there (docs/DURABILITY.md); SHARD=1/8 for a part.
sweep: all
	B=$(B) CC='$(CC)' tests/sweep/run

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR)/hooks $(DESTDIR)$(LIBEXECDIR)/git \
		$(DESTDIR)$(SHAREDIR)/python/silversupport $(DESTDIR)$(SHAREDIR)/php $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	install -m 755 $(B)/silverd $(DESTDIR)$(SBINDIR)/
	install -m 755 $(B)/silver $(DESTDIR)$(BINDIR)/
	install -m 755 $(addprefix $(B)/,silver-session silver-root silver-git silver-hook silver-activate \
		silver-deploy silver-exec silver-service silver-packages silver-tls silver-shell) \
		$(DESTDIR)$(LIBEXECDIR)/
	install -d $(DESTDIR)$(LIBEXECDIR)/offline
	install -m 644 $(B)/offline/offline.so $(DESTDIR)$(LIBEXECDIR)/offline/
	cp -Pf $(B)/offline/lib* $(DESTDIR)$(LIBEXECDIR)/offline/
	ln -sf ../silver-git $(DESTDIR)$(LIBEXECDIR)/git/git
	ln -sf ../silver-hook $(DESTDIR)$(LIBEXECDIR)/hooks/pre-receive
	ln -sf ../silver-activate $(DESTDIR)$(LIBEXECDIR)/hooks/proc-receive
	ln -sf ../silver-activate $(DESTDIR)$(LIBEXECDIR)/hooks/post-receive
	install -m 644 runtime/python/*.py $(DESTDIR)$(SHAREDIR)/python/
	install -m 644 runtime/python/silversupport/*.py $(DESTDIR)$(SHAREDIR)/python/silversupport/
	install -m 644 runtime/php/*.php runtime/php/*.ini $(DESTDIR)$(SHAREDIR)/php/
	for page in docs/man/*.[158]; do install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/ || exit 1; done
	install -m 644 $(B)/app.ini.5 $(DESTDIR)$(MANDIR)/man5/
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SHAREDIR)/node
	install -m 644 cli/node/setup-node $(DESTDIR)$(SHAREDIR)/node/
	install -d $(DESTDIR)$(SHAREDIR)/providers
	install -m 755 $(filter-out %.sh,$(wildcard cli/providers/*)) $(DESTDIR)$(SHAREDIR)/providers/
	install -m 644 cli/providers/cloud.sh $(DESTDIR)$(SHAREDIR)/providers/
	for unit in packaging/*.service; do sed -e 's|@SBINDIR@|$(SBINDIR)|' -e 's|@LIBEXECDIR@|$(LIBEXECDIR)|' $$unit \
		>$(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; done

# A Debian package, for the release of Debian that it is built on: $(B)/silver_VERSION_ARCH.deb. DEB_VERSION=... names it.
deb: all
	@CC='$(CC)' scripts/make-deb $(B) $(VERSION)

# make print-CFLAGS_ALL: for scripts/lint
print-%:
	@:$(info $($*))

clean:
	rm -rf build build-*

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all unit e2e check lint bench sweep install deb clean
.DELETE_ON_ERROR:
