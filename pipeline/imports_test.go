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
	"internal": {"internal", "schemas"},
	"encoders": {"encoders", "schemas"},
	"sinks":    {"sinks", "internal", "schemas"},
	"stages":   {"stages", "encoders", "schemas"},
	"pipeline": {"pipeline", "stages", "sinks", "internal", "encoders", "schemas", "ops"},
	"cmd":      {"cmd", "pipeline", "stages", "sinks", "internal", "encoders", "schemas", "ops"},
}

// wrongArrow returns the import of file that runs against the arrows, if any.
func wrongArrow(file, source string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return "", err
	}
	from, _, _ := strings.Cut(filepath.ToSlash(file), "/")
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
		if rest == "internal/finite" {
			continue // imports nothing of ours and may be imported everywhere
		}
		to, _, _ := strings.Cut(rest, "/")
		if to == from && from == filepath.ToSlash(filepath.Dir(file)) {
			continue // an external test of the package itself
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
				t.Errorf("%s imports %s: %s may import only %v", file, wrong, strings.Split(file, "/")[0], mayImport[strings.Split(file, "/")[0]])
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
		"internal/a.go": "package internal\nimport _ \"archflow/sinks\"",
		"stages/a.go":   "package stages\nimport _ \"archflow/pipeline\"",
	} {
		if wrong, err := wrongArrow(file, source); err != nil || wrong == "" {
			t.Errorf("%s: want its import refused, got %q, %v", file, wrong, err)
		}
	}
}
