package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// pace is a type that reads its own text.
type pace float64

func (p *pace) UnmarshalText(text []byte) error {
	n, err := fmt.Sscanf(string(text), "%f/s", (*float64)(p))
	if n != 1 {
		return fmt.Errorf("%q is no pace: %w", text, err)
	}
	return nil
}

type Shared struct {
	Group     string        `default:"g" help:"A group."`
	TableRows int           `default:"7"`
	Hosts     []string      `placeholder:"HOST"`
	Role      string        `default:"all" enum:"all,worker"`
	Wait      time.Duration `default:"10s"`
	Share     float64
	Seed      uint64
}

type program struct {
	Shared
	Out struct {
		Files []string `arg:"" name:"file"`
		Pace  pace     `default:"2/s"`
		Quiet bool
		Prune bool `negatable:"" default:"true"`
	} `cmd:"" help:"Writes."`
	In struct {
		From struct {
			Topic string   `arg:"" enum:"a,b"`
			Seeds []uint32 `default:"1,2"`
			Task  string   `required:""`
		} `cmd:""`
		Rest struct {
			ID string `arg:"" optional:"" name:"id"`
		} `cmd:""`
	} `cmd:""`

	ignored int
	Skipped chan int `cli:"-"`
}

func parse(t *testing.T, line string, file Lookup) (program, *Parsed, error) {
	t.Helper()
	p := program{ignored: 1}
	c, err := New("program", "It does things.", "PROGRAM", &p)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := c.Parse(strings.Fields(line), file)
	return p, parsed, err
}

// TestParse: the command line goes over the environment, that over the file and
// that over the default, whatever the type.
func TestParse(t *testing.T) {
	t.Setenv("PROGRAM_TABLE_ROWS", "0x10")
	t.Setenv("PROGRAM_HOSTS", `a,b\,c,`)
	t.Setenv("PROGRAM_SHARE", "0.5")
	t.Setenv("PROGRAM_TASK", "nobody's")
	file := func(flag string) ([]string, bool, string) {
		switch flag {
		case "share", "role":
			return []string{"worker"}, false, "f:1"
		case "wait":
			return []string{"2m"}, false, "f:2"
		}
		return nil, false, ""
	}
	p, parsed, err := parse(t, `out --seed=3 x --no-prune --quiet --pace 5/s - y --seed 4 -- --z`, file)
	if err != nil {
		t.Fatal(err)
	}
	want := Shared{Group: "g", TableRows: 16, Hosts: []string{"a", "b,c"}, Role: "worker", Wait: 2 * time.Minute, Share: .5, Seed: 4}
	if !reflect.DeepEqual(p.Shared, want) {
		t.Errorf("%+v, want %+v", p.Shared, want)
	}
	if !slices.Equal(p.Out.Files, []string{"x", "-", "y", "--z"}) || p.Out.Pace != 5 || !p.Out.Quiet || p.Out.Prune {
		t.Errorf("%+v", p.Out)
	}
	if !slices.Equal(p.In.From.Seeds, []uint32{1, 2}) || p.In.From.Task != "" {
		t.Errorf("of another command: %+v", p.In.From)
	}
	if parsed.Command.Target() != any(&p.Out) && parsed.Command.Name != "out" {
		t.Errorf("command %s", parsed.Command.Name)
	}
	for flag, want := range map[string]string{"wait": "f:2 true", "seed": " true", "share": " true", "group": " false", "quiet": " true"} {
		if place, ok := parsed.Set(flag); fmt.Sprint(place, " ", ok) != want {
			t.Errorf("%s: %q %v", flag, place, ok)
		}
	}
	p, _, err = parse(t, "in from a --task t --seeds 5 --seeds=6,7 --hosts= --no-prune=false", nil)
	if err == nil || !strings.Contains(err.Error(), "unknown flag --no-prune") {
		t.Errorf("a flag of another command: %v", err)
	}
	p, _, err = parse(t, "in from a --task t --seeds 5 --seeds=6,7 --hosts=", nil)
	if err != nil || !slices.Equal(p.In.From.Seeds, []uint32{5, 6, 7}) || len(p.Hosts) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestRefusals: a refusal names the faulty word, and the meant one where it can be
// guessed.
func TestRefusals(t *testing.T) {
	t.Setenv("PROGRAM_WAIT", "10s")
	listed := func(flag string) ([]string, bool, string) {
		switch flag {
		case "table-rows":
			return []string{"1", "2"}, true, "f:3"
		case "role":
			return []string{"boss"}, false, "f:4"
		}
		return nil, false, ""
	}
	for line, want := range map[string]string{
		"":                               `expected one of "out", "in"`,
		"ot":                             `unexpected argument ot, did you mean one of "out", "in"?`,
		"in":                             `expected one of "from", "rest"`,
		"in rest a b":                    "unexpected argument b",
		"out":                            `expected "<file> ..."`,
		"out --grop":                     `unknown flag --grop, did you mean "--group"?`,
		"out --quite x":                  `unknown flag --quite, did you mean "--quiet"?`,
		"out -q":                         `unknown flag -q, did you mean "-h"?`,
		"in from a":                      "missing flags: --task=STRING",
		"in from c --task t":             `<topic> must be one of "a","b" but got "c"`,
		"in rest --role boss":            `--role must be one of "all","worker" but got "boss"`,
		"in rest --seed -1":              `--seed: expected uint value but got "-1"; perhaps try --seed="-1"?`,
		"in rest --seed=-1":              `--seed: expected a valid 64 bit uint but got "-1"`,
		"in rest --wait 5":               `--wait: expected duration but got "5"`,
		"in rest --hosts":                `--hosts: missing value, expecting "<arg>,..."`,
		"in rest --share":                "--share: missing value, expecting float",
		"in rest --share x":              `--share: expected a float but got "x"`,
		"out --pace x y":                 `--pace: "x" is no pace`,
		"out --quiet=maybe y":            `--quiet: bool value must be`,
		"out --no-prune=maybe y":         `--no-prune: bool value must be`,
		"in from a --task t --seeds 1,x": `--seeds: expected a valid 32 bit uint but got "x"`,
		"in rest":                        "f:3: --table-rows: expected one value but got a list",
		"in rest --table-rows 1":         `f:4: --role must be one of`,
	} {
		file := listed
		if !strings.HasPrefix(want, "f:") {
			file = nil
		}
		if _, _, err := parse(t, line, file); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	t.Setenv("PROGRAM_WAIT", "soon")
	if _, _, err := parse(t, "in rest", nil); err == nil || !strings.Contains(err.Error(), `PROGRAM_WAIT="soon"`) {
		t.Error(err)
	}
}

// TestDescription: the parts of a program's help.
func TestDescription(t *testing.T) {
	var p program
	c, err := New("program", "It does things.", "PROGRAM", &p)
	if err != nil {
		t.Fatal(err)
	}
	out, from := c.Commands[0], c.Commands[1].Commands[0]
	for got, want := range map[string]string{
		out.Usage():           "out <file> ... [flags]",
		from.Usage():          "in from --task=STRING <topic> [flags]",
		c.Commands[1].Usage(): "in <command> [flags]",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var usage []string
	for _, f := range out.AllFlags() {
		usage = append(usage, f.Usage())
	}
	if got, want := strings.Join(usage, " "), `--group="g" --table-rows=7 --hosts=HOST,... --role="all" --wait=10s --share=FLOAT-64 --seed=UINT-64 --pace=2/s --quiet --prune`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if _, parsed, err := parse(t, "in from -h", nil); err != nil || !parsed.Help || parsed.Command.Name != "from" {
		t.Error(err)
	}
	if _, err := New("", "", "", &struct{ Map map[string]int }{}); err == nil {
		t.Error("a map is taken")
	}
	if _, err := New("", "", "", &struct {
		N int `default:"many"`
	}{}); err == nil {
		t.Error("a default that is no number is taken")
	}
	var defaults Shared
	parser, err := New("", "", "", &defaults)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil, nil); err != nil || defaults.Group != "g" || defaults.Wait != 10*time.Second {
		t.Errorf("%+v, %v", defaults, err)
	}
}
