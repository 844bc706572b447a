package encoders

import (
	"fmt"
	"maps"
	"slices"

	"archflow/schemas"
)

// MaxOperations bounds a vocabulary; later operations count as unknown.
const MaxOperations = 4096

// Vocabulary numbers the operations a network knows. Code 0 is every other operation.
// Codes are given in the order of arrival and stay.
type Vocabulary struct {
	names []string // [Len]; names[0] is "", and so are those of attributes
	codes []int32  // by schemas.Symbol; 0 also for symbols beyond its end

	attributes  []attribute // in the order of their codes
	attributeAt map[attributeKey]int
}

// NewVocabulary returns a vocabulary with the codes 1, 2, ... for names.
func NewVocabulary(names ...string) (*Vocabulary, error) {
	v := &Vocabulary{names: []string{""}}
	for _, name := range names {
		if err := v.addNamed(name); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Vocabulary) addNamed(name string) error {
	op, err := schemas.Intern(name)
	if err != nil {
		return fmt.Errorf("vocabulary: %w", err)
	}
	if !v.add(op) {
		return fmt.Errorf("vocabulary: operation %.60q is empty, named twice, or beyond the %d that a network may know", name, MaxOperations)
	}
	return nil
}

// Len returns the number of codes, those of the unknown operation and of
// attributes included.
func (v *Vocabulary) Len() int { return len(v.names) }

// Names returns the operations in the order of their codes.
func (v *Vocabulary) Names() []string {
	return slices.DeleteFunc(slices.Clone(v.names), func(name string) bool { return name == "" })
}

// equal says that both number everything alike.
func (v *Vocabulary) equal(w *Vocabulary) bool {
	return slices.Equal(v.names, w.names) && slices.Equal(v.attributes, w.attributes)
}

// Code returns the code of an operation, 0 when it is unknown.
func (v *Vocabulary) Code(op schemas.Symbol) int32 {
	if int(op) >= len(v.codes) || op < 0 {
		return 0
	}
	return v.codes[op]
}

// add gives op a code unless it has one or the vocabulary is full.
func (v *Vocabulary) add(op schemas.Symbol) bool {
	if v.Code(op) != 0 || op < 0 || schemas.Name(op) == "" || len(v.names) >= MaxOperations {
		return false
	}
	for int(op) >= len(v.codes) {
		v.codes = append(v.codes, 0)
	}
	v.codes[op] = int32(len(v.names))
	v.names = append(v.names, schemas.Name(op))
	return true
}

func (v *Vocabulary) clone() *Vocabulary {
	return &Vocabulary{slices.Clone(v.names), slices.Clone(v.codes), slices.Clone(v.attributes), maps.Clone(v.attributeAt)}
}
