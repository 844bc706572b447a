package schemas

import "encoding/json"

// Fields are those of a candidate, as a program with encoding/json would read
// them: what Decoder is measured against.
type Fields struct {
	Space       string             `json:"space"`
	Arch        *string            `json:"arch"`
	ID          json.RawMessage    `json:"id"`
	Ops         []string           `json:"ops"`
	Edges       [][2]int32         `json:"edges"`
	OpsReduce   []string           `json:"ops_reduce"`
	EdgesReduce [][2]int32         `json:"edges_reduce"`
	Proxies     map[string]float64 `json:"proxies"`
	Meta        json.RawMessage    `json:"meta"`
}

// Fields checks and appends a candidate that something else has read, as
// Candidate does from the graph on: it orders the nodes, drops repeated edges,
// prunes, and computes both hashes.
func (d *Decoder) Fields(dst *Candidates, f *Fields) *Rejection {
	m := &d.m
	*m = message{
		space: []byte(f.Space), id: f.ID, meta: f.Meta,
		hasOps: f.Ops != nil, hasEdges: f.Edges != nil, hasOpsReduce: f.OpsReduce != nil, hasEdgesReduce: f.EdgesReduce != nil,
		ops: names(m.ops[:0], f.Ops), opsReduce: names(m.opsReduce[:0], f.OpsReduce),
		edges: pairs(m.edges[:0], f.Edges), edgesReduce: pairs(m.edgesReduce[:0], f.EdgesReduce),
		proxyNames: m.proxyNames[:0], proxyValues: m.proxyValues[:0], proxyNull: m.proxyNull[:0],
	}
	if f.Arch != nil {
		m.arch = []byte(*f.Arch)
	}
	for name, x := range f.Proxies {
		m.proxyNames, m.proxyValues, m.proxyNull = append(m.proxyNames, []byte(name)), append(m.proxyValues, x), append(m.proxyNull, false)
	}
	d.failed = nil
	s := d.spaceOf()
	if s == nil || !d.graph(s) || !d.internProxies() {
		return d.failed
	}
	d.appendRow(dst, s)
	return nil
}

func names(dst [][]byte, src []string) [][]byte {
	for _, s := range src {
		dst = append(dst, []byte(s))
	}
	return dst
}

func pairs(dst []int32, src [][2]int32) []int32 {
	for _, p := range src {
		dst = append(dst, p[0], p[1])
	}
	return dst
}
