package main

import (
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
	for _, folder := range []string{".", "../../pipeline", "../../sinks", "../../schemas", "../../stages", "../../ops", "../../encoders", "../../encoders/learner"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				there[m[1]] = true
			}
		}
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
