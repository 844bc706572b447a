package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Lookup returns a flag's setting in a file: one text, or the elements of a list, and
// its place, such as FILE:LINE. The place is empty if the file does not set the flag.
type Lookup func(flag string) (texts []string, isList bool, place string)

// Parsed is a command line that was read.
type Parsed struct {
	Command *Command // the one that was named; the program itself when none was
	Help    bool     // that help is wanted; nothing is set then

	values map[*Value]string // values that were set, and where
	given  []setting
	args   map[*Value][]string
}

// setting is a flag of the command line.
type setting struct {
	flag *Value
	text string
}

// Set says whether the command line, the environment or the file sets a flag, and
// the place in the file if it was that.
func (p *Parsed) Set(flag string) (place string, ok bool) {
	for v, place := range p.values {
		if v.Name == flag && !v.Arg {
			return place, true
		}
	}
	return "", false
}

// Parse reads args, without the program's name, and sets every field of the
// program: by args, by the environment, by the file, or to its default; file may be
// nil. A flag of a command that is not named is set to its default.
func (c *Command) Parse(args []string, file Lookup) (*Parsed, error) {
	p := &Parsed{Command: c, values: map[*Value]string{}, args: map[*Value][]string{}}
	if err := p.walk(args); err != nil {
		return nil, err
	}
	if p.Help {
		return p, nil
	}
	if err := c.each((*Value).reset); err != nil {
		return nil, err
	}
	if err := p.assign(file); err != nil {
		return nil, err
	}
	return p, p.check()
}

// walk takes the words of a command line in turn.
func (p *Parsed) walk(words []string) error {
	flagsEnd := false
	args := 0 // of the command that have begun
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch {
		case flagsEnd || word == "-" || !strings.HasPrefix(word, "-"):
			if args < len(p.Command.Args) {
				arg := p.Command.Args[args]
				p.args[arg] = append(p.args[arg], word)
				if !arg.isList() {
					args++
				}
				continue
			}
			if err := p.enter(word); err != nil {
				return err
			}
		case word == "--":
			flagsEnd = true
		default:
			rest, err := p.flag(word, words)
			if err != nil {
				return err
			}
			words = rest
		}
	}
	return nil
}

// enter goes on with a command below the present one.
func (p *Parsed) enter(word string) error {
	var names []string
	for _, child := range p.Command.Commands {
		if child.Name == word {
			p.Command = child
			return nil
		}
		names = append(names, child.Name)
	}
	return fmt.Errorf("unexpected argument %s%s", word, didYouMean(word, names))
}

// flag takes a flag and its value, and returns the words after them.
func (p *Parsed) flag(word string, words []string) ([]string, error) {
	name, text, hasText := strings.Cut(word, "=")
	if name == "-h" || name == "--help" {
		p.Help = true
		return words, nil
	}
	names := []string{"--help", "-h"}
	for _, f := range p.Command.AllFlags() {
		names = append(names, "--"+f.Name)
		negated := f.negatable && name == "--no-"+f.Name
		if name != "--"+f.Name && !negated {
			continue
		}
		switch {
		case f.IsSwitch() && !hasText:
			text = "true"
		case !hasText && len(words) == 0:
			return nil, f.missing()
		case !hasText && strings.HasPrefix(words[0], "-") && words[0] != "-":
			return nil, fmt.Errorf("%s: expected %s value but got %q; perhaps try %s=%q?", f, f.kind(), words[0], f, words[0])
		case !hasText:
			text, words = words[0], words[1:]
		}
		if negated {
			on, err := readSwitch(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			text = strconv.FormatBool(!on)
		}
		p.given = append(p.given, setting{f, text})
		return words, nil
	}
	return nil, fmt.Errorf("unknown flag %s%s", name, didYouMean(name, names))
}

// missing reports a flag at the end of the line without its value.
func (v *Value) missing() error {
	if v.isList() {
		return fmt.Errorf(`%s: missing value, expecting "<arg>,..."`, v)
	}
	return fmt.Errorf("%s: missing value, expecting %s", v, v.kind())
}

// assign sets the flags and arguments of the command.
func (p *Parsed) assign(file Lookup) error {
	for _, s := range p.given {
		if _, again := p.values[s.flag]; !again {
			s.flag.field.SetZero()
		}
		p.values[s.flag] = ""
		if err := s.flag.set(s.text); err != nil {
			return err
		}
	}
	for _, arg := range p.Command.Args {
		texts := p.args[arg]
		if len(texts) == 0 {
			continue
		}
		p.values[arg] = ""
		var err error
		if arg.isList() {
			err = arg.add(texts)
		} else {
			err = arg.set(texts[0])
		}
		if err != nil {
			return err
		}
	}
	for _, f := range p.Command.AllFlags() {
		if _, done := p.values[f]; done {
			continue
		}
		if err := p.resolve(f, file); err != nil {
			return err
		}
	}
	return nil
}

// resolve sets a flag that the command line leaves out.
func (p *Parsed) resolve(f *Value, file Lookup) error {
	if text, ok := os.LookupEnv(f.Env); ok && f.Env != "" {
		p.values[f] = ""
		f.field.SetZero()
		if err := f.set(text); err != nil {
			return fmt.Errorf("%w (from %s=%q in the environment)", err, f.Env, text)
		}
		return nil
	}
	if file == nil {
		return nil
	}
	if file == nil {
		return nil
	}
	texts, isList, place := file(f.Name)
	if place == "" {
		return nil
	}
	p.values[f] = place
	f.field.SetZero()
	var err error
	switch {
	case !isList:
		err = f.set(texts[0])
	case f.isList():
		err = f.add(texts)
	default:
		err = fmt.Errorf("%s: expected one value but got a list", f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	return nil
}

// check fails when something is missing or none of the accepted values.
func (p *Parsed) check() error {
	for _, v := range slices.Concat(p.Command.AllFlags(), p.Command.Args) {
		if err := v.check(); err != nil {
			if place := p.values[v]; place != "" {
				return fmt.Errorf("%s: %w", place, err)
			}
			return err
		}
	}
	var missing []string
	for _, f := range p.Command.AllFlags() {
		if _, ok := p.values[f]; f.Required && !ok {
			missing = append(missing, f.Usage())
		}
	}
	if missing != nil {
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
	}
	for _, a := range p.Command.Args {
		if _, ok := p.values[a]; a.Required && !ok {
			missing = append(missing, a.Usage())
		}
	}
	if missing != nil {
		return fmt.Errorf("expected %q", strings.Join(missing, " "))
	}
	for _, child := range p.Command.Commands {
		missing = append(missing, strconv.Quote(child.Name))
	}
	switch {
	case len(missing) == 1:
		return fmt.Errorf("expected %s", missing[0])
	case len(missing) > 5:
		missing = append(missing[:5], "...")
		fallthrough
	case missing != nil:
		return fmt.Errorf("expected one of %s", strings.Join(missing, ", "))
	}
	return nil
}

// didYouMean names the words that begin with the typed one or are at most two changes
// from it.
func didYouMean(typed string, words []string) string {
	var similar []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) || Distance(w, typed) <= 2 {
			similar = append(similar, strconv.Quote(w))
		}
	}
	switch len(similar) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(", did you mean %s?", similar[0])
	}
	return fmt.Sprintf(", did you mean one of %s?", strings.Join(similar, ", "))
}

// Distance is Levenshtein's: how many bytes must be put in, left out or changed.
func Distance(a, b string) int {
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
