# ngx-checkout: build, installation, tests, the local stack.
#
#   make                    builds everything into build/
#   make run                a whole shop on this machine and a sale in it, until Ctrl-C
#   make test               installs what is missing, builds, runs all tests
#   make test-full          the same with the large sizes, all of the model, and a longer campaign: SECONDS=1200 SEED=n
#   make up, make down      the same shop in the background, and its end
#   make bench              the benchmarks, as ratios
#   make campaign           a sale under random faults, then all laws: SECONDS=600 SEED=n FAULTS=all
#   make lint               looks at the sources: style, faults that tools find, syntax, the layers
#   make format             formats the C sources
#   make module NGINX_SRC=  the module for another nginx source tree
#   make install            DESTDIR, prefix, modulesdir, docdir
#   make deps               installs the Debian packages that are missing
#   make clean
#
# Settings: SANITIZE=1 builds with AddressSanitizer and UBSan, into build/sanitize.
#           WERROR=1 makes warnings errors, as in CI.  V=1 shows the commands.
#           RUN_DIR, HTTP_PORT, NGINX_WORKERS: see deploy/local/stack.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS   += --no-builtin-rules

ROOT  := $(CURDIR)
Q     := $(if $(V),,@)
SANITIZE ?=
WERROR   ?=
BUILD := $(if $(SANITIZE),build/sanitize,build)

prefix     ?= /usr/local
sbindir    ?= $(prefix)/sbin
bindir     ?= $(prefix)/bin
docdir     ?= $(prefix)/share/doc/ngx-checkout
modulesdir ?= /usr/lib/nginx/modules

NGINX_SRC ?= /usr/share/nginx/src
NGINX_BINARY ?= /usr/sbin/nginx

CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra $(if $(WERROR),-Werror)
SANFLAGS := $(if $(SANITIZE),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)

# A value that is asked for once, and only when it is needed: `make deps` must work before pkg-config is there.
once = $(eval $1 := $$(shell $2))$($1)
MYSQL_PC     = $(call once,MYSQL_PC,pkg-config --exists mysqlclient && echo mysqlclient || echo mariadb)
LIB_CFLAGS   = $(call once,LIB_CFLAGS,pkg-config --cflags hiredis libcjson inih libmicrohttpd libcurl libcrypto zlib $(MYSQL_PC))
WORKER_LIBS  = $(call once,WORKER_LIBS,pkg-config --libs hiredis libcjson inih libmicrohttpd libcurl libcrypto zlib $(MYSQL_PC))
CHECK_CFLAGS = $(call once,CHECK_CFLAGS,pkg-config --cflags check)
CHECK_LIBS   = $(call once,CHECK_LIBS,pkg-config --libs check)

C_FLAGS = -std=c11 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(SANFLAGS) -pthread \
          -Icommon -Iworker -It/unit -I$(BUILD)/gen $(LIB_CFLAGS) -MMD -MP
L_FLAGS = $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -pthread


# --- what there is ---------------------------------------------------------------------------------------------

MAINS      := worker/checkout_worker.c worker/checkoutctl.c
sources     = $(sort $(shell find $1 -name '*.c'))
COMMON_C   := $(call sources,common)
WORKER_C   := $(filter-out $(MAINS),$(call sources,worker))
UNIT_C     := $(call sources,t/unit)
# Files of the module without nginx: neither the file nor its header names one of nginx's. Unit tests link them.
PURE_C     := $(sort $(shell find ngx_module -name '*.c' | while read -r f; do \
                  [ -f "$${f%.c}.h" ] && ! grep -q '<ngx_' "$$f" "$${f%.c}.h" && echo "$$f"; done; true))
FUZZ_C     := $(sort $(wildcard t/fuzz/fuzz_*.c))
MODULE_SRC := config $(sort $(shell find ngx_module common -name '*.[ch]'))
GENERATED  := $(BUILD)/gen/checkout_scripts.h $(if $(wildcard sql/embed),$(BUILD)/gen/checkout_migrations.h)

object      = $(patsubst %.c,$(BUILD)/obj/%.o,$1)
PROGRAMS   := $(if $(wildcard worker/checkout_worker.c),$(BUILD)/checkout-worker) \
              $(if $(wildcard worker/checkoutctl.c),$(BUILD)/checkoutctl)
MODULE     := $(BUILD)/ngx_http_checkout_module.so
UNIT_TESTS := $(patsubst t/unit/%.c,$(BUILD)/t/unit/%,$(UNIT_C))
FUZZERS    := $(patsubst t/fuzz/%.c,$(BUILD)/t/fuzz/%,$(FUZZ_C))
LIBRARIES  := $(BUILD)/libcheckout-worker.a $(BUILD)/libcheckout-common.a
PURE       := $(BUILD)/libcheckout-module-pure.a

.PHONY: all programs module unit fuzzers
all: programs $(if $(wildcard config),module)
programs: $(PROGRAMS)
module: $(MODULE) $(if $(SANITIZE),$(BUILD)/nginx)
unit: $(UNIT_TESTS)
	@:
fuzzers: $(FUZZERS)
	@:


# --- generated headers -----------------------------------------------------------------------------------------

$(BUILD)/gen/checkout_scripts.h: common/lua/embed $(wildcard common/lua/*.lua)
	@echo "  GEN     $@"
	$(Q)mkdir -p $(@D)
	$(Q)common/lua/embed > $@.new && mv $@.new $@

$(BUILD)/gen/checkout_migrations.h: $(wildcard sql/embed) $(wildcard sql/*.sql)
	@echo "  GEN     $@"
	$(Q)mkdir -p $(@D)
	$(Q)sql/embed > $@.new && mv $@.new $@


# --- checkout-worker, checkoutctl, unit tests ------------------------------------------------------------------

# Changed settings rebuild what they change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) $(LDFLAGS)' > $@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(GENERATED)
	@echo "  CC      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(if $(filter ngx_module/% t/unit/ngx_module/%,$<),-Ingx_module) $(C_FLAGS) \
	    $(if $(filter t/unit/%,$<),$(CHECK_CFLAGS)) -c -o $@ $<

# An archive is made anew, so that it does not keep what is gone.
$(BUILD)/libcheckout-common.a: $(call object,$(COMMON_C))
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/libcheckout-worker.a: $(call object,$(WORKER_C))
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(PURE): $(call object,$(PURE_C))
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/checkout-worker: $(call object,worker/checkout_worker.c) $(LIBRARIES)
	@echo "  LINK    $@"
	$(Q)$(CC) $(L_FLAGS) -o $@ $^ $(WORKER_LIBS) -lm

$(BUILD)/checkoutctl: $(call object,worker/checkoutctl.c) $(LIBRARIES)
	@echo "  LINK    $@"
	$(Q)$(CC) $(L_FLAGS) -o $@ $^ $(WORKER_LIBS) -lm

$(BUILD)/t/unit/%: $(BUILD)/obj/t/unit/%.o $(PURE) $(LIBRARIES)
	@echo "  LINK    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(L_FLAGS) -o $@ $^ $(CHECK_LIBS) $(WORKER_LIBS) -lm

# References of bench/worker.
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(LIBRARIES)
	@echo "  LINK    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(L_FLAGS) -o $@ $^ $(WORKER_LIBS) -lm

# libFuzzer wants the code under test compiled by clang with its marks.
FUZZ_CC = clang -g -O1 -std=c11 -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -Icommon -I$(BUILD)/gen \
          $(LIB_CFLAGS)

$(BUILD)/obj/fuzz/%.o: %.c $(sort $(shell find common -name '*.h')) $(GENERATED)
	@echo "  FUZZ    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/t/fuzz/%: $(BUILD)/obj/fuzz/t/fuzz/%.o $(patsubst %.c,$(BUILD)/obj/fuzz/%.o,$(COMMON_C))
	@echo "  FUZZ    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer -o $@ $^ $(WORKER_LIBS)

# The worker with its fail points compiled in (common/failpoint.h): for tests, never installed.
.PHONY: failpoints
failpoints:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/failpoints CPPFLAGS='$(CPPFLAGS) -DCHECKOUT_FAILPOINTS' \
	    $(BUILD)/failpoints/checkout-worker $(BUILD)/failpoints/checkoutctl

.SECONDARY: $(call object,$(UNIT_C) $(wildcard bench/*.c)) $(patsubst %.c,$(BUILD)/obj/fuzz/%.o,$(COMMON_C) $(FUZZ_C))
-include $(patsubst %.o,%.d,$(call object,$(COMMON_C) $(WORKER_C) $(PURE_C) $(MAINS) $(UNIT_C)))


# --- the nginx module ------------------------------------------------------------------------------------------
# nginx's own build does the work (with -Wall -Wextra -Werror), in a copy of its source tree. Debian's nginx-dev says in conf_flags
# how its nginx was configured; for another tree NGINX_CONFIGURE does.

NGINX_TREE      := $(BUILD)/nginx-src
NGINX_CONFIGURE ?= --with-compat --with-threads --with-http_ssl_module --with-http_v2_module
MODULE_CC_OPT   := $(CPPFLAGS) $(CFLAGS) -fPIC $(SANFLAGS)
MODULE_LD_OPT   := $(SANFLAGS) $(LDFLAGS) -fPIC
export CHECKOUT_BUILD := $(ROOT)/$(BUILD)

# What the configuration depends on: the tree, its version, options, build description, list of sources.
$(BUILD)/nginx-configured: FORCE | $(GENERATED)
	$(Q)deploy/local/configure-module $@ "$(NGINX_SRC)" "$(NGINX_TREE)" \
	    "$(MODULE_CC_OPT)" "$(MODULE_LD_OPT)" "$(NGINX_CONFIGURE)"

$(MODULE): $(BUILD)/nginx-configured $(MODULE_SRC) $(GENERATED)
	@echo "  MODULE  $@"
	$(Q)rm -rf $(NGINX_TREE)/objs/addon/*/*.o
	$(Q)$(MAKE) --no-print-directory -s -C $(NGINX_TREE) -f objs/Makefile modules
	$(Q)cp $(NGINX_TREE)/objs/ngx_http_checkout_module.so $@.new && mv $@.new $@


# nginx as tests and the local stack start it: a module with sanitizers wants their runtime before anything else.
# nginx itself frees little at its end, so leaks are not looked for there.
$(BUILD)/nginx: Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec env LD_PRELOAD=%s ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 %s "$$@"\n' \
	    "$$($(CC) -print-file-name=libasan.so)" '$(NGINX_BINARY)' > $@
	@chmod +x $@


# --- tests, the local stack ------------------------------------------------------------------------------------
# Each of these installs what is missing first; the build then runs in a make of its own, which sees what is new.
# $CHECKOUT_BUILD, exported above, tells scripts and tests which build to use.

export TEST_NGINX_BINARY := $(if $(SANITIZE),$(ROOT)/$(BUILD)/nginx,$(NGINX_BINARY))
# Unless the caller says how many jobs, as many as there are cores.
PARALLEL := $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
STACK := NGINX_BINARY=$(TEST_NGINX_BINARY) deploy/local/stack

.PHONY: deps test test-full check-unit lint format lint-flags run up down campaign bench clean install FORCE
deps:
	$(Q)deploy/local/install

built: deps
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) all
.PHONY: built

check-unit: unit
	$(Q)t/lib/run unit $(UNIT_TESTS)

test: built
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) unit fuzzers failpoints
	$(Q)NGINX_BINARY=$(TEST_NGINX_BINARY) t/lib/run all $(UNIT_TESTS) -- $(FUZZERS)

# What is large: sizes of 10^6, the model within all its bounds, a campaign of SECONDS. Half an hour is not enough for it.
test-full:
	$(Q)CHECKOUT_FULL=1 SUITE_SECONDS=$(or $(SUITE_SECONDS),7200) $(MAKE) --no-print-directory test
	$(Q)$(MAKE) --no-print-directory campaign SECONDS=$(or $(SECONDS),1200)

lint:
	$(Q)deploy/local/install build test lint
	$(Q).ci/lint

format:
	$(Q)deploy/local/install lint
	$(Q).ci/format

# What clang-tidy has to know, for .ci/lint.
lint-flags:
	@echo '-std=c11 -D_GNU_SOURCE -Wall -Wextra -pthread -Icommon -Iworker -I$(BUILD)/gen $(LIB_CFLAGS)'

run: built
	$(Q)$(STACK) run

up: built
	$(Q)$(STACK) up

down:
	$(Q)$(STACK) down

campaign: built
	$(Q)NGINX_BINARY=$(TEST_NGINX_BINARY) t/lib/campaign --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) \
	    $(if $(FAULTS),--with $(FAULTS)) $(CAMPAIGN)

bench:
	$(Q)deploy/local/install build run bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)NGINX_BINARY=$(TEST_NGINX_BINARY) bench/run

install: all
	install -d $(DESTDIR)$(sbindir) $(DESTDIR)$(bindir) $(DESTDIR)$(modulesdir) $(DESTDIR)$(docdir)/docs
	install -m 755 $(BUILD)/checkout-worker $(DESTDIR)$(sbindir)/
	install -m 755 $(BUILD)/checkoutctl $(DESTDIR)$(bindir)/
	install -m 644 $(MODULE) $(DESTDIR)$(modulesdir)/
	install -m 644 deploy/checkout-worker.conf.example nginx.conf.example openapi.yaml README.md LICENSE $(DESTDIR)$(docdir)/
	install -m 644 docs/*.md $(DESTDIR)$(docdir)/docs/

clean:
	rm -rf build

FORCE:
