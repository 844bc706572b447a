package schemas

// CapacityHint holds the memory that the columns of candidates took per bytes of
// messages.
type CapacityHint struct {
	bytes                                    int
	key, headers, headerNames, headerValues  int
	id, arch, meta, proxies                  int
	nodes, edges, networkNodes, networkEdges int
}

// CapacityHint returns the memory of c, which was decoded from that many bytes.
func (c *Candidates) CapacityHint(bytes int) CapacityHint {
	return CapacityHint{
		bytes: bytes, key: len(c.Key.Data), headers: c.HeaderNames.Len(),
		headerNames: len(c.HeaderNames.Data), headerValues: len(c.HeaderValues.Data),
		id: len(c.ID.Data), arch: len(c.Arch.Data), meta: len(c.Meta.Data), proxies: len(c.ProxyName),
		nodes: len(c.Graphs.Ops), edges: len(c.Graphs.Edges),
		networkNodes: len(c.Networks.Ops), networkEdges: len(c.Networks.Edges),
	}
}

// For returns empty candidates with capacity for rows messages of bytes in total that are
// like those of r, and a little more, so that their columns seldom grow.
func (r CapacityHint) For(rows, bytes int) Candidates {
	if r.bytes == 0 {
		return Candidates{}
	}
	of := func(taken int) int { return int(1.05 * float64(taken) / float64(r.bytes) * float64(bytes)) }
	return Candidates{
		Envelope: Envelope{
			Offset: make([]int64, 0, rows), Time: make([]int64, 0, rows), Key: texts(rows, of(r.key)),
			HeaderStart: make([]int32, 0, rows+1), HeaderNames: texts(of(r.headers), of(r.headerNames)), HeaderValues: texts(of(r.headers), of(r.headerValues)),
		},
		ID: texts(rows, of(r.id)), Space: make([]Symbol, 0, rows), Arch: texts(rows, of(r.arch)),
		Architecture: make([]ID, 0, rows), Network: make([]ID, 0, rows),
		Graphs: graphs(rows, of(r.nodes), of(r.edges)), Networks: graphs(rows, of(r.networkNodes), of(r.networkEdges)),
		ProxyStart: make([]int32, 0, rows+1), ProxyName: make([]Symbol, 0, of(r.proxies)), ProxyValue: make([]float64, 0, of(r.proxies)),
		Meta: texts(rows, of(r.meta)),
	}
}

// texts returns no texts, with capacity for n of bytes in total.
func texts(n, bytes int) Strings {
	return Strings{Start: make([]int32, 0, n+1), Data: make([]byte, 0, bytes)}
}

// graphs returns no graphs, with capacity for n of that many nodes, and numbers of edges,
// in total.
func graphs(n, nodes, edges int) Graphs {
	return Graphs{
		NodeStart: make([]int32, 0, n+1), Ops: make([]Symbol, 0, nodes),
		EdgeStart: make([]int32, 0, n+1), Edges: make([]int32, 0, edges),
	}
}
