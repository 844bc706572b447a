package sinks

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// mapOf is a column of maps as its Parquet groups, which parquet-go writes
// three times faster than a Go map. Keys must not repeat within one.
type mapOf[V any] struct {
	Entries []entry[V] `parquet:"key_value"`
}

type entry[V any] struct {
	Key   string `parquet:"key,dict"`
	Value V      `parquet:"value"`
}

// column is a column of a Delta table in the form of its schemaString: typ is the name of
// a type or one of the structs below.
type column struct {
	Name     string         `json:"name"`
	Type     any            `json:"type"`
	Nullable bool           `json:"nullable"`
	Metadata map[string]any `json:"metadata"`
}

func col(name string, typ any) column { return column{name, typ, true, map[string]any{}} }

type listType struct {
	Type         string `json:"type"`
	ElementType  any    `json:"elementType"`
	ContainsNull bool   `json:"containsNull"`
}

func listColumn(element any) listType { return listType{"array", element, true} }

type mapType struct {
	Type              string `json:"type"`
	KeyType           any    `json:"keyType"`
	ValueType         any    `json:"valueType"`
	ValueContainsNull bool   `json:"valueContainsNull"`
}

func mapColumn(value any) mapType { return mapType{"map", "string", value, true} }

type structType struct {
	Type   string   `json:"type"`
	Fields []column `json:"fields"`
}

func structColumn(fields ...column) structType { return structType{"struct", fields} }

// newMetaData describes a new table.
func newMetaData(columns []column, partitionedBy []string, created time.Time) metaData {
	schema, err := json.Marshal(structColumn(columns...))
	if err != nil {
		panic(fmt.Sprintf("schema of our own table: %v", err)) // made of constants
	}
	at := created.UnixMilli()
	return metaData{
		ID:               uuid.NewString(),
		Format:           deltaFormat{Provider: "parquet", Options: map[string]string{}},
		SchemaString:     string(schema),
		PartitionColumns: partitionedBy,
		Configuration: map[string]string{
			"delta.deletedFileRetentionDuration": fmt.Sprintf("interval %d hours", int(retention.Hours())),
			"delta.logRetentionDuration":         fmt.Sprintf("interval %d hours", int(retention.Hours())),
		},
		CreatedTime: &at,
	}
}
