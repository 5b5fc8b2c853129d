# Every target makes its own environment in .venv first; nothing needs to be activated.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := .venv-bench
# uv is quicker where it is on the path; the versions are those of the lock either way
UV := $(shell command -v uv)
install = @$(if $(UV),"$(UV)" pip install --python $(1)/bin/python -q,$(1)/bin/python -m pip install --disable-pip-version-check -qq)
export NB SET

.PHONY: help book pdf test quick reproduce reproduce-all experiments run lab bench archive serve clean

help:
	@echo "make book       execute what has changed, render the book to _build/html/index.html"
	@echo "make pdf        the book as one PDF, _build/forwardecg.pdf; prints with the system's Chromium (3 minutes)"
	@echo "make test       unit and physics tests, every notebook at a small scale, the book"
	@echo "make quick      the tests of the package alone: physics, data, learning; 2 minutes"
	@echo "make reproduce  execute everything from nothing in a copy, compare the headline numbers; KEEP=1 puts its times into the tables and the README"
	@echo "make reproduce-all  the same with every seed, fold and ablation trained anew: hours; stop it and repeat, it goes on"
	@echo "make experiments  all folds, seeds and searches behind the tables: hours, found in the cache where they are done"
	@echo "make run        one notebook with other parameters: make run NB=03_ecg SET=\"dx=0.25 z_mm=20\""
	@echo "make lab        JupyterLab with the notebooks"
	@echo "make bench      all costs as ratios, beside Finitewave and the limits of the processor (about ten minutes); QUICK=1 shows that it runs"
	@echo "make archive    one zip of a complete data set with recipe, card and checksums: make archive RECIPE=r.json FOLDER=sets; DATA=0 without its arrays"
	@echo "make serve      the book on http://127.0.0.1:$(PORT) (PORT=...)"
	@echo "make clean      remove what was built; .venv and data/cache stay"
	@echo "PYTHON=python3.12 make ...  takes another Python; TORCH_INDEX=... an index of PyTorch's CPU wheels"

book: $(READY)
	@$(BIN)/pytask
	@echo "The book: _build/html/index.html"

# from the notebooks as they are: nothing is executed
pdf: $(READY)
	@$(BIN)/python -u tools/pdf.py

# two streams: the notebooks in one worker, all other tests in the other
test: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q src experiments tests tools benchmarks notebooks book/_ext task_book.py task_notebooks.py
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/compendium/test_smoke.py tests

quick: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(addprefix tests/,test_house.py ground tissue ecg solver data measure signals surrogates)

reproduce: $(READY)
	@$(BIN)/python -u -m compendium.reproduce $(if $(KEEP),--keep)

reproduce-all: $(READY)
	@$(BIN)/python -u -m compendium.reproduce --all

experiments: $(READY)
	@$(BIN)/python -u -m experiments.run $(NAMES)
	@test -n "$(NAMES)" || { $(BIN)/python -u -m experiments.repeat && $(BIN)/python -u -m experiments.foreign && $(BIN)/python -u -m experiments.large && $(BIN)/python -u -m experiments.publish && $(BIN)/python -u -m experiments.wide && $(BIN)/python -u -m experiments.misuse && $(BIN)/python -u -m experiments.blind && $(BIN)/python -u -m experiments.edges && $(BIN)/python -u -m experiments.activation_constants && $(BIN)/python -u -m experiments.eikonal && $(BIN)/python -u -m experiments.inverse && $(BIN)/python -u -m experiments.inverse_gradients && $(BIN)/python -u -m experiments.cycle && $(BIN)/python -u -m experiments.cycle_physics && $(BIN)/python -u -m experiments.reduced && $(BIN)/python -u -m experiments.delineation && $(BIN)/python -u -m experiments.diagnosis && $(BIN)/python -u -m experiments.gaps && $(BIN)/python -u -m experiments.population && $(BIN)/python -u -m experiments.anomaly && $(BIN)/python -u benchmarks/cost.py && $(BIN)/python -u benchmarks/dataset.py && $(BIN)/python -u benchmarks/mesh.py; }

run: $(READY)
	@$(BIN)/python -u -m compendium.run "$$NB" "$$SET"

lab: $(READY) $(VENV)/.ready-lab
	@$(BIN)/jupyter lab notebooks

bench: $(BENCH)/.ready $(READY)
	@$(BENCH)/bin/python -u benchmarks/run.py $(if $(QUICK),--quick)
	@for part in growth tissues prediction summary; do $(BIN)/python -u benchmarks/$$part.py $(if $(QUICK),--quick) || exit; done

archive: $(READY)
	@$(BIN)/python -u tools/archive.py "$(or $(RECIPE),data/results/07_dataset.json)" $(if $(FOLDER),--folder "$(FOLDER)") $(if $(filter 0,$(DATA)),--no-data) $(if $(OUT),--out "$(OUT)")

serve: book
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

clean:
	rm -rf _build _run .ruff_cache .hypothesis

# The stamp comes last: an interrupted installation leaves none, and the next make goes on with it.
$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is not: name one, as in PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv or ensurepip: install it (on Debian and Ubuntu the package python3-venv) and repeat"; exit 1; }
	@rm -f $(VENV)/.ready*
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "Installing the environment into $(VENV), once: 2 to 15 minutes (on Linux PyTorch brings several GB, unless TORCH_INDEX names its CPU wheels)"
	@grep -v '^torch==' requirements.lock > $(VENV)/hashed.lock
	$(call install,$(VENV)) --no-deps --require-hashes -r $(VENV)/hashed.lock
	$(call install,$(VENV)) $(if $(TORCH_INDEX),--no-deps --index-url "$(TORCH_INDEX)" )"$$(grep '^torch==' requirements.lock)"
	$(call install,$(VENV)) --no-deps --editable .
	@touch $@

$(VENV)/.ready-lab: $(READY)
	@echo "Installing JupyterLab into $(VENV), once"
	@sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' requirements.lock > $(VENV)/versions.lock
	$(call install,$(VENV)) --constraint $(VENV)/versions.lock --editable ".[lab]"
	@touch $@

# Finitewave needs numpy < 2, and numpy 1.26 a Python that it was built for
$(BENCH)/.ready: benchmarks/requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || \
	  { echo "Python 3.11 or 3.12 with venv is needed, and $(PYTHON) is not: name one, as in PYTHON=python3.12 make bench"; exit 1; }
	@rm -f $@
	@$(BENCH)/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(BENCH)
	@echo '*' > $(BENCH)/.gitignore
	@echo "Installing the environment of the benchmark into $(BENCH), once: 1 to 5 minutes"
	$(call install,$(BENCH)) -r benchmarks/requirements.lock
	$(call install,$(BENCH)) --no-deps --editable .
	@touch $@
