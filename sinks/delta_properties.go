package sinks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Properties of a table that its writers obey.
const (
	fileRetention     = "delta.deletedFileRetentionDuration"
	logRetention      = "delta.logRetentionDuration"
	logCleanup        = "delta.enableExpiredLogCleanup"
	checkpointSetting = "delta.checkpointInterval"
	constraintPrefix  = "delta.constraints."
	mappingMode       = "delta.columnMapping.mode"
)

// ErrRefused says that a table is in a state in which this writer must not write
// to it, until somebody changes the table.
var ErrRefused = errors.New("the table cannot be written as it is")

// duration returns a property that is an interval, such as "interval 2 days".
func (m *metaData) duration(property string, otherwise time.Duration) time.Duration {
	units := map[string]time.Duration{
		"week": 7 * 24 * time.Hour, "day": 24 * time.Hour, "hour": time.Hour, "minute": time.Minute,
		"second": time.Second, "millisecond": time.Millisecond, "microsecond": time.Microsecond,
	}
	words := strings.Fields(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(m.Configuration[property])), "interval"))
	if len(words) == 0 || len(words)%2 != 0 {
		return otherwise
	}
	sum := time.Duration(0)
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.ParseInt(words[i], 10, 32)
		unit, ok := units[strings.TrimSuffix(words[i+1], "s")]
		if err != nil || !ok || n < 0 {
			return otherwise
		}
		sum += time.Duration(n) * unit
	}
	return sum
}

// checkpointEach returns after how many commits the log is summed up.
func (m *metaData) checkpointEach() int64 {
	if n, err := strconv.ParseInt(m.Configuration[checkpointSetting], 10, 32); err == nil && n > 0 {
		return n
	}
	return checkpointEvery
}

// satisfied are the features of a table that a writer meets which appends rows,
// merges files and deletes none. Those with a test are met while the table
// makes no use of them.
var satisfied = map[string]func(*metaData) error{
	"appendOnly":       nil, // merging changes no data
	"changeDataFeed":   nil, // readers take appended rows from the files themselves
	"checkConstraints": (*metaData).withoutConstraints,
	"invariants":       (*metaData).withoutExpressions,
	"generatedColumns": (*metaData).withoutExpressions,
	"identityColumns":  (*metaData).withoutExpressions,
	"columnMapping":    (*metaData).withoutMapping,
	"timestampNtz":     nil, // no column of ours is one
}

// legacyFeatures are those that the versions up to 6 of the writer's protocol
// bring along.
var legacyFeatures = []struct {
	version  int32
	features []string
}{
	{2, []string{"appendOnly", "invariants"}}, {3, []string{"checkConstraints"}}, {4, []string{"changeDataFeed", "generatedColumns"}},
	{5, []string{"columnMapping"}}, {6, []string{"identityColumns"}},
}

func (m *metaData) withoutConstraints() error {
	for _, key := range slices.Sorted(maps.Keys(m.Configuration)) {
		if name, ok := strings.CutPrefix(key, constraintPrefix); ok {
			return fmt.Errorf("it has the constraint %s (%s), which archflow cannot check; drop it (ALTER TABLE ... DROP CONSTRAINT %s)", name, m.Configuration[key], name)
		}
	}
	return nil
}

func (m *metaData) withoutExpressions() error {
	schema, err := parseSchema(*m)
	if err != nil {
		return err
	}
	for _, field := range fieldsOf(schema) {
		about, _ := field["metadata"].(map[string]any)
		for key := range about {
			if key == "delta.invariants" || key == "delta.generationExpression" || strings.HasPrefix(key, "delta.identity.") {
				return fmt.Errorf("its column %v has %s, which archflow cannot satisfy; remove it from the column", field["name"], key)
			}
		}
	}
	return nil
}

func (m *metaData) withoutMapping() error {
	if mode := m.Configuration[mappingMode]; mode != "" && mode != "none" {
		return fmt.Errorf("its columns are mapped by %s, and archflow writes them by their own names; write to another table", mode)
	}
	return nil
}

// check refuses a table that this writer would damage, in one sentence.
func (s *deltaSnapshot) check() error {
	if s.metaData.ID == "" {
		return fmt.Errorf("version %d of the table's log has no metaData", s.version)
	}
	p := &s.protocol
	features := slices.Concat(p.ReaderFeatures, p.WriterFeatures)
	listed := p.MinWriterVersion == 7 && p.WriterFeatures != nil && (p.MinReaderVersion < 3 || p.ReaderFeatures != nil)
	if p.MinReaderVersion > 3 || p.MinWriterVersion > 7 || (p.MinWriterVersion == 7 || p.MinReaderVersion == 3) && !listed {
		return fmt.Errorf("%w: another program has raised it to protocol %d/%d, which archflow does not know; write to another table",
			ErrRefused, p.MinReaderVersion, p.MinWriterVersion)
	}
	for _, legacy := range legacyFeatures {
		if p.MinWriterVersion < 7 && legacy.version <= p.MinWriterVersion {
			features = append(features, legacy.features...)
		}
	}
	for _, name := range features {
		met, known := satisfied[name]
		if !known {
			return fmt.Errorf("%w: another program has given it the feature %s, which archflow does not write; drop the feature (ALTER TABLE ... DROP FEATURE %s) or write to another table", ErrRefused, name, name)
		}
		if met == nil {
			continue
		}
		if err := met(&s.metaData); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return nil
}
