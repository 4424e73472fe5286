# Each target is one thin line; what it does lives in the file it calls.
APP ?= relay
ARGS ?=

.PHONY: run test clean

run: ## build APP for this machine and boot it
	cargo run --release --quiet --package $(APP) -- $(ARGS)

test: ## everything that must hold, on this machine
	bash tests/run

clean: ## remove what was built
	cargo clean
