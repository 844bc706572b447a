package pipeline_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mayImport lists, for every folder at the top of the tree, the others that its
// code may import. It is the picture in docs/design.md, read from left to right.
var mayImport = map[string][]string{
	"schemas":  {},
	"ops":      {},
	"encoders": {"encoders", "schemas"},
	"sinks":    {"sinks", "internal/kafka", "schemas"},
	"stages":   {"stages", "encoders", "schemas"},
	"pipeline": {"pipeline", "stages", "sinks", "internal/kafka", "encoders", "schemas", "ops"},
	"cmd":      {"cmd", "pipeline", "stages", "sinks", "internal/kafka", "encoders", "schemas", "ops"},

	"internal/kafka": {"internal/kafka", "schemas"},
	"internal":       {}, // the other folders there know nothing of ours, and everyone may use them
}

// room returns the key of mayImport to which a path belongs.
func room(path string) string {
	top, rest, _ := strings.Cut(path, "/")
	if below, _, _ := strings.Cut(rest, "/"); mayImport[top+"/"+below] != nil {
		return top + "/" + below
	}
	return top
}

// wrongArrow returns the import of file that runs against the arrows, if any.
func wrongArrow(file, source string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return "", err
	}
	from := room(filepath.ToSlash(file))
next:
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return "", err
		}
		rest, ours := strings.CutPrefix(path, "archflow/")
		if !ours {
			continue
		}
		to := room(rest)
		if to == "internal" || to == from && from == filepath.ToSlash(filepath.Dir(file)) {
			continue // or an external test of the package itself
		}
		for _, allowed := range mayImport[from] {
			if to == allowed {
				continue next
			}
		}
		return path, nil
	}
	return "", nil
}

func TestImportsRunOneWay(t *testing.T) {
	files := 0
	for folder := range mayImport {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := filepath.Rel("..", path)
			if err != nil {
				return err
			}
			files++
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			wrong, err := wrongArrow(file, string(source))
			if wrong != "" {
				t.Errorf("%s imports %s: %s may import only %v", file, wrong, room(filepath.ToSlash(file)), mayImport[room(filepath.ToSlash(file))])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 20 {
		t.Fatalf("only %d files found: is the test in the right folder?", files)
	}
}

func TestWrongArrowIsFound(t *testing.T) {
	for file, source := range map[string]string{
		"schemas/a.go":  "package schemas\nimport _ \"archflow/stages\"",
		"encoders/a.go": "package encoders\nimport _ \"archflow/sinks\"",
		"ops/a.go":      "package ops\nimport _ \"archflow/schemas\"",
		"ops/b.go":      "package ops\nimport _ \"archflow/internal/kafka\"",

		"internal/kafka/a.go":  "package kafka\nimport _ \"archflow/sinks\"",
		"internal/finite/a.go": "package finite\nimport _ \"archflow/schemas\"",
		"stages/a.go":          "package stages\nimport _ \"archflow/pipeline\"",
	} {
		if wrong, err := wrongArrow(file, source); err != nil || wrong == "" {
			t.Errorf("%s: want its import refused, got %q, %v", file, wrong, err)
		}
	}
}
