package teacher

import (
	"fmt"
	"strings"
	"testing"
)

// A panic of a part is one of the whole, so that the caller can recover.
func TestSideBySidePanics(t *testing.T) {
	for _, cores := range []int{1, 3} {
		value := func() (value any) {
			defer func() { value = recover() }()
			return sideBySide(cores, 5, func(i int) error {
				if i == 3 {
					panic("at work")
				}
				return nil
			})
		}()
		if !strings.Contains(fmt.Sprint(value), "at work") {
			t.Errorf("on %d cores: recovered %v", cores, value)
		}
	}
}
