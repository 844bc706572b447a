package input

import "fmt"

// Damaged makes an error of the panic that the Parquet library answers some
// damaged files with. Whoever reads Parquet defers it.
func Damaged(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the Parquet file is damaged: %v", p)
	}
}
