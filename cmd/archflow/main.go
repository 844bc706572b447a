// Command archflow predicts how well neural architectures will do, as they
// stream in through Kafka. See the README for the first command to type.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/pipeline"
)

// drainTime is how long a first signal leaves for draining.
const drainTime = 30 * time.Second

type commands struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"YAML file with any of these settings; a flag goes over the environment (ARCHFLOW_...), the environment over the file."`
	pipeline.Config
	JSON bool `name:"json" help:"Print results for a program to read."`

	Run        runCommand        `cmd:"" help:"Run the pipeline; with no broker named, a broker inside the process."`
	Demo       demoCommand       `cmd:"" help:"The first minute: a small real search, streamed through the whole system."`
	Publish    publishCommand    `cmd:"" help:"Publish candidates or labels from JSON Lines files (.gz and .zst too; - for standard input)."`
	Read       readCommand       `cmd:"" help:"Follow a topic: predictions, dead-letters, architectures, labels or models."`
	Lint       lintCommand       `cmd:"" help:"Check a configuration or candidates without running anything."`
	Import     importCommand     `cmd:"" help:"Other people's files as candidates on standard output: ONNX, DARTS genotypes, NASLib, NB-101 modules, node-link JSON, CSV."`
	Experiment experimentCommand `cmd:"" help:"Measure predictors on a benchmark table by the paper's protocol."`
	Maintain   maintainCommand   `cmd:"" help:"Do what the tables need once: merge small files, delete what nobody needs, sum up the log."`
	Rescore    rescoreCommand    `cmd:"" help:"Score the networks of the predictions table again with the newest models, into the table scores."`
	Doctor     doctorCommand     `cmd:"" help:"Check everything that a run needs, change nothing, and name the cures."`
	Explain    explainCommand    `cmd:"" help:"Tell one candidate's whole story, from its position to its label."`
	Tap        tapCommand        `cmd:"" help:"Watch records pass a stage of a running archflow."`
	Top        topCommand        `cmd:"" help:"Watch a running archflow in a terminal."`
	Search     searchCommand     `cmd:"" help:"A whole search through the topics: candidates, trials, labels; --table takes results from a benchmark table."`
	Bench      benchCommand      `cmd:"" help:"Measure this machine: decoding, surrogates, training, inference and the whole stream; --data names the benchmark tables."`
	Replay     replayCommand     `cmd:"" help:"Send dead letters back once their cause is gone."`
	Version    versionCommand    `cmd:"" help:"Print the version."`

	parsed *cli.Parsed // which of these somebody set
}

func main() {
	ctx, stop := untilSignal()
	status := run(ctx, os.Args[1:], console.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(status)
}

// untilSignal returns a context that the first SIGINT or SIGTERM ends, which
// asks everything to drain. A second signal, or drainTime, ends the process.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "archflow: stopping; what is under way is finished first (again to stop at once)")
		cancel()
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "archflow: stopped at once; the next start goes on from the last commit")
		case <-time.After(drainTime):
			fmt.Fprintf(os.Stderr, "archflow: not drained after %v, stopped; the next start goes on from the last commit\n", drainTime)
		}
		os.Exit(console.ExitFailed)
	}()
	return ctx, cancel
}

// run parses args, runs the command they name and returns the exit status.
func run(ctx context.Context, args []string, std console.Streams) int {
	return console.Status(parseAndRun(ctx, args, std), std.Err)
}

// command is what every command is.
type command interface {
	Run(ctx context.Context, std console.Streams, c *commands) error
}

// newParser describes the program whose settings are c.
func newParser(c *commands) (*cli.Command, error) {
	return cli.New("archflow", "Predicts how well neural architectures will do, as they stream in through Kafka.", "ARCHFLOW", c)
}

func parseAndRun(ctx context.Context, args []string, std console.Streams) error {
	var c commands
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, hints, err := c.parse(args, configPath(args))
	for _, hint := range hints {
		fmt.Fprintln(std.Err, "archflow: "+hint)
	}
	if err != nil {
		return err
	}
	if parsed.Help {
		return printHelp(std.Out, parsed.Command)
	}
	return parsed.Command.Target().(command).Run(ctx, std, &c)
}

// parse sets c by arguments, the environment, the file at path unless that is
// empty, and defaults. Variables of the environment that look like settings and
// are none give hints. A wrong value is a refusal.
func (c *commands) parse(args []string, path string) (parsed *cli.Parsed, hints []string, err error) {
	parser, err := newParser(c)
	if err != nil {
		return nil, nil, err
	}
	settings, err := loadSettings(parser, path)
	if err != nil {
		return nil, nil, cli.Refuse(err)
	}
	hints = strangeVariables(parser, os.Environ())
	c.parsed, err = parser.Parse(args, settings.lookup)
	if err == nil && !c.parsed.Help {
		err = settings.locate(c.parsed, c.Validate())
	}
	if err != nil {
		err = cli.Refuse(fmt.Errorf("%w; 'archflow --help' lists commands and flags", err))
	}
	return c.parsed, hints, err
}

// configPath finds the configuration file before the flags are parsed, because
// it decides their defaults.
func configPath(args []string) string {
	for i, a := range args {
		if path, ok := strings.CutPrefix(a, "--config="); ok {
			return path
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
		if a == "--" {
			break
		}
	}
	return os.Getenv("ARCHFLOW_CONFIG")
}
