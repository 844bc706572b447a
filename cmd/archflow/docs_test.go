package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTestsExist: the pages that name a test for each promise name tests
// that are there.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && strings.Trim(d.Name(), ".") != "" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:sinks\\.)?(?:Test|Fuzz)\\w+)`")
	for _, page := range []string{"reliability.md", "security.md"} {
		text, err := os.ReadFile(filepath.Join("../../docs", page))
		if err != nil {
			t.Fatal(err)
		}
		names := named.FindAllStringSubmatch(string(text), -1)
		if len(names) < 8 {
			t.Errorf("%s names %d tests", page, len(names))
		}
		for _, m := range names {
			if !there[strings.TrimPrefix(m[1], "sinks.")] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
		_, faults, _ := strings.Cut(string(text), "## Faults\n")
		faults, _, _ = strings.Cut(faults, "\n## ")
		for _, row := range strings.Split(faults, "\n") {
			if strings.HasPrefix(row, "| ") && !strings.HasPrefix(row, "| fault |") && !named.MatchString(row) {
				t.Errorf("%s: no test shows: %s", page, row)
			}
		}
	}
}

// TestNamedFilesExist: the pages for those who read the code name files that are
// there.
func TestNamedFilesExist(t *testing.T) {
	named := regexp.MustCompile("`((?:[a-z0-9]+/)+[a-z0-9_]+\\.go)`")
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "docs/design.md", "docs/tour.md", "docs/reliability.md", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}
