package schemas

import "encoding/json"

// Fields are those of a candidate, as a program with encoding/json would read them: the
// baseline of Decoder's benchmark.
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
	m.reset()
	m.space, m.id, m.meta = []byte(f.Space), f.ID, f.Meta
	m.hasOps, m.hasEdges, m.hasOpsReduce, m.hasEdgesReduce = f.Ops != nil, f.Edges != nil, f.OpsReduce != nil, f.EdgesReduce != nil
	m.ops, m.opsReduce = names(m.ops, f.Ops), names(m.opsReduce, f.OpsReduce)
	m.edges, m.edgesReduce = pairs(m.edges, f.Edges), pairs(m.edgesReduce, f.EdgesReduce)
	if f.Arch != nil {
		m.arch = []byte(*f.Arch)
	}
	for name, x := range f.Proxies {
		symbol := NoSymbol
		if i, known := d.proxies.index[name]; known {
			symbol = d.proxies.known[i].value
		} else {
			m.newProxies = append(m.newProxies, newProxy{len(m.proxies), []byte(name)})
		}
		m.proxies, m.values = append(m.proxies, symbol), append(m.values, x)
	}
	d.failed = nil
	s := d.spaceOf()
	if s == nil || !d.graph(s) {
		return d.failed
	}
	d.settleProxies()
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
