# Everything goes through these. `make demo` and `make test` need a Rust toolchain and Python 3 with pip.
BLEND := target/debug/blend
CARGO := cargo
PYTHON := python3
NOTEBOOK = notebooks/.venv/bin/python notebooks/run.py

.PHONY: help build runtime tested-runtime demo test quick lint doc bench gpu-check notebooks retrain explore zoo-test clean

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## the program, as target/debug/blend (own code optimized)
	$(CARGO) build --locked

# Without a package index the embedded engine runs the graphs that it can, and says so.
runtime: build ## ONNX Runtime into .ort/, where it can be had
	@$(BLEND) runtime install --python $(PYTHON) || echo "no ONNX Runtime: the embedded engine takes its place"

demo: runtime ## real models predicted, audited, blended, submitted and verified
	@sh scripts/demo.sh $(BLEND)

test: lint doc tested-runtime ## everything that must hold
	$(CARGO) test --workspace --locked

# The tests' own build makes the program too: one build of the libraries, not two.
tested-runtime:
	$(CARGO) test --workspace --locked --no-run
	@$(BLEND) runtime install --python $(PYTHON) || echo "no ONNX Runtime: the embedded engine takes its place"

quick: ## the rooms where one thinks: core and search
	$(CARGO) test --locked -p blend-core -p blend-search

lint: ## format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc: ## the documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

bench: build ## the winners' problem and other shapes, ours and the peers side by side
	@sh scripts/bench.sh $(BLEND) $(PYTHON)

gpu-check: build ## parity and throughput of a GPU, where there is one (docs/gpu.md)
	@sh scripts/gpu_check.sh $(BLEND) $(CARGO)

notebooks: notebooks/.venv ## every notebook in its fast mode: an error in one is an error (minutes; not part of demo or test)
	$(NOTEBOOK)
	@$(MAKE) --no-print-directory explore

retrain: notebooks/.venv ## train and export the demo's models again, in earnest
	$(NOTEBOOK) --full digits

# The notebook reads what predict, search and submit wrote; it is run from a copy, so that looking changes nothing.
explore: runtime notebooks/.venv ## the demo's outputs, recipes and ledger in a notebook (seconds, once the packages are there)
	@$(BLEND) -c digits predict || [ $$? -eq 4 ]
	@$(BLEND) -c digits search && $(BLEND) -c digits submit
	$(NOTEBOOK) explore --to explored.ipynb

notebooks/.venv: notebooks/requirements.txt
	$(PYTHON) -m venv notebooks/.venv
	notebooks/.venv/bin/python -m pip install --quiet -r notebooks/requirements.txt
	@touch notebooks/.venv

# Half of it is full-size networks against their graphs: some minutes, 4 GiB of memory.
zoo-test: notebooks/.venv ## the networks of notebooks/zoo: sizes, graphs, preprocessing (PyTorch from the package index)
	cd notebooks && .venv/bin/python -m unittest discover -s zoo/tests -t .

clean: ## what was built and predicted
	$(CARGO) clean
	rm -rf .ort models/*/*/oof.feather models/*/*/test.feather models/*/*/run.yaml submissions/*/*.csv submissions/*/*.yaml
