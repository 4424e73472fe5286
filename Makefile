# Each target is one thin line; what it does lives in the file it calls.
# APP is an application in examples/, or with a slash in it the path of a folder anywhere.
APP ?= relay
ARGS ?=
CHIP ?= esp32c3
DEVICES ?= 100
BROKER ?= 127.0.0.1:1883

SHELL := bash
export APP CHIP CONFIG PROVISION PORT ORIGINAL TARGET TIME

.PHONY: run new web test fuzz soak bench fleet qemu counts build flash erase monitor clean

run: ## build APP for this machine and boot it
	. boards/application "$(APP)" && cargo run --release --manifest-path "$$manifest" -- $(ARGS)

new: ## an application of your own in a new folder: make new APP=../name
	bash examples/new

test: ## everything that must hold, on this machine
	bash tests/run

fuzz: ## feed TARGET, or all targets in turn, anything whatever for TIME seconds each (needs nightly Rust)
	bash fuzz/run

bench: ## what it costs, beside others, into benches/RESULTS.md [ORIGINAL=path of a checkout]
	bash benches/run --write benches/RESULTS.md

fleet: ## DEVICES=n devices in one process at BROKER=host:port, until Ctrl-C
	cargo run --release --quiet --package bluebell-benches --bin fleet -- $(DEVICES) $(BROKER)

soak: ## device-years of everything that can go wrong, at random [SOAK_SEEDS=0..40] [SOAK_HOURS=720]
	SOAK_SEEDS=$${SOAK_SEEDS:-0..40} SOAK_HOURS=$${SOAK_HOURS:-720} cargo test --release --package bluebell-sim --test soak

qemu: ## build APP for the emulated machine and boot it; Ctrl-A X ends it [CONFIG=file.toml]
	bash boards/qemu/make run

counts: ## what the framework's steps cost, into boards/qemu/counts.txt
	BLUEBELL_COUNTS=write cargo test --package bluebell-qemu --test whole counts

web: ## make the portal's page from its sources (needs Node)
	cd web && npm ci --silent --ignore-scripts && npm run --silent build

build: ## firmware of APP for CHIP into build/ [CONFIG=file.toml] [PROVISION=wifi.json]
	bash boards/esp/make build

flash: ## put what is in build/ on the chip [PORT=/dev/ttyACM0]
	bash boards/esp/make flash

erase: ## erase the chip, with all that it has stored [PORT=...]
	bash boards/esp/make erase

monitor: ## the chip's console; Ctrl-C ends it [PORT=...]
	bash boards/esp/make monitor

clean: ## remove what was built
	cargo clean
	rm -rf build
