# One command per chore; each does its own set-up.
.DEFAULT_GOAL := help
PYTHON_PATHS := python tests examples benches
.PHONY: help set-up demo test lint test-rust test-python fuzz bench clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

set-up: ## System libraries, .venv and the release build
	@scripts/set-up

# One option of the demo, quoted for the shell, when its variable is given.
option = $(if $($(2)),--$(1) '$(subst ','\'',$($(2)))')

demo: set-up ## A room with sound, picture and data on this machine (AUDIO=, VIDEO=, SECONDS=)
	@.venv/bin/greenroom demo $(call option,audio,AUDIO) $(call option,video,VIDEO) $(call option,seconds,SECONDS)

test: set-up lint test-rust fuzz test-python ## Every check and test, interop included

lint: set-up ## Formatting, lints, types and the layering
	cargo fmt --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	MYPYPATH=python .venv/bin/python -m mypy.stubtest greenroom._engine --mypy-config-file pyproject.toml --allowlist scripts/stubtest-allowed

test-rust: set-up
	cargo test --release --workspace

test-python: set-up
	.venv/bin/python -m pytest

fuzz: set-up ## Each fuzz target for a few seconds (SECONDS_EACH=n)
	@scripts/fuzz $(or $(SECONDS_EACH),5)

bench: set-up ## Ratios against the official SDK and livekit-server, and the Rust benches
	.venv/bin/python -m benches
	.venv/bin/python -m benches.simulated_data
	.venv/bin/python -m benches.load --runs 1 --seconds 5

clean:
	rm -rf target .venv .cache demo-output
