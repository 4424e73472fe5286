# Each target is one thin line; what it does lives in the file it calls.
APP ?= relay
ARGS ?=

.PHONY: run test qemu counts clean

run: ## build APP for this machine and boot it
	cargo run --release --quiet --package $(APP) -- $(ARGS)

test: ## everything that must hold, on this machine
	bash tests/run

qemu: ## build APP for the emulated machine and boot it; Ctrl-A X ends it [CONFIG=file.toml]
	APP=$(APP) CONFIG=$(CONFIG) bash boards/qemu/make run

counts: ## what the framework's steps cost, into boards/qemu/counts.txt
	BLUEBELL_COUNTS=write cargo test --package bluebell-qemu --test whole counts

clean: ## remove what was built
	cargo clean
