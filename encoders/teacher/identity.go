package teacher

import (
	"math"
	"slices"

	"archflow/schemas"
)

// An operation may be the identity. Then networks that differ by it alone are the same,
// and their proxies are repeated measurements of one thing. contract removes such an
// operation; identities finds it.

// contract returns the graphs without the operation op: its inputs flow into its outputs.
// Edges may then be there more than once, as the flows that they carry are summed. It
// reports false where there would be very many: the edges are as many as the ways through
// removed operations, which in a dense graph double with each.
func contract(g *schemas.Graphs, op schemas.Symbol) (out schemas.Graphs, ok bool) {
	var kept []schemas.Symbol
	var link []int32
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		if !slices.Contains(ops, op) {
			out.Append(ops, edges)
			continue
		}
		number := make([]int32, len(ops))
		into := make([][]int32, len(ops)) // in new numbers, op's own inputs in its place
		outof := make([]bool, len(ops))
		for e := 0; e < len(edges); e += 2 {
			outof[edges[e]] = true
		}
		kept, link = kept[:0], link[:0]
		byEnd := make([][]int32, len(ops))
		for e := 0; e < len(edges); e += 2 {
			byEnd[edges[e+1]] = append(byEnd[edges[e+1]], edges[e])
		}
		flows, largest := 0, maxFlows+4*len(edges)
		for t, o := range ops {
			for _, u := range byEnd[t] {
				if ops[u] == op && len(byEnd[u]) > 0 {
					into[t] = append(into[t], into[u]...)
				} else {
					into[t] = append(into[t], number[u])
				}
				if flows+len(into[t]) > largest {
					return out, false
				}
			}
			flows += len(into[t])
			if o == op && len(byEnd[t]) > 0 && outof[t] {
				continue
			}
			number[t] = int32(len(kept))
			for _, u := range into[t] {
				link = append(link, u, number[t])
			}
			kept = append(kept, o)
		}
		out.Append(kept, link)
	}
	return out, true
}

// maxFlows is how many edges a contracted graph may have beside four for each number of
// its edges.
const maxFlows = 4096

// classes numbers the graphs so that equal numbers mean graphs that are equal up to the
// numbering of their nodes (as far as colour refinement distinguishes them) and their
// attributes.
func classes(g *schemas.Graphs) equals {
	number := map[uint64]int{}
	class := make([]int, g.Len())
	var ahead, behind, all []uint64
	var into, outof adjacent
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		into.list(len(ops), edges, 1)
		outof.list(len(ops), edges, 0)
		ahead, behind = ahead[:0], behind[:0]
		for _, op := range ops {
			ahead = append(ahead, mix(uint64(op)+1))
			behind = append(behind, mix(uint64(op)+1))
		}
		// Sums of mixed colours do not depend on the order of edges.
		for range 3 {
			for t := range ops {
				sum := uint64(0)
				for _, u := range into.of(t) {
					sum += mix(ahead[u])
				}
				ahead[t] = mix(ahead[t] ^ mix(sum+7) ^ mix(behind[t]+11))
			}
			for t := len(ops) - 1; t >= 0; t-- {
				sum := uint64(0)
				for _, v := range outof.of(t) {
					sum += mix(behind[v])
				}
				behind[t] = mix(behind[t] ^ mix(sum+13) ^ mix(ahead[t]+17))
			}
		}
		all = append(all[:0], behind...)
		sum := uint64(len(ops))
		for _, h := range all {
			sum += mix(h)
		}
		if _, ok := number[sum]; !ok {
			number[sum] = len(number)
		}
		class[i] = number[sum]
	}
	return equals{class, len(number)}
}

// adjacent are the other ends of the edges that begin, or end, at each node.
type adjacent struct{ start, ends []int32 }

// list sorts edges by their from (side 0) or to (side 1).
func (a *adjacent) list(nodes int, edges []int32, side int) {
	a.start = append(a.start[:0], make([]int32, nodes+1)...)
	for e := side; e < len(edges); e += 2 {
		a.start[edges[e]+1]++
	}
	for t := range nodes {
		a.start[t+1] += a.start[t]
	}
	a.ends = append(a.ends[:0], make([]int32, len(edges)/2)...)
	for e := len(edges) - 2; e >= 0; e -= 2 { // from the back, so that start ends as it was
		at := &a.start[edges[e+side]+1]
		*at--
		a.ends[*at] = edges[e+1-side]
	}
	copy(a.start, a.start[1:])
	a.start[nodes] = int32(len(edges) / 2)
}

func (a *adjacent) of(node int) []int32 { return a.ends[a.start[node]:a.start[node+1]] }

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// within returns the share of the variance of values that is left inside
// classes of more than one member, and the number of such members.
func within(values []float64, of equals) (share float64, members int) {
	class, count := of.class, of.count
	sum, square, n := make([]float64, count), make([]float64, count), make([]int, count)
	for i, v := range values {
		if v == v {
			sum[class[i]] += v
			square[class[i]] += v * v
			n[class[i]]++
		}
	}
	var inside, freedom, total, all float64
	for c := range count {
		if n[c] > 0 {
			total += square[c]
			all += float64(n[c])
		}
		if n[c] > 1 {
			inside += square[c] - sum[c]*sum[c]/float64(n[c])
			freedom += float64(n[c] - 1)
			members += n[c]
		}
	}
	if freedom == 0 || total == 0 {
		return 1, 0
	}
	return inside / freedom / (total / all), members
}

// averages returns for every graph the mean of the known values of its class.
func averages(values []float64, of equals) []float64 {
	sum, known := make([]float64, of.count), make([]float64, of.count)
	for i, v := range values {
		if v == v {
			sum[of.class[i]] += v
			known[of.class[i]]++
		}
	}
	out := make([]float64, len(values))
	for i, c := range of.class {
		out[i] = sum[c] / known[c]
	}
	return out
}

const (
	sameShare   = 0.05 // of a proxy's variance may be left inside classes
	sameMembers = 50   // networks that have a twin, at least
)

// identity returns the operation that looks most like one that does nothing:
// the proxies of networks that differ by it alone hardly differ, and some of
// them not at all.
func identity(d *Data) (op schemas.Symbol, ok bool) {
	if len(d.Proxies) == 0 {
		return op, false
	}
	words := newVocabulary(&d.Networks)
	var inner []schemas.Symbol
	for op, w := range words.of {
		if w.family >= 0 {
			inner = append(inner, op)
		}
	}
	sortByName(inner)
	smallest := math.Inf(1)
	var ranked [][]float64
	for _, p := range d.Proxies {
		values, _ := usable(p.Values)
		ranked = append(ranked, ranks(values))
	}
	for _, candidate := range inner[:min(len(inner), 32)] {
		g, small := contract(&d.Networks, candidate)
		if !small {
			continue
		}
		merged := classes(&g)
		var shares []float64
		for _, r := range ranked {
			if share, members := within(r, merged); members >= sameMembers {
				shares = append(shares, share)
			}
		}
		if len(shares) == 0 {
			continue
		}
		slices.Sort(shares)
		if m := shares[len(shares)/2]; shares[0] < 1e-9 && m < sameShare {
			sum := 0.0
			for _, s := range shares {
				sum += math.Log(max(s, 1e-9))
			}
			if sum < smallest {
				op, ok, smallest = candidate, true, sum
			}
		}
	}
	return op, ok
}
