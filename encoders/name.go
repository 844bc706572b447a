package encoders

import "strconv"

// Name returns how messages and tables call the model, such as "nb201/17".
func (m *Model) Name() string { return m.Space + "/" + strconv.FormatInt(m.Version, 10) }

// Task returns the place of a task in Tasks, -1 when the model does not know it.
func (m *Model) Task(name string) int {
	for i := range m.Tasks {
		if m.Tasks[i].Name == name {
			return i
		}
	}
	return -1
}
