package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"archflow/internal/cli"
)

// settings are those of a configuration file, by the names of their flags.
type settings map[string]setting

type setting struct {
	texts  []string
	isList bool
	place  string // FILE:LINE
}

// lookup is a cli.Lookup.
func (s settings) lookup(flag string) (texts []string, isList bool, place string) {
	found := s[flag]
	return found.texts, found.isList, found.place
}

// locate puts the place in the file before each line of an error that is about
// a value from it.
func (s settings) locate(parsed *cli.Parsed, err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "--"), " ")
		if place, _ := parsed.Set(strings.TrimSuffix(name, ":")); place != "" {
			lines[i] = place + ": " + line
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// loadSettings reads a configuration file, if path names one, and checks every
// key of it against the flags of p. Keys may be nested: "tls: {ca: FILE}" is
// "tls-ca: FILE".
func loadSettings(p *cli.Command, path string) (settings, error) {
	s := settings{}
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
func (s settings) parse(p *cli.Command, path string, text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("%s: not YAML: %w", path, err)
	}
	known := map[string]bool{}
	for _, flag := range p.Flags {
		if flag.Name != "config" {
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
		found := setting{place: fmt.Sprintf("%s:%d", path, pair.Key.GetToken().Position.Line)}
		switch value := pair.Value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			wrong = append(wrong, s.add(known, path, key+"-", value)...)
			continue
		case *ast.SequenceNode:
			found.isList = true
			for _, item := range value.Values {
				found.texts = append(found.texts, item.GetToken().Value)
			}
		case *ast.NullNode:
			continue
		default:
			found.texts = []string{value.GetToken().Value}
		}
		s[key] = found
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
func strangeVariables(p *cli.Command, environ []string) (hints []string) {
	known := map[string]bool{}
	var learn func(c *cli.Command)
	learn = func(c *cli.Command) {
		for _, f := range c.Flags {
			known[f.Env] = true
		}
		for _, child := range c.Commands {
			learn(child)
		}
	}
	learn(p)
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
		if d := cli.Distance(name, key); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return "; 'archflow run --help' lists the keys"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
