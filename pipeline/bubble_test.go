package pipeline

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// wires is a network of pipes, so that a broker and its clients live in a
// bubble of testing/synctest, where waiting costs no time.
type wires struct {
	mu     sync.Mutex
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newWires() *wires { return &wires{queue: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wires) Accept() (net.Conn, error) {
	select {
	case c := <-w.queue:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wires) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wires) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9092} }

func (w *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case w.queue <- theirs:
		return ours, nil
	case <-w.closed:
		return nil, errors.New("the broker has gone")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWires()
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(string, string) (net.Listener, error) { return w, nil }), kfake.SeedTopics(2, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		tr := &kafka.Transport{Dial: w.dial, ClientID: "test", MetadataTTL: time.Second}
		defer tr.CloseIdleConnections()
		c := &kafka.Client{Addr: kafka.TCP("127.0.0.1:9092"), Transport: tr, Timeout: 10 * time.Second}
		began := time.Now()
		r, err := c.Produce(t.Context(), &kafka.ProduceRequest{Topic: "a", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("x"))})})
		t.Log(r, err, time.Since(began))
		time.Sleep(time.Hour)
		t.Log(time.Since(began))
	})
}
