package schemas

// proxiesField reads an object of numbers.
func (d *Decoder) proxiesField() bool {
	m, l := &d.m, &d.proxies
	m.proxies, m.values, m.newProxies, m.withdrawn, m.repeated = m.proxies[:0], m.values[:0], m.newProxies[:0], m.withdrawn[:0], false
	if d.null() {
		return true
	}
	if d.peek() != '{' {
		return d.wrongType("proxies", "an object of numbers")
	}
	d.pos++
	l.begin()
	for first := true; d.more('}', first); first = false {
		at := d.pos
		known, name, ok := d.member(l)
		if !ok {
			return false
		}
		if len(name) > d.limits.OpBytes {
			return d.fail(ClassValue, "field \"proxies\" at byte %d: the name of a proxy has %d bytes, more than %d; shorten it", at, len(name), d.limits.OpBytes)
		}
		place := len(m.proxies)
		if place == d.limits.Proxies {
			return d.fail(ClassTooLarge, "field \"proxies\" has more than %d entries; leave some out", d.limits.Proxies)
		}
		symbol := NoSymbol
		if known != nil {
			symbol = known.value
			m.repeated = m.repeated || known.round == l.round
			known.round = l.round
		} else {
			m.newProxies = append(m.newProxies, newProxy{place, name})
		}
		var value float64
		if d.null() {
			m.withdrawn = append(m.withdrawn, place)
		} else if d.noNumber() && d.pythonNumber() {
			d.missing = true
			m.withdrawn = append(m.withdrawn, place)
		} else if value, ok = d.numberField("proxies"); !ok {
			return false
		}
		m.proxies, m.values = append(m.proxies, symbol), append(m.values, value)
	}
	return d.failed == nil
}

// settleProxies finds the symbols of proxies that are new, and drops those that
// are null or come again: the last of several values of a name counts. It comes
// when all else of the message is good, so that one that is refused adds no
// names to the process.
func (d *Decoder) settleProxies() {
	m, l := &d.m, &d.proxies
	if len(m.newProxies) == 0 && len(m.withdrawn) == 0 && !m.repeated {
		return
	}
	for _, p := range m.newProxies {
		i, known := l.index[string(p.name)] // since an earlier one of the row
		if !known {
			symbol, kept := internForeign(string(p.name))
			if !kept {
				m.proxies[p.place] = d.ownName(string(p.name))
				continue
			}
			l.learn(string(p.name), symbol)
			i = l.index[string(p.name)]
		}
		m.proxies[p.place] = l.known[i].value
	}
	for i, symbol := range m.proxies {
		for j := range i {
			if m.proxies[j] == symbol {
				m.proxies[j] = NoSymbol
			}
		}
	}
	for _, i := range m.withdrawn {
		m.proxies[i] = NoSymbol
	}
	n := 0
	for i, symbol := range m.proxies {
		if symbol != NoSymbol {
			m.proxies[n], m.values[n] = symbol, m.values[i]
			n++
		}
	}
	m.proxies, m.values = m.proxies[:n], m.values[:n]
}
