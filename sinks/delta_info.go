package sinks

import (
	"encoding/json"
	"runtime/debug"
	"strconv"

	"github.com/google/uuid"
)

// engine is who writes, as the history of a table has it.
var engine = func() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "archflow/" + info.Main.Version
	}
	return "archflow"
}()

// info describes a commit of the actions in the history of the table.
func (l *deltaLog) info(operation string, actions []deltaAction) *commitInfo {
	parameters := map[string]string{}
	if operation == "WRITE" {
		parameters["mode"] = "Append"
	}
	return &commitInfo{
		Timestamp: l.now().UnixMilli(), Operation: operation, OperationParameters: parameters,
		OperationMetrics: metricsOf(actions), EngineInfo: engine, TxnID: uuid.NewString(),
	}
}

// metricsOf counts the actions of a commit, by Delta's names.
func metricsOf(actions []deltaAction) map[string]string {
	var added, removed, addedBytes, removedBytes, rows int64
	for _, a := range actions {
		switch {
		case a.Add != nil:
			added++
			addedBytes += a.Add.Size
			var s struct{ NumRecords int64 }
			if json.Unmarshal([]byte(a.Add.Stats), &s) == nil {
				rows += s.NumRecords
			}
		case a.Remove != nil:
			removed++
			removedBytes += a.Remove.Size
		}
	}
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch {
	case added+removed == 0:
		return nil
	case removed == 0:
		return map[string]string{"numFiles": text(added), "numOutputRows": text(rows), "numOutputBytes": text(addedBytes)}
	}
	return map[string]string{
		"numAddedFiles": text(added), "numAddedBytes": text(addedBytes), "numOutputRows": text(rows),
		"numRemovedFiles": text(removed), "numRemovedBytes": text(removedBytes),
	}
}
