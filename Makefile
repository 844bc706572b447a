# Everything here does its own set-up on a machine that has Go and make.
# Tools and servers for the tests go to .tools/, nothing outside the clone.

GO       ?= go
TOOLS    := $(CURDIR)/.tools
GOLANGCI := v2.15.0
PACKAGES := ./...
# Without symbols, and without the traces of gRPC, whose templates keep every method
# of every type in the binary.
BUILD    := -trimpath -tags grpcnotrace -ldflags "-s -w $(if $(RELEASE),-X main.version=$(RELEASE))"

.PHONY: release spark help build demo run test flaky e2e bench shapes arm64 lint micro python wheel clean crash crash-trainer crash-unsafe bombs cluster poison soak writers year tools fuzz vulncheck notebook

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

build: ## ./archflow, one static binary
	CGO_ENABLED=0 $(GO) build $(BUILD) -o archflow ./cmd/archflow

demo: build ## a small real search in under a minute
	./archflow demo

run: build ## the pipeline with a broker inside
	./archflow run

tools: ## fetch Apache Kafka and the Python readers of the tests into .tools
	@sh .ci/kafka.sh
	@sh .ci/python.sh
	@test "$$CI" != true || sh .ci/spark.sh

spark: tools ## Spark, Delta's kernel and parquet-java read the tables; fetches 330 MB into .tools once
	@sh .ci/spark.sh
	SPARK=1 $(GO) test ./sinks -run '^TestSpark' -count=1 -v

test: tools ## every everyday test but e2e's, with what is installed here
	@GO=$(GO) exec .ci/test.sh

flaky: tools ## the everyday tests 20 times alone (RUNS) and 5 times (LOADED) beside a load of 8 (LOAD), counted by test; PACKAGES, TESTS
	@GO=$(GO) exec .ci/flaky.sh

e2e: build tools ## the binary itself against a real Apache Kafka
	$(GO) test -tags assert -count=1 -timeout 20m ./cmd/archflow/... -run 'TestEndToEnd' -v

CRASH    := $(GO) test ./cmd/archflow -run TestEndToEndCrash -count=1 -timeout 0 -v -args -seed $(or $(SEED),$(shell date +%j)00)

crash: tools ## 2,000 kills at random moments, compared by an independent reader; SEED=n to repeat
	$(CRASH) -on embedded -kills $(or $(KILLS),1300)
	$(CRASH) -on kafka -kills $(or $(KILLS),700)

crash-unsafe: tools ## the same with one safeguard left out at a time, which must be noticed
	$(GO) test ./cmd/archflow -run TestCrashNotices -count=1 -timeout 0 -v -args -without positions,fencing,drop
	$(GO) test ./sinks -run TestPowerLoss -count=1 -v

poison: ## the rate with 1 % of 200,000 candidates broken against that with none, and nothing missing
	$(GO) test ./cmd/archflow -run '^TestEndToEndPoison$$' -count=1 -timeout 60m -v -args -candidates 200000 -turns $(or $(TURNS),2)

soak: tools ## MINUTES (60) of steady load with a kill each half minute; SEED=n, ON=kafka
	$(GO) test ./cmd/archflow -run '^TestSoak$$' -count=1 -timeout 0 -v -args -minutes $(or $(MINUTES),60) -on $(or $(ON),embedded) -seed $(or $(SEED),$(shell date +%j)00)

cluster: tools ## three Apache Kafka brokers, four workers, two trainers, and for MINUTES (30) every fault in random order; SEED=n
	$(GO) test ./cmd/archflow -run '^TestCluster$$' -count=1 -timeout 0 -v -args -minutes $(or $(MINUTES),30) -rate $(or $(RATE),50) -seed $(or $(SEED),$(shell date +%j)00)

writers: tools ## MINUTES (30) of six workers that commit to one table once a second each, on Apache Kafka, with kills; RATE (60), SEED
	$(GO) test ./cmd/archflow -run '^TestWriters$$' -count=1 -timeout 0 -v -args -minutes $(or $(MINUTES),30) -rate $(or $(RATE),60) -seed $(or $(SEED),$(shell date +%j)00)

year: tools ## DAYS (365) of ROWS (20,000,000) in COMMITS (100,000) by six writers in compressed time, measured at days 1, 30 and 365
	$(GO) test ./sinks -run '^TestYear$$' -count=1 -timeout 0 -v -args -days $(or $(DAYS),365) -rows $(or $(ROWS),20000000) -commits $(or $(COMMITS),100000)

bombs: tools ## what would fill a memory limit of 1 GiB: compressed batches, names, depth, dense graphs, days, labels, connections (needs root)
	$(GO) test ./cmd/archflow -run '^TestBombs$$|^TestEndToEndBombs$$' -count=1 -timeout 60m -v -args -bombs

FUZZTIME ?= 1h
fuzz: ## every decoder of foreign bytes, FUZZTIME (1h) each; FUZZ=part of a name; what reaches new code is kept in testdata/fuzz
	@grep -rHoE '^func Fuzz[A-Za-z0-9]+' --include=*_test.go . | sed 's|/[^/]*:func | |' | sort -u | grep -e '$(FUZZ)' | while read -r p f; do \
		echo "$$f in $$p"; $(GO) test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $(FUZZFLAGS) </dev/null || exit 1; \
		GO=$(GO) sh .ci/corpus.sh $$p $$f || exit 1; done

release: ## VERSION=n: binaries for four platforms, checksums and SBOM in dist/
	GO=$(GO) .ci/release.sh $(VERSION)

vulncheck: ## known vulnerabilities in what is called
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

shapes: ## matrix products of every shape from 1 to 70 in each dimension
	$(GO) test ./encoders/kernels -run TestProductShapes -count=1 -args -whole

arm64: ## the kernels for arm64 on qemu-user (from Debian: apt-get install qemu-user)
	GOARCH=arm64 $(GO) test -exec qemu-aarch64 -count=1 ./encoders/kernels

bench: ## Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

crash-trainer: tools ## 50 kills of the trainer's process in a run, weights compared byte for byte; KILLS=n, SEED=n
	KILLS=$${KILLS:-50} $(GO) test ./cmd/archflow -run '^TestEndToEndTrainerKills$$' -count=1 -timeout 60m -v

VENV := .tools/python
python: build ## the Python client against the binary; ADAPTERS="ray[tune] torch syne-tune neural-pipeline-search" tests those too
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check pytest openapi-spec-validator optuna deltalake pandas pyarrow matplotlib confluent-kafka $(ADAPTERS)
	cd clients/python && ARCHFLOW_BINARY=$(CURDIR)/archflow PYTHONPATH=src $(CURDIR)/$(VENV)/bin/python -m pytest -q -p no:cacheprovider

wheel: build ## clients/python/dist/*.whl with the binary for this platform inside
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check 'setuptools>=77' wheel
	mkdir -p clients/python/src/archflow/bin && cp archflow clients/python/src/archflow/bin/archflow
	rm -rf clients/python/dist && mkdir clients/python/dist
	cd clients/python && $(CURDIR)/$(VENV)/bin/pip wheel -q --no-deps --no-build-isolation -w dist .
	$(VENV)/bin/python -m wheel tags --remove --platform-tag "$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_platform().replace("-", "_").replace(".", "_").replace("linux", "manylinux_2_17"))')" clients/python/dist/*.whl

micro: ## make the benchmarks of micro cells and perceptrons again
	$(GO) run ./cmd/archflow/micro/benchmark
	$(GO) run ./cmd/archflow/micro/benchmark -perceptrons

notebook: build tools ## the pictures of docs/tables.md again, from a demo by docs/notebooks/tables.ipynb
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && ./archflow demo --http off --data "$$data" && \
	$(TOOLS)/venv/bin/python sinks/testdata/notebook.py docs/notebooks/tables.ipynb "$$data/demo/tables" docs/images/tables-residuals.png docs/images/tables-coverage.png

lint: $(TOOLS)/bin/golangci-lint ## gofmt, vet and the linters
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet -tags assert $(PACKAGES)
	$(GO) vet ./.ci/report
	$(TOOLS)/bin/golangci-lint run

$(TOOLS)/bin/golangci-lint:
	GOBIN=$(TOOLS)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)

clean: ## remove the binary and .tools
	rm -rf archflow $(TOOLS)
