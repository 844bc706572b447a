package teacher

// The linear part of the kernel: the inner product of two points relative to the centre
// of the labelled ones, over its mean on the diagonal. Squared distances determine it.

// centre is the mean of some points.
type centre struct {
	away   []float64 // squared distance of each point
	spread float64   // mean of those
}

// newCentre returns the centre of points with squared distances d [n, n].
func newCentre(d []float64, n int) centre {
	c := centre{away: make([]float64, n)}
	for i := range n {
		c.away[i] = mean(d[i*n : (i+1)*n])
	}
	c.spread = max(mean(c.away)/2, 1e-12)
	for i := range c.away {
		c.away[i] -= c.spread
	}
	return c
}

// between returns the kernel of points i and j without the Matérn part.
func (c *centre) between(d []float64, i, j int) float64 {
	return constant + slope*(c.away[i]+c.away[j]-d[i*len(c.away)+j])/(2*c.spread)
}

// plane is the prediction of that part: linear in the squared distances.
type plane struct {
	constant float64
	weights  []float64 // of the squared distance to each point
}

// plane returns it for a process on n points.
func (p *process) plane(n int) plane {
	out := plane{weights: make([]float64, n)}
	sum, f := 0.0, slope/(2*p.centre.spread)
	for _, alpha := range p.alpha {
		for j, a := range alpha {
			out.constant += a * (constant + f*(p.centre.away[j]-p.centre.spread))
			out.weights[j] -= f * a
			sum += a
		}
	}
	for j := range out.weights {
		out.weights[j] += f * sum / float64(n)
	}
	return out
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}
