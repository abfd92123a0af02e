# A thin front to Meson: `make demo` on a fresh system, `make test` before a change.
# BUILD is the build directory, PREFIX where install puts things (Meson's default: /usr/local).
BUILD ?= build
PREFIX ?=
DESTDIR ?=

.PHONY: all build demo test bench install clean help
.NOTPARALLEL:

all: build

help:
	@echo "make demo      install what is missing, build, and hear and see takt at work"
	@echo "make           build into $(BUILD)/"
	@echo "make test      install what is missing, build, and run every test"
	@echo "make bench     run the benches; JSON lines on stdout"
	@echo "make install   install, under PREFIX and DESTDIR"
	@echo "make clean     remove what was built"

demo:
	@tools/setup --demo
	@$(MAKE) --no-print-directory build
	@$(BUILD)/takt demo

# Debian's place for libraries, which Meson knows only where dpkg-dev is installed, and which is the
# only one that the loader and pkg-config look into; empty on systems without such a place.
LIBDIR = $(addprefix --libdir=lib/,$(shell cc -print-multiarch 2>/dev/null))

# What was installed since the last look may be what an optional part was missing, so a change of
# dpkg's records leads to a new look.
$(BUILD)/build.ninja: $(wildcard /var/lib/dpkg/status)
	@echo "configuring $(BUILD)"
	@if [ -f $@ ]; then set -- --reconfigure; \
	else set -- $(LIBDIR) $(if $(PREFIX),--prefix=$(PREFIX)); fi; \
	said=$$(meson setup "$$@" $(BUILD)) || { printf '%s\n' "$$said"; exit 1; }

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

# Ends with the line `N passed, N failed`, counting each test inside the test programs.
test:
	@tools/setup
	@$(MAKE) --no-print-directory build
	@tools/test $(BUILD)

bench:
	@tools/setup >&2
	@$(MAKE) --no-print-directory build >&2
	@tools/bench $(BUILD)

# Without DESTDIR, the loader is told of the new library.
install: build
	@$(if $(PREFIX),meson configure $(BUILD) --prefix=$(PREFIX))
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir=$(DESTDIR),&& { ldconfig || true; } 2>/dev/null)

clean:
	@rm -rf $(BUILD) build-ci
