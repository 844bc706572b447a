package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Orders to the process that runs the broker.
const (
	orderCollect = "collect"   // garbage, until nothing is left of it
	orderStarve  = "no files"  // may be opened any more
	orderFeed    = "all files" // may be opened again
)

// obey carries out the orders that it reads and acknowledges each.
func obey(in io.Reader, out io.Writer) {
	var limit syscall.Rlimit
	for lines := bufio.NewScanner(in); lines.Scan(); fmt.Fprintln(out, lines.Text()) {
		switch lines.Text() {
		case orderCollect:
			collectGarbage()
		case orderStarve:
			must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
			must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: limit.Max}))
		case orderFeed:
			must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// collectGarbage returns when unreachable objects have been collected and their cleanups
// have run: those of an object that is dropped now come after.
func collectGarbage() {
	for range 3 {
		var ran atomic.Bool
		dropped := new([1 << 10]byte)
		runtime.AddCleanup(dropped, func(b *atomic.Bool) { b.Store(true) }, &ran)
		for !ran.Load() {
			runtime.GC()
			runtime.Gosched()
		}
	}
}

func process(dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), brokerDir+"="+dir)
	return c
}

// TestBrokerKeepsItsLock: a broker that runs keeps its folder when nobody holds
// the Broker any more and the garbage is collected.
func TestBrokerKeepsItsLock(t *testing.T) {
	dir := t.TempDir()
	start(t, process(dir))(orderCollect)
	lock, err := takeLock(dir + "/broker/lock")
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Fatalf("the folder of a running broker could be locked: %v, %v", lock, err)
	}
}

// TestBrokerOutlivesScarceFiles: when no file can be opened connections wait, and
// are served when there are files again.
func TestBrokerOutlivesScarceFiles(t *testing.T) {
	dir := t.TempDir()
	order := start(t, process(dir))
	address, _, err := readAddress(dir + "/broker")
	if err != nil {
		t.Fatal(err)
	}
	order(orderStarve)
	for range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := answers(ctx, address); err == nil {
		t.Error("it answers although no file can be opened: nothing is tested here")
	}
	order(orderFeed)
	if err := answers(t.Context(), address); err != nil {
		t.Errorf("there are files again, and %v", err)
	}
}

// refusing is a listener whose first connections cannot be accepted.
type refusing struct {
	net.Listener
	errs []error
}

func (r *refusing) Accept() (net.Conn, error) {
	if len(r.errs) > 0 {
		err := r.errs[0]
		r.errs = r.errs[1:]
		return nil, err
	}
	return nil, net.ErrClosed
}

func TestPatientListenerEndsWhenClosed(t *testing.T) {
	refused := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	r := &refusing{errs: []error{refused, refused, refused}}
	if _, err := (patientListener{r}).Accept(); !errors.Is(err, net.ErrClosed) || len(r.errs) > 0 {
		t.Errorf("%v, %d errors left", err, len(r.errs))
	}
}
