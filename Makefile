# Each target is one thin line; what it does lives in the file it calls.
APP ?= relay
ARGS ?=

.PHONY: run web test clean

run: ## build APP for this machine and boot it
	cargo run --release --quiet --package $(APP) -- $(ARGS)

test: ## everything that must hold, on this machine
	bash tests/run

web: ## make the portal's page from its sources (needs Node)
	cd web && npm ci --silent --ignore-scripts && npm run --silent build

clean: ## remove what was built
	cargo clean
