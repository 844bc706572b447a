package api

import (
	"slices"
	"testing"

	"archflow/schemas"
)

func cellOf(t *testing.T, message string) (out struct {
	Ops, Notes      []string
	Hyperparameters string
}) {
	t.Helper()
	var c schemas.Candidates
	if refused := schemas.NewDecoder(schemas.Limits{}).Candidate(&c, []byte(message)); refused != nil {
		t.Fatal(refused)
	}
	cells := Cells(&c.Graphs, 0)
	out.Ops, out.Notes, out.Hyperparameters = cells[0].Ops, cells[0].Notes, cells[0].Hyperparameters
	return out
}

// Attributes are shown beside their operation, hyperparameters apart, with lists as they
// were given.
func TestCellsHaveAttributes(t *testing.T) {
	got := cellOf(t, `{"space":"own","ops":["input",{"op":"conv","kernel":3,"act":"relu"},"output"],"edges":[[0,1],[1,2]],"hyperparameters":{"w":[1,2,3,4,5,6,7,8,9,10,11],"lr":0.1,"ema":true}}`)
	if want := "ema true, lr 0.1, w 1 2 3 4 5 6 7 8 9 10 11"; got.Hyperparameters != want {
		t.Errorf("hyperparameters %q, want %q", got.Hyperparameters, want)
	}
	if want := []string{"", `act "relu", kernel 3`, ""}; !slices.Equal(got.Notes, want) {
		t.Errorf("notes %q, want %q", got.Notes, want)
	}
}

func TestCellsOfHyperparametersAlone(t *testing.T) {
	got := cellOf(t, `{"space":"own","hyperparameters":{"depth":12,"act":"gelu"}}`)
	if got.Hyperparameters != `act "gelu", depth 12` || len(got.Ops) != 0 || got.Notes != nil {
		t.Errorf("%+v", got)
	}
}
