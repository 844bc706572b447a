package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"archflow/internal/cli"
)

// commonSettings are those that the help of every command shows; only that of run
// shows all.
var commonSettings = []string{"brokers", "topic-prefix", "group", "data", "config", "json", "log-format"}

// moreSettings are those that a command uses besides.
var moreSettings = map[string][]string{
	"publish":    {"max-message-bytes", "seed"},
	"read":       {"exit-at-end"},
	"lint":       {"max-nodes", "max-message-bytes"},
	"experiment": {"predictor", "encoder", "width", "layers", "epochs", "seed"},
	"bench":      {"encoder", "width", "layers"},
	"demo":       {"http"},
	"top":        {"http", "http-token"},
	"tap":        {"http", "http-token"},
	"doctor":     {"table", "store", "role"},
	"explain":    {"table", "store"},
	"search":     {"table", "seed", "http", "http-token"},
	"maintain":   {"table"},
	"rescore":    {"table", "store"},
}

const helpWidth = 100

// printHelp writes the help of a command, its own flags first and of the settings
// those that it uses; without a command, the list of commands.
func printHelp(w io.Writer, c *cli.Command) error {
	if c.Parent == nil {
		fmt.Fprintf(w, "Usage: archflow <command> [flags]\n\n%s\n\nCommands:\n", c.Help)
		writeColumns(w, commandRows(c))
		_, err := fmt.Fprint(w, "\n'archflow <command> --help' has a command's flags, 'archflow run --help' every setting.\n")
		return err
	}
	fmt.Fprintf(w, "Usage: archflow %s\n\n", c.Usage())
	writeWrapped(w, c.Help)
	if more, ok := c.Target().(interface{ Help() string }); ok { // of a command whose flags say too little
		for _, paragraph := range strings.Split(more.Help(), "\n\n") {
			fmt.Fprintln(w)
			writeWrapped(w, paragraph)
		}
	}
	if len(c.Commands) > 0 {
		fmt.Fprint(w, "\nCommands:\n")
		writeColumns(w, commandRows(c))
	}
	if len(c.Args) > 0 {
		fmt.Fprint(w, "\nArguments:\n")
		var rows [][2]string
		for _, a := range c.Args {
			rows = append(rows, [2]string{a.Usage(), a.Help})
		}
		writeColumns(w, rows)
	}
	top := c
	for top.Parent.Parent != nil {
		top = top.Parent
	}
	all := c.AllFlags()
	common := len(top.Parent.Flags)
	if own := all[common:]; len(own) > 0 {
		fmt.Fprint(w, "\nFlags:\n")
		writeColumns(w, flagRows(own))
	}
	settings, whole := settingsOf(all[:common], top.Name)
	fmt.Fprint(w, "\nSettings, each also in the environment (--log-format is ARCHFLOW_LOG_FORMAT) and in a file:\n")
	writeColumns(w, flagRows(settings))
	if !whole {
		fmt.Fprint(w, "\n'archflow run --help' has every setting.\n")
	}
	return nil
}

func commandRows(c *cli.Command) (rows [][2]string) {
	for _, child := range c.Commands {
		rows = append(rows, [2]string{child.Name, child.Help})
	}
	return rows
}

// settingsOf chooses from all settings those that a command uses, in their order;
// all says that nothing is left out.
func settingsOf(flags []*cli.Value, command string) (chosen []*cli.Value, all bool) {
	if command == "run" {
		return flags, true
	}
	wanted := append(slices.Clone(commonSettings), moreSettings[command]...)
	for _, f := range flags {
		if slices.Contains(wanted, f.Name) {
			chosen = append(chosen, f)
		}
	}
	return chosen, false
}

func flagRows(flags []*cli.Value) (rows [][2]string) {
	for _, f := range flags {
		rows = append(rows, [2]string{f.Usage(), f.Help})
	}
	return rows
}

// writeColumns writes names and descriptions, these wrapped in a column of their own.
func writeColumns(w io.Writer, rows [][2]string) {
	const most = 30
	width := 0
	for _, r := range rows {
		if len(r[0]) <= most {
			width = max(width, len(r[0]))
		}
	}
	for _, r := range rows {
		lines := wrap(r[1], helpWidth-width-4)
		if len(r[0]) > width {
			fmt.Fprintf(w, "  %s\n", r[0])
			r[0] = ""
		}
		for i, line := range lines {
			if i > 0 {
				r[0] = ""
			}
			fmt.Fprintf(w, "  %-*s  %s\n", width, r[0], line)
		}
	}
}

func writeWrapped(w io.Writer, text string) {
	for _, line := range wrap(text, helpWidth) {
		fmt.Fprintln(w, line)
	}
}

// wrap breaks text into lines of at most width characters; a longer word is
// alone. It returns one line at least.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
