// Package ops is the operators' side: telemetry, health, the HTTP server with
// its live page, and the files that watch archflow from outside (compose/,
// kubernetes/).
//
// It imports no other package of archflow: numbers and plain structs arrive
// from the pipeline, and metrics, spans, log lines and pages leave. It is the
// only package that installs the OpenTelemetry SDK.
//
//	telemetry.go    Start: everything on, as the OTEL_* variables say
//	instruments.go  the table of all metrics
//	metrics.go      one small method for each thing that is measured
//	stage.go        the clock of a stage: busy, idle, blocked
//	tracing.go      spans of batches and of single candidates
//	log.go          structured lines with trace ids, repeated ones summarised
//	health.go       alive and ready, and why not
//	server.go       HTTP; page.go and page/ are the live page
//	models.go       operators' choices of the model that answers
//	tap.go          records as they pass a stage
//	state.go        the live page's content
//	projection.go   the two principal components of a stream of vectors
package ops

//go:generate go test -run TestGenerated . -update
