package cli

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Command is the program itself or one of its commands.
type Command struct {
	Name, Help string
	Parent     *Command // nil of the program
	Commands   []*Command
	Flags      []*Value // without those of the commands above it
	Args       []*Value

	target reflect.Value
}

// Value is a flag or an argument.
type Value struct {
	Name, Help  string
	Env         string // the variable that sets it, "" of arguments
	Placeholder string // the value's placeholder in the help, "" for switches
	Required    bool
	Arg         bool

	field      reflect.Value
	initial    string
	hasDefault bool
	enum       []string
	negatable  bool
}

// New describes the program whose settings are target, a pointer to a struct.
// Flags are also variables of the environment that begin with env and _, unless
// env is empty. It fails when a tag or a type is wrong.
func New(name, help, env string, target any) (*Command, error) {
	root := &Command{Name: name, Help: help, target: reflect.ValueOf(target).Elem()}
	if err := root.describe(root.target, env); err != nil {
		return nil, err
	}
	return root, nil
}

// Target is a pointer to the struct of the command.
func (c *Command) Target() any { return c.target.Addr().Interface() }

// each calls do with every flag and argument of the command and those below it.
func (c *Command) each(do func(*Value) error) error {
	for _, list := range [][]*Value{c.Flags, c.Args} {
		for _, v := range list {
			if err := do(v); err != nil {
				return err
			}
		}
	}
	for _, child := range c.Commands {
		if err := child.each(do); err != nil {
			return err
		}
	}
	return nil
}

// AllFlags returns the flags that may be given with the command: those of the
// program first, its own last.
func (c *Command) AllFlags() []*Value {
	if c.Parent == nil {
		return c.Flags
	}
	above := c.Parent.AllFlags()
	return append(above[:len(above):len(above)], c.Flags...)
}

// describe adds the fields of a struct.
func (c *Command) describe(of reflect.Value, env string) error {
	for i := range of.NumField() {
		field, tag := of.Type().Field(i), of.Type().Field(i).Tag
		if (!field.IsExported() && !field.Anonymous) || tag.Get("cli") == "-" {
			continue
		}
		_, isCommand := tag.Lookup("cmd")
		switch {
		case isCommand:
			child := &Command{Name: nameOf(field), Help: tag.Get("help"), Parent: c, target: of.Field(i)}
			if err := child.describe(child.target, env); err != nil {
				return err
			}
			c.Commands = append(c.Commands, child)
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			if err := c.describe(of.Field(i), env); err != nil {
				return err
			}
		default:
			v, err := newValue(field, of.Field(i), env)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", of.Type(), field.Name, err)
			}
			if v.Arg {
				c.Args = append(c.Args, v)
			} else {
				c.Flags = append(c.Flags, v)
			}
		}
	}
	return nil
}

func newValue(field reflect.StructField, of reflect.Value, env string) (*Value, error) {
	tag := field.Tag
	has := func(key string) bool {
		_, ok := tag.Lookup(key)
		return ok
	}
	v := &Value{
		Name: nameOf(field), Help: tag.Get("help"), Arg: has("arg"), Required: has("required"), field: of,
		initial: tag.Get("default"), hasDefault: has("default"), negatable: has("negatable"),
	}
	if has("enum") {
		v.enum = strings.Split(tag.Get("enum"), ",")
	}
	if v.Arg {
		v.Required = !has("optional")
	} else if env != "" {
		v.Env = env + "_" + strings.ToUpper(strings.ReplaceAll(v.Name, "-", "_"))
	}
	v.Placeholder = v.placeholder(tag.Get("placeholder"))
	return v, v.reset()
}

// placeholder returns the tag's, the default, or the type's name.
func (v *Value) placeholder(tag string) string {
	more := ""
	typ := v.field.Type()
	if v.isList() {
		more = ",..."
	}
	switch {
	case v.IsSwitch():
		return ""
	case tag != "":
		return tag + more
	case v.hasDefault && typ.Kind() == reflect.String:
		return strconv.Quote(v.initial)
	case v.hasDefault:
		return v.initial + more
	case typ.Name() != "":
		return strings.ToUpper(dashed(typ.Name()))
	default:
		return strings.ToUpper(v.Name) + more
	}
}

// IsSwitch says that the flag needs no value.
func (v *Value) IsSwitch() bool { return v.field.Kind() == reflect.Bool }

func (v *Value) isList() bool {
	_, isText := v.field.Addr().Interface().(encoding.TextUnmarshaler)
	return v.field.Kind() == reflect.Slice && !isText
}

// String is how messages name the value.
func (v *Value) String() string {
	if !v.Arg {
		return "--" + v.Name
	}
	return v.Usage()
}

// Usage is the value's form on a command line.
func (v *Value) Usage() string {
	switch {
	case !v.Arg && v.IsSwitch():
		return "--" + v.Name
	case !v.Arg:
		return "--" + v.Name + "=" + v.Placeholder
	}
	text := "<" + v.Name + ">"
	if v.isList() {
		text += " ..."
	}
	if !v.Required {
		text = "[" + text + "]"
	}
	return text
}

// Usage is a line such as "search --task=STRING <space> [flags]", "" of the
// program itself.
func (c *Command) Usage() string {
	var words []string
	for at := c; at.Parent != nil; at = at.Parent {
		words = append([]string{at.Name}, words...)
	}
	for _, f := range c.AllFlags() {
		if f.Required {
			words = append(words, f.Usage())
		}
	}
	for _, a := range c.Args {
		words = append(words, a.Usage())
	}
	if len(c.Args) == 0 && len(c.Commands) > 0 {
		words = append(words, "<command>")
	}
	return strings.Join(append(words, "[flags]"), " ")
}

func nameOf(field reflect.StructField) string {
	if name := field.Tag.Get("name"); name != "" {
		return name
	}
	return dashed(field.Name)
}

// dashed writes TableRows as table-rows.
func dashed(name string) string {
	var b strings.Builder
	before := rune(0)
	for _, r := range name {
		if unicode.IsLower(before) && !unicode.IsLower(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return b.String()
}

var durationType = reflect.TypeFor[time.Duration]()
