package teacher

import "math"

// tau returns Kendall's tau-b of x and y, 0 when one of them is constant, in
// time quadratic in their length.
func tau(x, y []float64) float64 {
	var s, tiedX, tiedY, all float64
	for i := range x {
		for j := range i {
			a, b := x[i]-x[j], y[i]-y[j]
			all++
			switch {
			case a == 0 && b == 0:
				tiedX++
				tiedY++
			case a == 0:
				tiedX++
			case b == 0:
				tiedY++
			case a > 0 == (b > 0):
				s++
			default:
				s--
			}
		}
	}
	if tiedX == all || tiedY == all {
		return 0
	}
	return s / math.Sqrt((all-tiedX)*(all-tiedY))
}
