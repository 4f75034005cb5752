# Every target sets up what it needs in .venv; `make help` lists them.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

IMAGE ?= rcic
DATA_DIR ?= $(CURDIR)/data
OUT_DIR ?= $(CURDIR)/out

.DEFAULT_GOAL := help
.PHONY: help install install-cluster demo test test-slow fuzz bench-accuracy bench-speed bench-gpu bench-show lint check build run exec stop clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## set up .venv with everything in requirements.txt

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; name it with PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --requirement requirements.txt
	$(RUN) -m pip check
	@touch $@

install-cluster: $(INSTALLED)  ## Ray and submitit, for --launcher=ray and --launcher=slurm
	$(RUN) -m pip install --quiet --requirement requirements-cluster.txt

demo: $(INSTALLED)  ## the whole chain on a synthetic screen, ten minutes on two cores
	@bash bin/demo.sh

test: $(INSTALLED)  ## the fast tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses auto --maxprocesses 4

test-slow: $(INSTALLED)  ## the end-to-end run with asserted numbers
	$(RUN) -m pytest -m slow -s

fuzz: $(INSTALLED)  ## a hundred thousand damaged inputs for the readers, three minutes
	PYTHONPATH=src $(RUN) -m tests.faults.fuzz --n 100000 --seed 0

bench-accuracy: $(INSTALLED)  ## every recipe on the simulated bench screen, hours on two cores, resumable
	$(RUN) benchmarks/accuracy.py
	$(RUN) benchmarks/accuracy_table.py bench > bench/accuracy.md && cp bench/accuracy.md benchmarks/accuracy.md

bench-speed: $(INSTALLED)  ## loader, packing, prediction and size, side by side, twenty minutes on two cores
	rm -rf bench_speed
	$(RUN) benchmarks/speed.py --work_dir bench_speed

bench-gpu: $(INSTALLED)  ## speed, bf16 against fp32 and every recipe on this machine's GPU, 8 minutes
	PYTHON=$(RUN) bash benchmarks/gpu.sh

bench-show: $(INSTALLED)  ## report and well browser at full size: time, memory, 15 minutes and 12 GB of disk
	PYTHONPATH=src $(RUN) benchmarks/show.py bench_show > bench_show.md && mv bench_show.md benchmarks/show.md
	PYTHONPATH=src $(RUN) benchmarks/show_browse.py bench_show_browse > bench_show.md && mv bench_show.md benchmarks/show_browse.md

lint: $(INSTALLED)  ## lint, format, types and risky calls
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/bandit --quiet --recursive src

check: lint test  ## lint and the fast tests

build:  ## build the Docker image
	docker build --file docker/Dockerfile --tag $(IMAGE) .

run:  ## run a shell in the image: make run DATA_DIR=/my/rxrx1 OUT_DIR=/my/out [CMD="bash bin/demo.sh"]
	@bash docker/run.sh "$(IMAGE)" "$(DATA_DIR)" "$(OUT_DIR)" $(CMD)

exec:  ## open a second shell in the running container
	docker exec --interactive --tty $(IMAGE) bash

stop:  ## stop the running container
	docker stop $(IMAGE)

clean:  ## remove what `make demo` made (not .venv)
	rm -rf demo
