# Every target sets up what it needs in .venv; `make help` lists them.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

IMAGE ?= rcic
DATA_DIR ?= $(CURDIR)/data
OUT_DIR ?= $(CURDIR)/out
# Docker, if given: BASE, the base image; INDEX, a second package index; and what docker/run.sh explains.
BASE ?=
INDEX ?=
NAME ?=
CMD ?=
PORT ?=
GPUS ?= auto
SHM_SIZE ?= 8g

# Real profiles for bench-profiles, and the Python of the packages that it compares with.
BBBC021 ?= ../shared/data/bbbc021
PEERS := bench_profiles/peers/bin/python

# Environments of `make contracts-all` and `make contracts-newest`.
OTHERS := contracts

QUICK := tests/test_architecture.py tests/screen tests/decide tests/schema tests/ensemble

.DEFAULT_GOAL := help
.PHONY: help install install-cluster install-profiles demo test test-quick test-slow fuzz contracts contracts-all contracts-newest findings bench-accuracy bench-hard bench-speed bench-gpu bench-show bench-profiles lint check build run exec stop test-docker clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

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

install-profiles: $(INSTALLED)  ## copairs (mean average precision), Parquet and h5ad
	$(RUN) -m pip install --quiet --requirement requirements-profiles.txt

demo: $(INSTALLED)  ## the whole chain on a synthetic screen, three minutes on two cores after the installation
	@bash bin/demo.sh

test: $(INSTALLED)  ## the fast tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-quick: $(INSTALLED)  ## screen, decide, schema, ensemble and the architecture: seconds
	OMP_NUM_THREADS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(RUN) -m pytest --quiet -m 'not slow and not long' $(QUICK)

test-slow: $(INSTALLED)  ## the end-to-end run with asserted numbers
	$(RUN) -m pytest -m slow -s

fuzz: $(INSTALLED)  ## a hundred thousand damaged inputs for the readers, three minutes
	PYTHONPATH=src $(RUN) -m tests.faults.fuzz --n 100000 --seed 0

contracts: $(INSTALLED)  ## what other packages do that the program relies on or guards against (docs/behaviours.md)
	OMP_NUM_THREADS=1 $(RUN) -m pytest --quiet tests/contracts

contracts-all: $(OTHERS)/all/bin/python  ## the same, with packages that the program does not use
	OMP_NUM_THREADS=1 $(OTHERS)/all/bin/python -m pytest --quiet tests/contracts

contracts-newest: $(OTHERS)/newest/bin/python  ## which contracts change with the newest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(RUN) -m tests.contracts.newest $(OTHERS)/all/bin/python $(OTHERS)/newest/bin/python $(OTHERS)

contracts-newest: $(OTHERS)/all/bin/python

# Environments on top of .venv: what is not installed in them is taken from there.
$(OTHERS)/%/bin/python: requirements-contracts.txt $(INSTALLED)
	$(PYTHON) -m venv --clear $(OTHERS)/$*
	$(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($@ -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pinned.pth"
	$@ -m pip install --quiet --requirement requirements-contracts.txt
	@touch $@

findings:  ## every finding in an environment of its own, and which still hold: an hour, needs a network
	@bash bin/findings.sh

bench-accuracy: $(INSTALLED)  ## every recipe on the simulated bench screen, hours on two cores, resumable
	$(RUN) benchmarks/accuracy.py
	$(RUN) benchmarks/accuracy_table.py bench > bench/accuracy.md && cp bench/accuracy.md benchmarks/accuracy.md
	$(RUN) benchmarks/cost_to_accuracy.py bench docs/images/cost_to_accuracy.svg > bench/cost.md
	cp bench/cost.md benchmarks/cost_to_accuracy.md

bench-hard: $(INSTALLED)  ## best and a baseline on the harder simulated screen, hours on two cores, resumable
	$(RUN) benchmarks/accuracy.py --screen=bench-hard
	$(RUN) benchmarks/accuracy_table.py bench_hard > bench_hard/accuracy.md && cp bench_hard/accuracy.md benchmarks/accuracy_hard.md

bench-speed: $(INSTALLED)  ## loader, packing, prediction and size, side by side, half an hour on two cores [BASE=clone of another build]
	rm -rf bench_speed
	$(RUN) benchmarks/speed.py --work_dir bench_speed $(if $(BASE),--base=$(BASE))

bench-gpu: $(INSTALLED)  ## speed, bf16 against fp32 and every recipe on this machine's GPU, 8 minutes
	PYTHON=$(RUN) bash benchmarks/gpu.sh

bench-show: $(INSTALLED)  ## report and well browser at full size: time, memory, 15 minutes and 12 GB of disk
	PYTHONPATH=src $(RUN) benchmarks/show.py bench_show > bench_show.md && mv bench_show.md benchmarks/show.md
	PYTHONPATH=src $(RUN) benchmarks/show_browse.py bench_show_browse > bench_show.md && mv bench_show.md benchmarks/show_browse.md

bench-profiles: $(INSTALLED)  ## real profiles: every normalisation beside other packages', ten minutes [BBBC021=folder] [RCIC_PEERS=python]
	mkdir -p bench_profiles
	test -n "$$RCIC_PEERS" || test -x $(PEERS) || $(PYTHON) -m venv bench_profiles/peers
	test -n "$$RCIC_PEERS" || $(PEERS) -m pip install --quiet --requirement benchmarks/requirements-peers.txt
	RCIC_PEERS="$${RCIC_PEERS:-$(PEERS)}" PYTHONPATH=src $(RUN) benchmarks/profiles.py "$(BBBC021)" bench_profiles > bench_profiles.md
	mv bench_profiles.md benchmarks/profiles.md

lint: $(INSTALLED)  ## lint, format, types and risky calls
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/bandit --quiet --recursive src

check: lint test  ## lint and the fast tests

# The shell reads what a user names from its environment: a path or a command line may hold anything.
build run exec stop: export IMAGE := $(IMAGE)
build:  ## build the Docker image [BASE=base image] [INDEX=second package index]
	DOCKER_BUILDKIT=1 docker build --file docker/Dockerfile --tag "$$IMAGE" \
		--build-arg COMMIT="$$(git describe --always --dirty --abbrev=40 2> /dev/null)" \
		$(if $(BASE),--build-arg BASE="$(BASE)") $(if $(INDEX),--build-arg PIP_EXTRA_INDEX_URL="$(INDEX)") .

run: export DATA_DIR := $(DATA_DIR)
run: export OUT_DIR := $(OUT_DIR)
run: export PORT := $(PORT)
run: export GPUS := $(GPUS)
run: export SHM_SIZE := $(SHM_SIZE)
run: override export CMD := $(value CMD)
run:  ## run a shell in the image: make run DATA_DIR=/my/rxrx1 OUT_DIR=/my/out [CMD="bash bin/demo.sh"] [PORT=8000]
	@bash docker/run.sh "$$IMAGE" "$$DATA_DIR" "$$OUT_DIR"

exec stop: export NAME := $(NAME)
exec:  ## open a second shell in the running container [NAME=one of several]
	@bash docker/exec.sh "$$IMAGE" "$$NAME"

stop:  ## end your running containers; trainings save what they have [NAME=one of several]
	@bash docker/stop.sh "$$IMAGE" "$$NAME"

test-docker:  ## build the image and try it on a simulated screen, needs a Docker engine [BASE=base image]
	@bash docker/try.sh $(BASE)

clean:  ## remove what `make demo` made (not .venv)
	rm -rf demo
