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
		return notYAML(path, err)
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
	r := settingsReader{settings: s, known: known, path: path, anchors: map[string]ast.Node{}}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			r.add("", doc.Body)
		}
	}
	return errors.Join(r.wrong...)
}

// notYAML says in one line what the parser says with a picture of the text.
func notYAML(path string, err error) error {
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("%s: not YAML: %s", path, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return fmt.Errorf("%s:%d: not YAML: %s", path, at.GetToken().Position.Line, strings.ReplaceAll(at.GetMessage(), "\n", " "))
}

// settingsReader takes the settings from the nodes of a YAML file.
type settingsReader struct {
	settings settings
	known    map[string]bool
	path     string
	anchors  map[string]ast.Node // of the lines read so far
	wrong    []error
}

// refuse records an error in the line of a node.
func (r *settingsReader) refuse(node ast.Node, format string, a ...any) {
	r.wrong = append(r.wrong, fmt.Errorf("%s:%d: %s", r.path, node.GetToken().Position.Line, fmt.Sprintf(format, a...)))
}

// add takes over a mapping whose keys begin with prefix.
func (r *settingsReader) add(prefix string, node ast.Node) {
	content, ok := r.resolve(node)
	if !ok {
		return
	}
	var pairs []*ast.MappingValueNode
	switch n := content.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.NullNode, *ast.CommentGroupNode:
		return
	default:
		r.refuse(node, "want 'key: value' lines, found %s", node.Type())
		return
	}
	for _, pair := range pairs {
		r.pair(prefix, pair)
	}
}

// pair takes over a key and its value.
func (r *settingsReader) pair(prefix string, pair *ast.MappingValueNode) {
	key, ok := r.key(pair.Key)
	if !ok {
		return
	}
	key = prefix + key
	value, ok := r.resolve(pair.Value)
	if !ok {
		return
	}
	found := setting{place: fmt.Sprintf("%s:%d", r.path, pair.Key.GetToken().Position.Line)}
	switch value := value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		r.add(key+"-", value)
		return
	case *ast.NullNode:
		return
	case *ast.SequenceNode:
		found.isList = true
		found.texts, ok = r.items(value)
	default:
		var text string
		text, ok = r.text(value)
		found.texts = []string{text}
	}
	if !ok {
		return
	}
	if !r.known[key] {
		r.refuse(pair.Key, "unknown key %q%s", key, suggestion(r.known, key))
	}
	if before, twice := r.settings[key]; twice {
		r.refuse(pair.Key, "%s is set at %s too; leave one of them out", key, before.place)
	}
	r.settings[key] = found
}

// key returns the name of a setting.
func (r *settingsReader) key(node ast.Node) (string, bool) {
	if asked, ok := node.(*ast.MappingKeyNode); ok { // "? key"
		node = asked.Value
	}
	if _, ok := node.(*ast.MergeKeyNode); ok {
		r.refuse(node, "a configuration merges nothing (<<); write the keys themselves")
		return "", false
	}
	content, ok := r.resolve(node)
	if !ok {
		return "", false
	}
	text, ok := r.text(content)
	return strings.ReplaceAll(text, "_", "-"), ok
}

// items returns the texts of a list.
func (r *settingsReader) items(list *ast.SequenceNode) (texts []string, ok bool) {
	for _, item := range list.Values {
		content, ok := r.resolve(item)
		if !ok {
			return nil, false
		}
		text, ok := r.text(content)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// plainTags are the tags under which a text stays what it is.
var plainTags = map[string]bool{"!": true, "!!str": true, "!!int": true, "!!float": true, "!!bool": true}

// resolve returns what a node with a tag or an anchor holds, or what an alias
// stands for. An alias of a mapping is refused: a few lines of them could stand
// for more keys than there is memory.
func (r *settingsReader) resolve(node ast.Node) (content ast.Node, ok bool) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		content, ok = r.resolve(n.Value)
		if ok {
			r.anchors[n.Name.GetToken().Value] = content
		}
		return content, ok
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		switch content = r.anchors[name]; content.(type) {
		case nil:
			r.refuse(n, "*%s stands for nothing: no &%s is above; quote a text that begins with '*'", name, name)
			return nil, false
		case *ast.MappingNode, *ast.MappingValueNode:
			r.refuse(n, "*%s stands for several keys; write the keys themselves", name)
			return nil, false
		}
		return content, true
	case *ast.TagNode:
		return r.tagged(n)
	}
	return node, true
}

// tagged returns what a node with a tag holds.
func (r *settingsReader) tagged(n *ast.TagNode) (content ast.Node, ok bool) {
	if n.Value != nil {
		if content, ok = r.resolve(n.Value); !ok {
			return nil, false
		}
	}
	switch content.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		ok = n.Start.Value == "!!map"
	case *ast.SequenceNode:
		ok = n.Start.Value == "!!seq"
	case nil, *ast.NullNode:
		ok = false
	default:
		ok = plainTags[n.Start.Value]
	}
	if !ok {
		r.refuse(n, "the tag %s has no meaning here; leave it out, and quote a text that begins with '!'", n.Start.Value)
	}
	return content, ok
}

// text returns the text of a single value, which a setting is, or an item of
// one. The end of a block text's last line is not of it.
func (r *settingsReader) text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		text := strings.TrimRight(n.Value.Value, "\n")
		if strings.Contains(text, "\n") {
			r.refuse(n, "a text of several lines; a setting is one line, and a list is written [a, b]")
			return "", false
		}
		return text, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		r.refuse(n, "an item without a value; leave it out, or write \"\" for an empty text")
		return "", false
	}
	r.refuse(node, "want one value, found %s; a list holds single values", node.Type())
	return "", false
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
