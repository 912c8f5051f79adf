# SPDX-License-Identifier: Apache-2.0

export CGO_ENABLED = 0

FUZZTIME ?= 30s
LINT     := bin/golangci-lint

# What .ci/run does, in this order: what fails soonest comes first, and the compiler's work is used by what follows.
CI_STEPS := build vet linter lint race e2e

# Everything but the tests of the binary from outside. Fuzz targets are among them, with their seeds.
UNIT  = $$(go list ./... | grep -v '/test\(/\|$$\)')
FLAGS = -count=1 -shuffle=on -timeout 5m

.PHONY: all help build check ci vet linter lint test race fuzz e2e update clean

all: check build ## check, and build

help: ## this
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary, bin/microstax
	go build -trimpath -ldflags '-s -w' -o bin/microstax ./cmd/microstax

check: vet lint test ## what a change must pass

ci: ## everything, as .ci/run has it, with the time that each step takes
	@begun=$$(date +%s); \
	for step in $(CI_STEPS); do \
	  at=$$(date +%s); printf '\n== %s\n' "$$step"; \
	  $(MAKE) --no-print-directory "$$step" || { \
	    printf '\n== %s FAILED after %ss; again: make %s\n' "$$step" "$$(($$(date +%s) - at))" "$$step"; exit 1; }; \
	  printf '== %s: %ss\n' "$$step" "$$(($$(date +%s) - at))"; \
	done; printf '\n== all passed in %ss\n' "$$(($$(date +%s) - begun))"

vet: ## go vet
	go vet ./...

linter: $(LINT) ## build the linters, bin/golangci-lint

lint: $(LINT) ## formatting and the linters
	$(LINT) run ./...

$(LINT): tools/go.mod tools/go.sum
	cd tools && go build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

test: ## unit, conformance and architecture tests, and the seeds of fuzz targets; not the binary from outside
	go test $(FLAGS) $(UNIT)

race: export CGO_ENABLED = 1
race: ## the same with the race detector, which needs a C compiler
	go test -race $(FLAGS) $(UNIT)

fuzz: ## every fuzz target for FUZZTIME, 30s unless told
	@set -e; grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' api cmd internal test 2>/dev/null | while IFS=: read -r file fn; do \
	  echo "$$(dirname "$$file") $${fn#func }"; \
	  go test -run '^$$' -fuzz "^$${fn#func }$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "./$$(dirname "$$file")"; \
	done

e2e: build ## the binary from outside
	go test $(FLAGS) ./test/...

update: ## rewrite golden files; read the diff before you commit it
	@set -e; grep -rlE --include='*_test.go' 'flag\.Bool\("update"' api cmd internal test 2>/dev/null | xargs -r -n1 dirname | sort -u | while read -r dir; do \
	  go test "./$$dir" -update; \
	done

clean: ## remove what was built
	rm -rf bin
