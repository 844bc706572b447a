package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// The actions of a Delta log, one a line in a commit. Source: the Delta
// transaction log protocol. The same structs are the rows of checkpoints.
type deltaAction struct {
	CommitInfo *commitInfo    `json:"commitInfo,omitempty" parquet:"-"`
	Txn        *deltaTxn      `json:"txn,omitempty" parquet:"txn,optional"`
	Add        *addFile       `json:"add,omitempty" parquet:"add,optional"`
	Remove     *removeFile    `json:"remove,omitempty" parquet:"remove,optional"`
	MetaData   *metaData      `json:"metaData,omitempty" parquet:"metaData,optional"`
	Protocol   *deltaProtocol `json:"protocol,omitempty" parquet:"protocol,optional"`
}

type commitInfo struct {
	Timestamp           int64             `json:"timestamp"`
	Operation           string            `json:"operation"`
	OperationParameters map[string]string `json:"operationParameters"`
	OperationMetrics    map[string]string `json:"operationMetrics,omitempty"`
	EngineInfo          string            `json:"engineInfo"`
	TxnID               string            `json:"txnId"`
}

type deltaProtocol struct {
	MinReaderVersion int32    `json:"minReaderVersion" parquet:"minReaderVersion"`
	MinWriterVersion int32    `json:"minWriterVersion" parquet:"minWriterVersion"`
	ReaderFeatures   []string `json:"readerFeatures,omitempty" parquet:"readerFeatures,optional,list"`
	WriterFeatures   []string `json:"writerFeatures,omitempty" parquet:"writerFeatures,optional,list"`
}

type metaData struct {
	ID               string            `json:"id" parquet:"id"`
	Name             *string           `json:"name,omitempty" parquet:"name,optional"`
	Description      *string           `json:"description,omitempty" parquet:"description,optional"`
	Format           deltaFormat       `json:"format" parquet:"format"`
	SchemaString     string            `json:"schemaString" parquet:"schemaString"`
	PartitionColumns []string          `json:"partitionColumns" parquet:"partitionColumns,list"`
	Configuration    map[string]string `json:"configuration" parquet:"configuration"`
	CreatedTime      *int64            `json:"createdTime,omitempty" parquet:"createdTime,optional"`
}

type deltaFormat struct {
	Provider string            `json:"provider" parquet:"provider"`
	Options  map[string]string `json:"options" parquet:"options"`
}

type addFile struct {
	Path             string             `json:"path" parquet:"path"`
	PartitionValues  map[string]*string `json:"partitionValues" parquet:"partitionValues"`
	Size             int64              `json:"size" parquet:"size"`
	ModificationTime int64              `json:"modificationTime" parquet:"modificationTime"`
	DataChange       bool               `json:"dataChange" parquet:"dataChange"`
	Stats            string             `json:"stats,omitempty" parquet:"stats,optional"`
}

type removeFile struct {
	Path                 string             `json:"path" parquet:"path"`
	DeletionTimestamp    int64              `json:"deletionTimestamp" parquet:"deletionTimestamp"`
	DataChange           bool               `json:"dataChange" parquet:"dataChange"`
	ExtendedFileMetadata bool               `json:"extendedFileMetadata" parquet:"extendedFileMetadata"`
	PartitionValues      map[string]*string `json:"partitionValues,omitempty" parquet:"partitionValues"`
	Size                 int64              `json:"size,omitempty" parquet:"size"`
}

type deltaTxn struct {
	AppID       string `json:"appId" parquet:"appId"`
	Version     int64  `json:"version" parquet:"version"`
	LastUpdated *int64 `json:"lastUpdated,omitempty" parquet:"lastUpdated,optional"`
}

// encodeActions returns the body of a commit.
func encodeActions(actions []deltaAction) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	for i := range actions {
		if err := encoder.Encode(&actions[i]); err != nil {
			return nil, err
		}
	}
	return body.Bytes(), nil
}

// decodeActions reads the body of a commit, of any writer; actions and fields
// that a table of this protocol may do without are left out.
func decodeActions(body []byte) ([]deltaAction, error) {
	var actions []deltaAction
	for line := range bytes.Lines(body) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var a deltaAction
		// A foreign commitInfo may hold anything, so a wrong type in it is none
		// of our business.
		if err := json.Unmarshal(line, &a); err != nil && !bytes.HasPrefix(bytes.TrimSpace(line), []byte(`{"commitInfo"`)) {
			return nil, fmt.Errorf("action %d: %w", len(actions)+1, err)
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// filePath returns the path of a file inside the table, of the path in an
// action, which is escaped as in a URL.
func filePath(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// actionPath is the reverse of filePath.
func actionPath(file string) string {
	parts := strings.Split(file, "/")
	for i, part := range parts {
		// PathEscape leaves = and a few others, which URLs allow in a path.
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
