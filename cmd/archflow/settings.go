package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// settings resolves flags that the command line leaves out, first from the
// environment, then from the configuration file.
type settings struct {
	values map[string]any    // flag name -> text, or list of texts
	places map[string]string // flag name -> FILE:LINE
	used   map[string]bool   // flags whose value came from the file
}

func newSettings() settings {
	return settings{map[string]any{}, map[string]string{}, map[string]bool{}}
}

// Validate is part of kong.Resolver; loadSettings has checked everything.
func (s settings) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag, nil when nothing sets it.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if value, ok := os.LookupEnv(name); ok {
			return value, nil
		}
	}
	value, set := s.values[flag.Name]
	s.used[flag.Name] = set
	return value, nil
}

// locate puts the place in the file before each line of an error that is about
// a value from it.
func (s settings) locate(err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "--"), " ")
		name = strings.TrimSuffix(name, ":")
		if s.used[name] {
			lines[i] = s.places[name] + ": " + line
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// loadSettings reads a configuration file, if path names one, and checks every
// key of it against the flags of p. Keys may be nested: "tls: {ca: FILE}" is
// "tls-ca: FILE".
func loadSettings(p *kong.Kong, path string) (settings, error) {
	s := newSettings()
	if path == "" {
		return s, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("configuration: %w", err)
	}
	return s, s.parse(p, path, text)
}

// parse reads the text of a configuration file.
func (s settings) parse(p *kong.Kong, path string, text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("%s: not YAML: %w", path, err)
	}
	known := map[string]bool{}
	for _, flag := range p.Model.Flags {
		if flag.Name != "help" && flag.Name != "config" {
			known[flag.Name] = true
		}
	}
	if len(file.Docs) > 1 {
		return fmt.Errorf("%s: %d YAML documents; put all settings into one", path, len(file.Docs))
	}
	var wrong []error
	for _, doc := range file.Docs {
		if doc.Body != nil {
			wrong = append(wrong, s.add(known, path, "", doc.Body)...)
		}
	}
	return errors.Join(wrong...)
}

// add takes over a mapping whose keys begin with prefix.
func (s settings) add(known map[string]bool, path, prefix string, node ast.Node) (wrong []error) {
	at := func(t *token.Token, format string, a ...any) {
		wrong = append(wrong, fmt.Errorf("%s:%d: %s", path, t.Position.Line, fmt.Sprintf(format, a...)))
	}
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil
	default:
		at(node.GetToken(), "want 'key: value' lines, found %s", node.Type())
		return wrong
	}
	for _, pair := range pairs {
		key := prefix + strings.ReplaceAll(pair.Key.String(), "_", "-")
		s.places[key] = fmt.Sprintf("%s:%d", path, pair.Key.GetToken().Position.Line)
		switch value := pair.Value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			wrong = append(wrong, s.add(known, path, key+"-", value)...)
			continue
		case *ast.SequenceNode:
			list := make([]any, 0, len(value.Values))
			for _, item := range value.Values {
				list = append(list, item.GetToken().Value)
			}
			s.values[key] = list
		case *ast.NullNode:
			continue
		default:
			s.values[key] = value.GetToken().Value
		}
		if !known[key] {
			at(pair.Key.GetToken(), "unknown key %q%s", key, suggestion(known, key))
		}
	}
	return wrong
}

// foreignVariable matches what Kubernetes gives to every pod beside a service of
// the name archflow.
var foreignVariable = regexp.MustCompile(`^ARCHFLOW_(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?)$`)

// strangeVariables returns a sentence for each variable of the environment that
// begins like a setting and is none: a misspelt one would be passed over.
func strangeVariables(p *kong.Kong, environ []string) (hints []string) {
	known := map[string]bool{}
	var learn func(n *kong.Node)
	learn = func(n *kong.Node) {
		for _, f := range n.Flags {
			for _, name := range f.Envs {
				known[name] = true
			}
		}
		for _, c := range n.Children {
			learn(c)
		}
	}
	learn(p.Model.Node)
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "ARCHFLOW_") && !known[name] && !foreignVariable.MatchString(name) {
			hints = append(hints, fmt.Sprintf("%s in the environment is no setting and changes nothing%s", name, suggestion(known, name)))
		}
	}
	sort.Strings(hints)
	return hints
}

// suggestion names the known key that is nearest to a wrong one.
func suggestion(known map[string]bool, key string) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	best, distance := "", len(key)/2+1
	for _, name := range names {
		if d := editDistance(name, key); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return "; 'archflow run --help' lists the keys"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
