package encoders

import (
	"fmt"
	"slices"

	"archflow/schemas"
)

// MaxOperations bounds a vocabulary; later operations count as unknown.
const MaxOperations = 4096

// Vocabulary numbers the operations a network knows. Code 0 stands for every
// other operation. Codes are given in the order of arrival and stay.
type Vocabulary struct {
	names []string // [Len]; names[0] is ""
	codes []int32  // by schemas.Symbol; 0 also for symbols beyond its end
}

// NewVocabulary returns a vocabulary with the codes 1, 2, ... for names.
func NewVocabulary(names ...string) (*Vocabulary, error) {
	v := &Vocabulary{names: []string{""}}
	for _, name := range names {
		op, err := schemas.Intern(name)
		if err != nil {
			return nil, fmt.Errorf("vocabulary: %w", err)
		}
		if !v.add(op) {
			return nil, fmt.Errorf("vocabulary: operation %.60q is empty, named twice, or beyond the %d that a network may know", name, MaxOperations)
		}
	}
	return v, nil
}

// Len returns the number of codes, that of the unknown operation included.
func (v *Vocabulary) Len() int { return len(v.names) }

// Names returns the operations in the order of their codes, from code 1.
func (v *Vocabulary) Names() []string { return slices.Clone(v.names[1:]) }

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
	return &Vocabulary{slices.Clone(v.names), slices.Clone(v.codes)}
}
