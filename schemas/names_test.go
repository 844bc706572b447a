package schemas

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// The table of names is the process's, so filling it takes a process of its own.
func TestTooManyNames(t *testing.T) {
	if os.Getenv("ARCHFLOW_TEST_FILL_NAMES") == "" {
		self := exec.Command(os.Args[0], "-test.run=^TestTooManyNames$", "-test.v")
		self.Env = append(os.Environ(), "ARCHFLOW_TEST_FILL_NAMES=1")
		if out, err := self.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	d := NewDecoder(Limits{})
	var c Candidates
	if r := d.Candidate(&c, []byte(`{"space":"dag",`+chain+`,"proxies":{"known":1}}`)); r != nil {
		t.Fatal(r)
	}
	for i := 0; ; i++ {
		if _, err := Intern(fmt.Sprint("name ", i)); err != nil {
			break
		}
	}
	for _, e := range []example{
		{value: `{"space":"dag",` + chain + `,"proxies":{"known":1}}`},
		{value: `{"space":"dag","ops":["unseen"],"edges":[]}`, class: ClassTooManyNames, reason: `ops[0]: operation "unseen"`},
		{value: `{"space":"dag",` + chain + `,"ops_reduce":["a"],"edges_reduce":[]}`, class: ClassTooManyNames, reason: "ops_reduce[0]"},
		{value: `{"space":"dag",` + chain + `,"proxies":{"known":1,"unseen":1}}`, class: ClassTooManyNames, reason: `"unseen"`},
		{value: `{"space":"dag",` + chain + `,"proxies":{"known":1}}`},
		{value: `{"space":"nb201","ops":["unseen"],"edges":[]}`, class: ClassUnknownOperation},
	} {
		checkRejection(t, e, d.Candidate(&c, []byte(e.value)))
	}
}
