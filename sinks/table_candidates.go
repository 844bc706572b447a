package sinks

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/input"
	"archflow/schemas"
)

// CandidateKey holds the columns of the predictions table that choose the candidate of a
// network.
type CandidateKey struct {
	Network   string `parquet:"network,optional"`
	Model     string `parquet:"model,optional"` // "" where nothing answered
	Topic     string `parquet:"topic,optional"`
	Partition int32  `parquet:"partition,optional"`
	Offset    int64  `parquet:"offset,optional"`
	Time      int64  `parquet:"candidate_time,optional,timestamp(microsecond)"`
}

// Compare orders candidates by when they came.
func (k *CandidateKey) Compare(other *CandidateKey) int {
	return cmp.Or(cmp.Compare(k.Time, other.Time), strings.Compare(k.Topic, other.Topic),
		cmp.Compare(k.Partition, other.Partition), cmp.Compare(k.Offset, other.Offset))
}

// ReadCandidateKeys returns the keys of a file of the predictions table, of any
// version, in the order of its rows.
func ReadCandidateKeys(body []byte) (keys []CandidateKey, err error) {
	defer input.Damaged(&err)
	return parquet.Read[CandidateKey](bytes.NewReader(body), int64(len(body)))
}

// ReadGraphs returns the graphs of rows of such a file. rows ascend.
func ReadGraphs(body []byte, rows []int64) (graphs []schemas.StoredGraph, err error) {
	defer input.Damaged(&err)
	type graphRow struct {
		Ops             []string              `parquet:"ops,optional,list"`
		Edges           []int32               `parquet:"edges,optional,list"`
		Attributes      []nodeAttribute       `parquet:"attributes,optional,list"`
		Hyperparameters mapOf[attributeValue] `parquet:"hyperparameters,optional"`
	}
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	reader := parquet.NewGenericReader[graphRow](file)
	defer reader.Close()
	page := make([]graphRow, 256)
	for at := int64(0); len(rows) > 0; {
		if rows[0] >= at+int64(len(page)) {
			at = rows[0]
			if err := reader.SeekToRow(at); err != nil {
				return nil, err
			}
		}
		clear(page)
		n, err := reader.Read(page)
		if n == 0 {
			return nil, err
		}
		for ; len(rows) > 0 && rows[0] < at+int64(n); rows = rows[1:] {
			r := &page[rows[0]-at]
			g := schemas.StoredGraph{Ops: r.Ops, Edges: r.Edges}
			for _, h := range r.Hyperparameters.Entries {
				g.Attributes = append(g.Attributes, schemas.StoredAttribute{Node: schemas.WholeGraph, Name: h.Key, Number: h.Value.Number, Text: h.Value.Text})
			}
			for _, a := range r.Attributes {
				if a.Node != nil && a.Name != nil {
					g.Attributes = append(g.Attributes, schemas.StoredAttribute{Node: *a.Node, Name: *a.Name, Number: a.Number, Text: a.Text})
				}
			}
			graphs = append(graphs, g)
		}
		at += int64(n)
	}
	return graphs, nil
}
